"""The simulated provider answers as OpenAI does, counts honestly, and says the same whenever it is asked the same."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from keeptrusts.core.providers.openai import StreamReader, read_reply
from keeptrusts.core.providers.simulated import simulate_reply, simulate_stream, simulated_fault
from keeptrusts.core.routing.target import SimulatedSettings

PLAIN = SimulatedSettings()
HAIKU = "Write a short haiku about cloud computing."


def count(text):
    """A vocabulary of words of at most four letters."""
    return sum(-(-len(word) // 4) for word in text.split())


def asked(content=HAIKU, **fields):
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": content}], **fields}


def reply(request, settings=PLAIN):
    return json.loads(simulate_reply(request, settings, count, 1_700_000_000))


def events(request, settings=PLAIN):
    return list(simulate_stream(request, settings, count, 1_700_000_000))


def chunks(request, settings=PLAIN):
    *data, done = events(request, settings)
    assert done == b"data: [DONE]\n\n"
    return [json.loads(event.removeprefix(b"data: ")) for event in data]


def test_a_reply_is_what_openais_own_types_expect():
    completion = ChatCompletion.model_validate(reply(asked()), strict=True)
    assert completion.choices[0].finish_reason == "stop"
    assert completion.created == 1_700_000_000
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens


@pytest.mark.parametrize("options", [{}, {"stream_options": {"include_usage": True}}])
def test_every_chunk_is_what_openais_own_types_expect(options):
    for chunk in chunks(asked(stream=True, **options)):
        ChatCompletionChunk.model_validate(chunk, strict=True)


def test_the_same_question_has_the_same_answer_and_another_one_another():
    assert reply(asked()) == reply(asked())
    assert reply(asked())["choices"] != reply(asked("Something else"))["choices"]
    assert reply(asked())["id"] != reply(asked("Something else"))["id"]


def test_a_stream_says_what_the_whole_answer_says():
    request = asked(n=3, max_tokens=30, stream_options={"include_usage": True})
    whole = reply(request)
    spoken = ["", "", ""]
    for chunk in chunks(request):
        for choice in chunk["choices"]:
            spoken[choice["index"]] += choice["delta"].get("content", "")
    assert spoken == [choice["message"]["content"] for choice in whole["choices"]]
    assert chunks(request)[-1]["usage"] == whole["usage"]
    assert {chunk["id"] for chunk in chunks(request)} == {whole["id"]}


def test_a_stream_begins_with_the_role_and_ends_with_the_reason():
    first, *_, last = chunks(asked())
    assert first["choices"][0]["delta"]["role"] == "assistant"
    assert (last["choices"][0]["delta"], last["choices"][0]["finish_reason"]) == ({}, "stop")


def test_usage_is_told_only_to_those_who_ask():
    assert all("usage" not in chunk for chunk in chunks(asked()))
    *others, last = chunks(asked(stream_options={"include_usage": True}))
    assert last["choices"] == []
    assert all(chunk["usage"] is None for chunk in others)


@given(st.integers(1, 60), st.integers(1, 3))
def test_max_tokens_is_never_passed_and_usage_is_the_count_of_what_was_said(limit, n):
    answer = reply(asked("Write a long essay.", max_tokens=limit, n=n))
    said = [choice["message"]["content"] for choice in answer["choices"]]
    assert len(said) == n
    assert all(count(text) <= limit for text in said)
    assert answer["usage"]["completion_tokens"] == sum(map(count, said))
    assert {choice["finish_reason"] for choice in answer["choices"]} == {"length"}


def test_a_vocabulary_that_joins_words_does_not_break_the_limit():
    """Counting piece by piece may come out below the whole text's count; the whole text decides."""
    answer = json.loads(simulate_reply(asked(max_tokens=10), PLAIN, lambda text: len(text) ** 2 // 400 + 1, 0))
    assert answer["usage"]["completion_tokens"] <= 10


def test_the_newer_name_of_the_limit_counts_too():
    assert reply(asked(max_completion_tokens=5))["usage"]["completion_tokens"] <= 5


def test_a_haiku_is_short_an_essay_long_and_the_settings_decide_over_both():
    haiku, essay = reply(asked()), reply(asked("Write a long essay about every country."))
    assert 15 <= haiku["usage"]["completion_tokens"] <= 60
    assert essay["usage"]["completion_tokens"] > 500
    assert haiku["choices"][0]["message"]["content"].endswith(".")
    fixed = reply(asked(), SimulatedSettings(output_tokens=100))
    assert 100 <= fixed["usage"]["completion_tokens"] <= 103


def test_the_whole_prompt_is_counted_tools_and_parts_too():
    def prompt_tokens(**fields):
        return reply(asked(**fields))["usage"]["prompt_tokens"]

    assert prompt_tokens(content="a b") == prompt_tokens(content="a") + 1
    parts = [{"type": "text", "text": "word " * 50}]
    assert prompt_tokens(content=parts) > 50
    assert prompt_tokens(tools=[{"type": "function", "function": {"name": "lookup"}}]) > prompt_tokens()


@pytest.mark.parametrize(
    "request_",
    [
        {}, {"messages": None}, {"messages": [None, 5, "x"]}, {"messages": [{"role": "user"}]},
        asked(n=None, max_tokens=None), asked(n=0, max_tokens=-1), asked(n="2", max_tokens=True),
        asked(stream_options=5), asked(content=None),
    ],
    ids=repr,
)  # fmt: skip
def test_a_request_that_says_little_is_still_answered(request_):
    assert reply(request_)["choices"][0]["message"]["content"]
    assert chunks(request_)


def test_deep_nesting_is_no_trouble():
    nested = []
    for _ in range(900):
        nested = [nested]
    assert reply(asked(nested))["usage"]["prompt_tokens"] > 0


def test_the_gateway_reads_its_usage_as_it_reads_a_providers():
    request = asked(stream_options={"include_usage": True})
    usage = reply(request)["usage"]
    bill = read_reply(simulate_reply(request, PLAIN, count, 0))
    reader = StreamReader(show_usage=False)
    relayed = b"".join(reader.feed(event) for event in events(request))
    assert reader.done
    assert bill.usage == reader.usage
    assert (bill.usage.prompt_tokens, bill.usage.output) == (usage["prompt_tokens"], usage["completion_tokens"])
    assert b'"usage":{' not in relayed


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (429, "requests"),
        (500, "server_error"),
        (503, "server_error"),
        (418, "invalid_request_error"),
    ],
)
def test_a_fault_has_openais_envelope(status, kind):
    error = json.loads(simulated_fault(SimulatedSettings(fault_every=1, fault_status=status)))["error"]
    assert error["type"] == kind
    assert set(error) == {"message", "type", "param", "code"}
    assert str(status) in error["message"]
