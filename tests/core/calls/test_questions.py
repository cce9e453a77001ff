"""Which calls may be answered in other words, and which words ask the same: rather a miss than somebody else's answer."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.calls.chat import parse_chat
from keeptrusts.core.calls.likeness import DIMENSIONS, asks_the_same, content_of, features, words_of
from keeptrusts.core.calls.messages import parse_messages
from keeptrusts.core.calls.questions import MAX_QUESTION_CHARS, Question, question_of
from keeptrusts.core.calls.responses import parse_responses

USER = {"role": "user", "content": "How do I reset my password?"}


def chat(*messages: Any, **more: Any) -> Question | None:
    return question_of(parse_chat(json.dumps({"model": "m", "messages": list(messages), **more}).encode()))


def test_the_last_words_are_the_question_and_everything_else_is_not() -> None:
    one, other = chat(USER), chat({**USER, "content": "What now?"})
    assert one is not None
    assert other is not None
    assert one.words == USER["content"]
    assert one.rest == other.rest
    for more in ({"temperature": 1}, {"model": "n"}, {"max_tokens": 5}, {"seed": 1}, {"new_setting": True}):
        found = chat(USER, **more)
        assert found is not None
        assert found.rest != one.rest
    for before in ({"role": "system", "content": "x"}, {"role": "assistant", "content": "x"}, USER):
        found = chat(before, USER)
        assert found is not None
        assert found.rest != one.rest
    named = chat({**USER, "name": "Ann"})
    assert named is not None
    assert named.rest != one.rest


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"type": "function"}]},
        {"functions": [{"name": "f"}]},
        {"response_format": {"type": "json_object"}},
        {"logprobs": True},
        {"web_search_options": {"x": 1}},
    ],
)
def test_calls_that_want_more_than_words_have_no_question(more: dict[str, Any]) -> None:
    assert chat(USER, **more) is None


@pytest.mark.parametrize(
    "messages",
    [
        [],
        ["x"],
        [{"role": "assistant", "content": "x"}],
        [{"role": "user", "content": ""}],
        [{"role": "user", "content": None}],
        [{"role": "user", "content": "x" * (MAX_QUESTION_CHARS + 1)}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}, USER],
        [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image_url"}]}],
        [{"role": "assistant", "content": "x", "tool_calls": []}, USER],
        [{"role": "tool", "content": "x"}, USER],
    ],
)
def test_messages_that_are_more_than_words_have_no_question(messages: list[Any]) -> None:
    assert chat(*messages) is None


def test_every_talking_door_has_questions_of_its_own() -> None:
    asked = {
        "chat": chat(USER),
        "messages": question_of(
            parse_messages(json.dumps({"model": "m", "max_tokens": 5, "messages": [USER]}).encode())
        ),
        "responses": question_of(parse_responses(json.dumps({"model": "m", "input": USER["content"]}).encode())),
        "listed": question_of(parse_responses(json.dumps({"model": "m", "input": [USER]}).encode())),
    }
    assert {found.words for found in asked.values() if found is not None} == {USER["content"]}
    rests = {name: found.rest for name, found in asked.items() if found is not None}
    assert len(rests) == 4
    assert rests["responses"] == rests["listed"]
    assert len(set(rests.values())) == 3


SAME = [
    ("What is the capital of France?", "what's the capital of france"),
    ("Please tell me what the capital of France is", "What the capital of France is?"),
    ("Could you please summarise our refund policies", "Summarise our refund policy"),
    ("How do I reset my password?", "how do I reset my pasword"),
    ("It isn't working", "it is not working."),
]
DIFFERENT = [
    ("What is the capital of France?", "What is the capital of Germany?"),
    ("Convert USD to EUR", "Convert EUR to USD"),
    ("Is it safe?", "Is it not safe?"),
    ("Is it safe?", "Isn't it safe?"),
    ("2+2", "2-2"),
    ("Sum 12 and 13", "Sum 12 and 14"),
    ("List some rules", "List all rules"),
    ("What is X?", "How is X?"),
    ("Can I return it?", "Can you return it?"),
    ("my order", "your order"),
    ("schon da", "schön da"),
    ("import data", "export data"),
    ("write news", "write new"),
    ("version 1.25", "version 12.5"),
    ("a", "b"),
]


def same(one: str, other: str) -> bool:
    return asks_the_same(content_of(words_of(one)), content_of(words_of(other)))


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_asks_the_same_is_seen(one: str, other: str) -> None:
    assert same(one, other)
    assert same(other, one)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_asks_something_else_is_seen(one: str, other: str) -> None:
    assert not same(one, other)


@given(st.text(max_size=200))
def test_any_text_is_like_itself(text: str) -> None:
    words = words_of(text)
    assert same(text, text)
    assert all(0 <= place < DIMENSIONS for place in features(words))
