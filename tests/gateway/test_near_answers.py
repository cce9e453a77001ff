"""Questions in other words: bounded, kept apart by partition, and not to be had without numpy."""

import subprocess
import sys

from keeptrusts.gateway.near_answers import MAX_PARTITIONS, MAX_QUESTIONS_EACH, NearAnswers

WITHOUT_NUMPY = """
import asyncio, sys
sys.modules["numpy"] = None
from keeptrusts.core.rulebook.rulebook import CacheRules
from keeptrusts.gateway.answers import Answers, CacheUnusable

async def main():
    Answers(CacheRules(enabled=True), {})
    try:
        Answers(CacheRules(enabled=True, threshold=0.9), {})
    except CacheUnusable as error:
        print(error)

asyncio.run(main())
"""


def test_partitions_never_see_each_other() -> None:
    near = NearAnswers()
    near.add(b"one", near.ask("What is our margin?"), b"key")
    assert list(near.find(b"one", near.ask("what's our margin"), 0.9)) == [b"key"]
    assert list(near.find(b"two", near.ask("What is our margin?"), 0.1)) == []


def test_a_vector_of_no_numbers_is_like_nothing() -> None:
    near = NearAnswers()
    for numbers in ([float("nan"), 1.0], [0.0, 0.0]):
        near.add(b"p", near.ask_by("What now?", numbers), b"k")
        assert list(near.find(b"p", near.ask_by("What now?", numbers), 0.1)) == []
        assert list(near.find(b"p", near.ask_by("What now?", [1.0, 1.0]), 0.1)) == []
    assert list(near.find(b"p", near.ask_by("What now?", [1.0, 1.0, 1.0]), 0.1)) == [], "of another length"


def test_the_oldest_questions_and_partitions_make_room() -> None:
    near = NearAnswers()
    for number in range(MAX_QUESTIONS_EACH + 1):
        near.add(b"p", near.ask(f"question {number}"), b"%d" % number)
    assert list(near.find(b"p", near.ask("question 0"), 0.5)) == []
    assert list(near.find(b"p", near.ask("question 1"), 0.5)) == [b"1"]
    assert list(near.find(b"p", near.ask(f"question {MAX_QUESTIONS_EACH}"), 0.5)) == [b"%d" % MAX_QUESTIONS_EACH]
    for number in range(MAX_PARTITIONS):
        near.add(b"%d" % number, near.ask("question"), b"k")
    assert list(near.find(b"p", near.ask("question 1"), 0.5)) == []


def test_without_numpy_it_is_said_what_to_install() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_NUMPY], capture_output=True, text=True, timeout=30, check=True)
    assert ".[semantic]" in done.stdout
