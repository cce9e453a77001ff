"""How alike two questions are, by their letters and words, and whether they ask the same thing.

This knows no meaning: it sees through slips of spelling, case, punctuation and filler words, not through synonyms. What it
takes for the same question has the same content words in the same order, every number and every "not" among them.
"""

import re
import unicodedata
from collections.abc import Sequence
from zlib import crc32

DIMENSIONS = 1_024
NGRAM = 3
FILLER_WEIGHT = 0.2
TYPO_LENGTH_MIN = 8
"""A letter more or less is a slip in words as long as this; in shorter ones it is often another word."""

PLURAL_LENGTH_MIN = 5
"""Shorter words often mean something else with an "s": goods, news."""

_WORD = re.compile(r"[^\W_]+|[^\w\s]", re.UNICODE)
_SIGNS = frozenset("+-*/=<>%$\u20ac\u00a3#@&^|~\\")
"""Signs that say something; other punctuation does not."""

_SHORT_FORMS = (
    (re.compile(r"\bcan't\b"), "can not"),
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"'s\b"), " is"),
    (re.compile(r"'re\b"), " are"),
    (re.compile(r"'m\b"), " am"),
    (re.compile(r"'ll\b"), " will"),
)
_PREAMBLE = re.compile(
    r"^\W*(?:(?:hi|hello|hey|please|kindly|(?:can|could|would|will) you|tell me|i (?:want|need|would like) to know)\b\W*)+"
)
"""How people begin who ask politely."""

FILLERS = frozenset(
    ("a", "an", "the", "is", "are", "am", "do", "does", "please", "kindly", "thanks", "hi", "hello", "hey")
)
"""English words that a question can be asked with or without. No word is among them that could change what is asked."""


DENIALS = frozenset(("not", "no", "never", "none", "nor", "neither", "without", "except", "cannot"))


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, folded: without case and mere punctuation."""
    plain = unicodedata.normalize("NFKC", text.replace("\u2019", "'")).casefold()
    for short_form, long_form in _SHORT_FORMS:
        plain = short_form.sub(long_form, plain)
    plain = _PREAMBLE.sub("", plain, count=1) or plain
    return tuple(word for word in _WORD.findall(plain) if word[0].isalnum() or word in _SIGNS)


def content_of(words: Sequence[str]) -> tuple[str, ...]:
    """The words that say what is asked. Where there are none but fillers, these are."""
    content = tuple(word for word in words if word not in FILLERS)
    return content or tuple(words)


def markers_of(words: Sequence[str]) -> tuple[str, ...]:
    """The words in which questions that mean nearly the same must not differ: numbers, and what denies."""
    return tuple(word for word in words if word in DENIALS or any(letter.isdigit() for letter in word))


def features(words: Sequence[str]) -> dict[int, float]:
    """The text as a sparse vector of DIMENSIONS: its words, their pairs, their pieces of NGRAM letters, hashed with signs."""
    found: dict[int, float] = {}
    before = ""
    for word in words:
        weight = FILLER_WEIGHT if word in FILLERS else 1.0
        _add(found, word, 0.5 * weight)
        if weight == 1.0:
            _add(found, f"{before} {word}", 0.5)
            before = word
            padded = f"<{word}>"
            for start in range(max(1, len(padded) - NGRAM + 1)):
                _add(found, padded[start : start + NGRAM], 0.6)
    return found


def _add(found: dict[int, float], feature: str, weight: float) -> None:
    digest = crc32(feature.encode())
    place = digest % DIMENSIONS
    found[place] = found.get(place, 0.0) + (weight if digest & 0x8000_0000 else -weight)


def asks_the_same(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two texts' content words are the same, in the same order, but for slips of one letter in long words."""
    return len(one) == len(other) and all(a == b or _is_slip(a, b) for a, b in zip(one, other, strict=True))


def _is_slip(one: str, other: str) -> bool:
    """Whether one is the other with a letter more, or its plural."""
    if {one[-1:], other[-1:]} == {"s", "y"} and sorted((one, other), key=len)[1][-3:] == "ies":
        return one.removesuffix("ies").removesuffix("y") == other.removesuffix("ies").removesuffix("y")
    short, long = sorted((one, other), key=len)
    if len(long) - len(short) != 1 or not (long.isascii() and long.isalpha()) or short[0] != long[0]:
        return False
    if long == short + "s" and len(short) >= PLURAL_LENGTH_MIN:
        return True
    if len(short) < TYPO_LENGTH_MIN - 1:
        return False
    at = next((place for place, letter in enumerate(short) if letter != long[place]), len(short))
    return short[at:] == long[at + 1 :]
