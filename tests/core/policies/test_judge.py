"""A call's words are judged as the model reads them: no way of writing JSON hides one, nothing around them accuses."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keeptrusts.core.policies.content_words import CATEGORIES
from keeptrusts.core.policies.judge import CLEAN, Verdict, compile_policies
from keeptrusts.core.rulebook.rulebook import Policy
from tests.core.policies.written import Written, call_body, json_spellings, texts_of

PHRASES = ["heil hitler", "i hate all foreigners", "kill yourself", "don't want to live", "how to make a pipe bomb"]
FLAGGING = compile_policies([Written(config={"threshold": "low"})])
assert FLAGGING is not None


def verdict(text, judge=FLAGGING):
    body = call_body(text)
    return judge.check_input(body, lambda: texts_of(body))


def unasked():
    raise AssertionError("a clean body is not decoded")


def test_without_policies_there_is_no_judge():
    assert compile_policies([]) is None


def test_a_clean_body_is_never_decoded():
    body = json.dumps({"messages": [{"role": "user", "content": 'Write a haiku.\n\tAbout "clouds" \\ rain.'}]}).encode()
    assert FLAGGING.check_input(body, unasked) is CLEAN


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_way_of_writing_json_hides_a_phrase(data):
    phrase = data.draw(st.sampled_from(PHRASES))
    blank = data.draw(st.sampled_from([" ", "\n", "\t", "  ", "-", "\u00a0", " \n "]))
    around = st.sampled_from(["", "\n", "\t", '"', "\\", "/", ". ", "\r\n", " é "])
    text = data.draw(around) + phrase.replace(" ", blank) + data.draw(around)
    text = "".join(data.draw(st.sampled_from([c, c.upper()])) for c in text)
    body = data.draw(json_spellings(text))
    assert FLAGGING.check_input(body, lambda: texts_of(body)).actions


EVERY_PHRASE = [phrase for levels in CATEGORIES.values() for phrases in levels.values() for phrase in phrases]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(EVERY_PHRASE).flatmap(lambda phrase: st.from_regex(phrase.replace("'", "'?"), fullmatch=True)))
def test_every_phrase_of_the_lists_is_found_in_a_body_as_in_a_text(said):
    body = call_body(f"so:\n{said}\nthen")
    assert FLAGGING.check_input(body, lambda: texts_of(body)) == FLAGGING.check_texts([said])
    assert FLAGGING.check_texts([said]).actions


# Letters of the phrases, so that near misses are common.
@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from([*PHRASES, *" \n\t\"\\/'-_.é\u200b\u2019\u00e9", "hitler", "xheil", "u0068", "\\u", "n"]),
            st.text(alphabet="heil tkamorpbdw'\n", max_size=8),
        ),
        max_size=8,
    ).map("".join)
)
@example("\nheil hitler")
@example('i"ll kill him')
@example("don\u2019t want to live")
@example("\\u")
def test_the_quick_search_never_disagrees_with_the_whole_one(text):
    for body in (call_body(text), json.dumps({"messages": [{"role": "user", "content": text}]}).encode()):
        assert FLAGGING.check_input(body, lambda body=body: texts_of(body)) == FLAGGING.check_texts([text])


def shifted(first):
    """The phrase in another alphabet of Unicode that looks Latin and begins at ``first``."""
    return "".join(chr(ord(c) - ord("a") + first) if c.isalpha() else c for c in "heil hitler")


@pytest.mark.parametrize(
    "disguise",
    [
        shifted(0xFF41),  # full width
        "HEIL HITLER",
        "he\u200bil hit\u00adler",
        "\u202eheil hitler",
        "heil\u2003hitler",
        "heil_hitler",
        "heil-\nhitler",
        shifted(0x1D41A),  # mathematical bold
        "heil hi\ufe0ftler",
    ],
)
def test_a_disguise_that_a_reader_does_not_see_does_not_help(disguise):
    assert verdict(disguise).actions == ("content_flagged:hate",)


@pytest.mark.parametrize("text", ["Sheil Hitlerian", "heilhitler", "éheil hitleré", "heil, hitler", "Scunthorpe"])
def test_only_whole_words_count(text):
    assert verdict(text) is CLEAN


def test_what_is_not_said_to_the_model_accuses_nobody():
    """A role, a field's name or a model's name is not content."""
    body = b'{"model":"heil hitler","messages":[{"role":"heil hitler","content":"hello"}]}'
    assert FLAGGING.check_input(body, lambda: texts_of(body)) is CLEAN


def test_a_phrase_does_not_reach_from_one_message_into_the_next():
    assert FLAGGING.check_texts(["heil", "hitler"]) is CLEAN


def test_a_lone_surrogate_is_judged_and_does_not_raise():
    assert FLAGGING.check_texts(["\ud800 heil hitler"]).actions == ("content_flagged:hate",)


def test_a_block_names_its_policy_and_every_finding_is_told_once():
    judge = compile_policies(
        [
            Written("flag", {"categories": ["hate"]}, "watch"),
            Written("block", {"categories": ["hate", "harassment"]}, "stop"),
            Written("flag", {"categories": ["hate"]}, "watch-again"),
        ]
    )
    found = verdict("Heil Hitler. Kill yourself.", judge)
    assert found == Verdict(
        ("content_flagged:hate", "content_blocked:hate", "content_blocked:harassment"), blocked_by="stop"
    )


def test_a_flag_blocks_nobody():
    assert verdict("heil hitler").blocked_by is None


def test_a_long_hostile_text_takes_linear_time():
    """RE2 does not backtrack: a megabyte of near misses is judged, not endured."""
    assert FLAGGING.check_texts(["kill the " * 120_000]) is CLEAN


@pytest.mark.parametrize(
    ("policies", "actions", "escalated", "blocked_by"),
    [
        ([("escalate", False)], ("keyword_escalated:p0",), (("p0", "keyword_escalated:p0"),), None),
        ([("escalate", True)], ("keyword_escalated_shadow:p0",), (), None),
        (
            [("escalate", False), ("escalate", False)],
            ("keyword_escalated:p0", "keyword_escalated:p1"),
            (("p0", "keyword_escalated:p0"), ("p1", "keyword_escalated:p1")),
            None,
        ),
        (
            [("escalate", False), ("flag", False), ("block", False)],
            ("keyword_escalated:p0", "keyword_flagged:p1", "keyword_blocked:p2"),
            (("p0", "keyword_escalated:p0"),),
            "p2",
        ),
    ],
)
def test_what_is_left_to_a_person_is_named_and_its_words_stay(policies, actions, escalated, blocked_by):
    written = [
        Policy(f"p{i}", "keyword", action, {"words": ["aurora"]}, shadow=shadow)
        for i, (action, shadow) in enumerate(policies)
    ]
    judge = compile_policies(written)
    assert judge is not None
    found = judge.check_texts(["about Aurora", "nothing"])
    assert found == Verdict(actions, blocked_by, {}, escalated)


def test_what_is_redacted_beside_what_is_left_to_a_person_is_still_redacted():
    judge = compile_policies(
        [
            Policy("names", "keyword", "escalate", {"words": ["aurora"]}),
            Policy("mail", "pii", "redact", {"entities": ["email"]}),
        ]
    )
    assert judge is not None
    found = judge.check_texts(["Aurora: bob@example.com"])
    assert (found.redacted, [policy for policy, _ in found.escalated]) == (
        {"Aurora: bob@example.com": "Aurora: [EMAIL]"},
        ["names"],
    )
