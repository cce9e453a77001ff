"""How a text is cut makes no difference to what is found in it, nor to what is redacted."""

import json
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeptrusts.core.policies.judge import compile_policies
from keeptrusts.core.policies.scanner import STRIDE_BYTES, Scanner, read_whole
from tests.core.policies.written import Written

REDACTING = compile_policies(
    [
        Written("redact", type="pii", name="pii"),
        Written("redact", type="secrets", name="secrets"),
        Written("redact", {"categories": ["hate"]}, "hate"),
        Written("redact", {"patterns": ["ab+c.*z", "[0-9]{2,}x"], "longest_match": 30}, "own", "regex"),
    ]
)
BLOCKING = compile_policies(
    [
        Written("redact", {"entities": ["email"]}, "pii", "pii"),
        Written("block", {"words": ["stop here"]}, "s", "keyword"),
    ]
)
NOTING = compile_policies(
    [Written("flag", type="pii", name="pii"), Written("redact", {"words": ["x"]}, "k", "keyword", shadow=True)]
)
assert REDACTING is not None
assert BLOCKING is not None
assert NOTING is not None

PIECES = [
    *(
        "bob@example.com",
        "+1 415 555 2671",
        "4111 1111 1111 1111",
        "4111111111111111",
        "123-45-6789",
        "GB82WEST12345698765432",
    ),
    *("heil hitler", "HEIL\u200b \n hitler", "AKIAIOSFODNN7EXAMPLE", "abbbc", "z", "77x", "stop here", "STOP-\nhere"),
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc+/==\n-----END RSA PRIVATE KEY-----",
    *(
        " ",
        "\n",
        "a",
        "é",
        "ü",
        "\U0001f600",
        "\u200b",
        '"',
        "\\",
        "{",
        ":",
        "1",
        "-",
        "@",
        ".",
        "x" * 50,
        "ﬁ",
        "\ufdfa",
    ),
]


DICE = st.integers(0, 2**32).map(Random)
TEXTS = st.lists(st.sampled_from(PIECES), max_size=10).map("".join)


def cut(dice, text):
    """The text in pieces of any length."""
    at, pieces = 0, []
    while at < len(text):
        length = dice.choice([1, 1, 2, 3, 7, 40])
        pieces.append(text[at : at + length])
        at += length
    return pieces


@settings(max_examples=150, deadline=None)
@given(DICE, TEXTS)
@pytest.mark.parametrize("judge", [REDACTING, BLOCKING, NOTING], ids=["redact", "block", "flag"])
def test_cutting_makes_no_difference(judge, dice, text):
    whole, at_once = read_whole(judge.rule_set, text)
    scanner = Scanner(judge.rule_set)
    told = [scanner.push(piece) for piece in cut(dice, text)]
    told.append(scanner.push("", last=True))
    assert "".join(told) == whole
    assert scanner.blocked_by == at_once.blocked_by
    if scanner.blocked_by is None:
        assert scanner.met == at_once.met


@settings(max_examples=100, deadline=None)
@given(DICE, TEXTS)
def test_what_only_notes_never_delays_nor_changes(dice, text):
    scanner = Scanner(NOTING.rule_set)
    for piece in cut(dice, text):
        assert scanner.push(piece) == piece


@settings(max_examples=100, deadline=None)
@given(DICE, st.lists(st.sampled_from(["word ", "é", "bob@example.com ", "\u200b"]), max_size=60).map("".join))
def test_no_more_is_held_back_than_may_be_needed(dice, text):
    scanner = Scanner(BLOCKING.rule_set)
    told = "".join(scanner.push(piece) for piece in cut(dice, text))
    whole, _ = read_whole(BLOCKING.rule_set, text)
    assert whole.startswith(told)
    assert len(whole.encode()) - len(told.encode()) <= BLOCKING.rule_set.longest_bytes + STRIDE_BYTES + len(
        "bob@example.com"
    )


def test_what_comes_before_a_block_is_told_and_nothing_after():
    told, scanner = read_whole(BLOCKING.rule_set, "mail bob@example.com and stop here, or bob@example.com")
    assert told == "mail [EMAIL] and "
    assert scanner.blocked_by is not None
    assert scanner.push("more", last=True) == ""


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('{"card": 4111111111111111}', '{"card": "[CREDIT_CARD]"}'),
        ('{"card": "4111111111111111"}', '{"card": "[CREDIT_CARD]"}'),
        ('{"a": "\\"", "n": [4111111111111111]}', '{"a": "\\"", "n": ["[CREDIT_CARD]"]}'),
        ('{"a": "\\\\", "to": "bob@example.com"}', '{"a": "\\\\", "to": "[EMAIL]"}'),
    ],
)
def test_json_stays_json(said, told):
    assert read_whole(REDACTING.rule_set, said)[0] == told
    json.loads(told)
    scanner = Scanner(REDACTING.rule_set)
    assert "".join([*(scanner.push(c) for c in said), scanner.push("", last=True)]) == told


def test_what_overlaps_has_one_marker():
    judge = compile_policies(
        [
            Written("redact", {"patterns": ["abcd"]}, "a", "regex"),
            Written("redact", {"patterns": ["cdef"]}, "b", "regex"),
        ]
    )
    assert read_whole(judge.rule_set, "xabcdefx")[0] == "x[REDACTED]x"


def test_a_key_is_taken_whole_however_long_it_is():
    key = "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQ+/\n" * 100 + "-----END PRIVATE KEY-----"
    scanner = Scanner(REDACTING.rule_set)
    text = f"see {key}; end."
    told = [scanner.push(text[at : at + 17]) for at in range(0, len(text), 17)]
    assert "".join([*told, scanner.push("", last=True)]) == "see [PRIVATE_KEY]; end."


def test_a_text_of_nothing_but_candidates_ends():
    """Checking costs a library's time: after so many, what has the form counts as found."""
    text = "1111 1111 1111 1112 " * 5_000
    told, scanner = read_whole(REDACTING.rule_set, text)
    assert scanner.met
    assert told != text
