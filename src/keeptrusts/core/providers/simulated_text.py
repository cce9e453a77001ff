"""Made-up prose that is the same for the same seed: whole sentences from a small stock of words, a word at a time."""

from collections.abc import Iterator
from hashlib import sha256

SUBJECTS = (
    "a quiet server", "the morning cloud", "every small request", "the night shift", "a patient queue", "the far region",
    "one careful budget", "the oldest cable", "a new release", "the shared ledger", "the long road", "a single packet",
    "the harbour", "an open window", "the first engineer", "a borrowed hour", "the winter traffic", "the next question",
)  # fmt: skip
VERBS = (
    "carries", "follows", "remembers", "balances", "outlives", "measures", "crosses", "gathers", "answers", "repeats",
    "waits for", "gives back", "makes room for", "holds", "turns toward", "keeps",
)  # fmt: skip
OBJECTS = (
    "what the day has spent", "a thread of light", "the weight of many voices", "its own slow tide", "the shape of rain",
    "a handful of numbers", "the names of its guests", "more than it was asked", "the space between two answers",
    "a promise to return", "the same small song", "the sum of little things", "an unfinished map", "distant machines",
)  # fmt: skip
ENDINGS = (
    "without a sound", "until the lights go out", "before anyone wakes", "and nothing is lost", "as if it were the first",
    "and asks for no more", "while the city sleeps", "one step at a time", "and lets the rest go", "far above the hills",
    "where the wires end", "and begins again",
)  # fmt: skip


def words(seed: bytes) -> Iterator[str]:
    """An endless text, word by word; every word but the first brings the blank before it, sentences end with a dot."""
    numbers = _numbers(seed)
    is_first = True
    while True:
        sentence = " ".join(stock[next(numbers) % len(stock)] for stock in (SUBJECTS, VERBS, OBJECTS, ENDINGS))
        for word in f"{sentence.capitalize()}.".split(" "):
            yield word if is_first else f" {word}"
            is_first = False


def _numbers(seed: bytes) -> Iterator[int]:
    """Numbers that the seed alone decides: the digests of the seed with a counter, two bytes at a time."""
    counter = 0
    while True:
        digest = sha256(seed + counter.to_bytes(8, "big")).digest()
        yield from (int.from_bytes(digest[i : i + 2], "big") for i in range(0, len(digest), 2))
        counter += 1
