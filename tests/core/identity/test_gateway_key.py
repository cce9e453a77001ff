"""Issued keys: random, checkable without a look-up, stored as keyed hashes, in states that a table describes."""

from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.identity.gateway_key import (
    GATEWAY_PREFIX,
    TRANSITIONS,
    has_valid_checksum,
    hint,
    issue_key,
    key_digest,
    resolve_model_list,
)

draws = st.binary(min_size=32, max_size=32)


@given(draws)
def test_every_issued_key_carries_its_checksum_and_has_one_length(draw: bytes) -> None:
    key = issue_key(GATEWAY_PREFIX, draw)
    assert has_valid_checksum(key)
    assert key.startswith("kt_gk_")
    assert len(key) == len(issue_key(GATEWAY_PREFIX, bytes(32)))


@given(draws, st.data())
def test_a_mistyped_key_is_told_without_a_look_up(draw: bytes, data: st.DataObject) -> None:
    key = issue_key(GATEWAY_PREFIX, draw)
    at = data.draw(st.integers(6, len(key) - 1))
    other = data.draw(st.sampled_from("0123456789abcXYZ").filter(lambda letter: letter != key[at]))
    assert not has_valid_checksum(key[:at] + other + key[at + 1 :])


@given(draws, draws)
def test_different_draws_are_different_keys(a: bytes, b: bytes) -> None:
    assert (issue_key(GATEWAY_PREFIX, a) == issue_key(GATEWAY_PREFIX, b)) == (a == b)


def test_a_hint_shows_prefix_and_last_four() -> None:
    key = issue_key(GATEWAY_PREFIX, bytes(range(32)))
    assert hint(key) == f"kt_gk_...{key[-4:]}"


def test_a_digest_depends_on_the_pepper_and_does_not_show_the_key() -> None:
    one, other = key_digest(b"a" * 32, "kt_gk_x"), key_digest(b"b" * 32, "kt_gk_x")
    assert one != other
    assert len(one) == 32
    assert "kt_gk" not in one


def test_revoked_is_for_good() -> None:
    assert TRANSITIONS["revoked"] == frozenset()
    assert all("revoked" in TRANSITIONS[state] for state in TRANSITIONS if state != "revoked")


def test_a_star_or_nothing_means_every_model() -> None:
    assert resolve_model_list(None) is None
    assert resolve_model_list(["gpt-4o", "*"]) is None
    assert resolve_model_list(["gpt-4o"]) == ("gpt-4o",)
