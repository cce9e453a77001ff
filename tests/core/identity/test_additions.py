"""What clients may add to a key's attribution: bound dimensions stay, the allowed ones are taken in one form, the rest is refused."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.identity.additions import ADDABLE, additions_of, attributed, read_value
from keeptrusts.core.identity.attribution import Attribution
from keeptrusts.core.refusal import Reason, Refused

BOUND = Attribution(team="team_a", application="search")


@pytest.mark.parametrize(
    ("wishes", "found"),
    [
        ([{}], None),
        ([{"feature": ("a", "b")}], {"feature": frozenset("ab")}),
        ([{"feature": ("*",)}], {"feature": None}),
        ([{"feature": ("a", "*")}], {"feature": None}),
        ([{"feature": ("*",)}, {"feature": ("a",)}], {"feature": frozenset("a")}),
        ([{"feature": ("a", "b")}, {"feature": ("b", "c")}], {"feature": frozenset("b")}),
        ([{"feature": ("a",)}, {"user": ("*",)}], {"feature": frozenset("a"), "user": None}),
        ([{"application": ("*",)}], None),
        ([{"team": ("*",)}, {"organization": ("*",)}, {"colour": ("*",)}], None),
    ],
)
def test_what_a_key_and_its_group_allow_together(wishes, found):
    assert additions_of(BOUND, *wishes) == found


ALLOWED = additions_of(BOUND, {"feature": ("a", "b"), "user": ("*",)})


@pytest.mark.parametrize(
    ("given_", "reason", "told"),
    [
        ([("feature", "c")], Reason.ATTRIBUTION_NOT_ALLOWED, {"dimension": "feature", "allowed": ["a", "b"]}),
        ([("feature", "A")], Reason.ATTRIBUTION_NOT_ALLOWED, {"dimension": "feature", "allowed": ["a", "b"]}),
        ([("feature", "\u0430")], Reason.ATTRIBUTION_NOT_ALLOWED, {"dimension": "feature", "allowed": ["a", "b"]}),
        (
            [("application", "other")],
            Reason.ATTRIBUTION_NOT_ALLOWED,
            {"dimension": "application", "allowed": ["search"]},
        ),
        ([("team", "team_b")], Reason.ATTRIBUTION_NOT_ALLOWED, {"dimension": "team", "allowed": ["team_a"]}),
        ([("organization", "o")], Reason.ATTRIBUTION_NOT_ALLOWED, {"dimension": "organization", "allowed": []}),
        ([("project", "p")], Reason.ATTRIBUTION_NOT_ALLOWED, {"dimension": "project", "allowed": []}),
        ([("feature", "a"), ("feature", "b")], Reason.INVALID_REQUEST, {"dimension": "feature"}),
    ],
)
def test_what_a_client_may_not_say(given_, reason, told):
    with pytest.raises(Refused) as refused:
        attributed(BOUND, ALLOWED, given_)
    assert (refused.value.reason, refused.value.details) == (reason, told)


def test_what_is_bound_may_be_repeated_and_what_is_allowed_is_added():
    given_ = [("team", "team_a"), ("feature", "b"), ("feature", "b"), ("user", "alice")]
    assert attributed(BOUND, ALLOWED, given_) == Attribution(
        team="team_a", application="search", feature="b", user="alice"
    )
    assert attributed(BOUND, ALLOWED, [("team", "team_a")]) is BOUND


@pytest.mark.parametrize("value", [7, True, ["alice"], {"user": "alice"}, 1.5, "x" * 129, "a\nb", "a\0b", "a\u202eb"])
def test_what_no_value_can_be(value):
    with pytest.raises(Refused) as refused:
        read_value("user", value)
    assert refused.value.reason is Reason.INVALID_REQUEST
    assert "user" in refused.value.message


@pytest.mark.parametrize(
    ("value", "read"),
    [(None, None), ("", None), ("  ", None), (" a ", "a"), ("e\u0301", "\u00e9"), ("爱丽丝", "爱丽丝")],
)
def test_a_value_has_one_form(value, read):
    assert read_value("user", value) == read


@given(st.dictionaries(st.sampled_from(ADDABLE), st.lists(st.text(min_size=1, max_size=3), min_size=1), max_size=4))
def test_everything_that_is_allowed_is_accepted_in_any_writing(wishes):
    additions = additions_of(Attribution(team="t"), wishes)
    for dimension, values in wishes.items():
        for text in values:
            try:
                value = read_value(dimension, unicodedata.normalize("NFD", text))
            except Refused:
                continue
            if value is not None:
                assert getattr(attributed(Attribution(team="t"), additions, [(dimension, value)]), dimension) == value
