from typing import Any

import msgspec
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import Response

from keeptrusts.core.calls.conversation import (
    Choice,
    Conversation,
    Format,
    Reasoning,
    Reply,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolUse,
)
from keeptrusts.core.calls.usage import Usage
from keeptrusts.core.dialects.openai_error import read_error, write_error
from keeptrusts.core.dialects.openai_responses_answer import read_reply
from keeptrusts.core.dialects.openai_responses_reply import write_reply
from keeptrusts.core.dialects.openai_responses_seals import marked
from tests.core.dialects.openai_responses_sdk import ASKED, checked, client

RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1_741_476_542,
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "model": "gpt-5-2025-08-07",
    "output": [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "First."}, {"type": "summary_text", "text": "Then."}],
            "encrypted_content": "gAAA",
        },
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}, "name": 5},
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "content": [
                {"type": "output_text", "text": "Once", "annotations": [{"type": "url_citation", "url": "https://a"}]},
                {"type": "refusal", "refusal": "No."},
            ],
        },
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "name": "get_weather",
            "arguments": '{"town": "Ulm"}',
            "status": "completed",
        },
    ],
    "usage": {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 20},
        "total_tokens": 150,
    },
}
REPLY = Reply(
    "resp_1",
    "gpt-5-2025-08-07",
    (
        Choice(
            (
                Thinking("First.\n\nThen.", "responses:gAAA"),
                Text("Once"),
                Text("No.", refusal=True),
                ToolUse("call_1", "get_weather", '{"town": "Ulm"}'),
            ),
            "tool_use",
        ),
    ),
    Usage(10, 60, 30, 0, 50, 20),
    1_741_476_542,
)


def response(**fields: Any) -> bytes:
    return msgspec.json.encode({**RESPONSE, **fields})


class TestReading:
    def test_a_whole_answer(self) -> None:
        assert read_reply(response()) == REPLY

    @pytest.mark.parametrize(
        ("fields", "stop"),
        [
            ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
            ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter"),
            ({"status": "incomplete"}, "length"),
            ({"output": RESPONSE["output"][:3]}, "stop"),
            ({"output": [], "status": None}, "stop"),
        ],
    )
    def test_stops(self, fields: dict[str, Any], stop: str) -> None:
        assert read_reply(response(**fields)).choices[0].stop == stop

    def test_what_an_open_model_thought_stands_in_the_content(self) -> None:
        item = {"type": "reasoning", "id": "r", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]}
        assert read_reply(response(output=[item])).choices[0].parts == (Thinking("Hm."),)

    def test_logprobs_have_the_shape_of_chat(self) -> None:
        told = [{"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}]
        message = {"type": "message", "content": [{"type": "output_text", "text": "a", "logprobs": told}]}
        choice = read_reply(response(output=[message])).choices[0]
        assert choice.logprobs == {"content": told, "refusal": None}

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"[]",
            b"\xff",
            b'{"object": "chat.completion", "id": "a", "choices": []}',
            b'{"error": {"message": "a"}}',
            response(status="failed", error={"code": "server_error", "message": "a"}),
            response(status="in_progress"),
            response(output=[{"type": "function_call", "arguments": {}}]),
            b'{"id": "a", "output": ' + b"[" * 100_000,
        ],
    )
    def test_what_is_no_answer(self, body: bytes) -> None:
        with pytest.raises(ValueError, match="no"):
            read_reply(body)


class TestWriting:
    def test_the_sdk_reads_it(self) -> None:
        asked = Conversation(
            model="fast",
            turns=ASKED.turns,
            system=(Text("Be brief."),),
            tools=(Tool("get_weather", "d", {"type": "object"}, True),),
            tool_choice=ToolChoice("named", "get_weather", False),
            max_tokens=50,
            temperature=0.5,
            response_format=Format("schema", "n", {"type": "object"}, True),
            reasoning=Reasoning("low", shown=True),
        )
        got = client(write_reply(REPLY, asked)).responses.create(model="fast", input="Hello")
        checked(Response, got.model_dump(exclude_unset=True, by_alias=True))
        assert (got.status, got.output_text, got.instructions) == ("completed", "Once", "Be brief.")
        assert [item.type for item in got.output] == ["reasoning", "message", "function_call"]
        call = got.output[2]
        assert call.type == "function_call"
        assert (call.call_id, call.name, call.arguments) == ("call_1", "get_weather", '{"town": "Ulm"}')
        usage = got.usage
        assert usage is not None
        assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (100, 50, 150)
        assert usage.input_tokens_details.cached_tokens == 60
        assert usage.output_tokens_details.reasoning_tokens == 20

    def test_an_answer_that_was_cut(self) -> None:
        body = msgspec.json.decode(write_reply(Reply("a", None, (Choice((Text("Once"),), "length"),), None), ASKED))
        assert body["status"] == body["output"][0]["status"] == "incomplete"
        assert body["incomplete_details"] == {"reason": "max_output_tokens"}
        assert (body["usage"], body["model"]) == (None, "gpt-5")
        checked(Response, body)

    def test_an_answer_without_choices_says_nothing(self) -> None:
        assert msgspec.json.decode(write_reply(Reply("a", "m", ()), ASKED))["output"] == []

    def test_other_providers_seals_come_back_as_they_went(self) -> None:
        parts = (Thinking("", "EqQB"), Thinking(redacted="ErUB"))
        body = msgspec.json.decode(write_reply(Reply("a", "m", (Choice(parts),)), ASKED))
        shown, hidden = body["output"]
        assert (shown["summary"], shown["encrypted_content"]) == ([{"type": "summary_text", "text": ""}], "EqQB")
        assert (hidden["summary"], hidden["encrypted_content"]) == ([], "ErUB")


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "kind", "exception"),
        [
            (400, "invalid_request_error", openai.BadRequestError),
            (401, "authentication_error", openai.AuthenticationError),
            (403, "permission_error", openai.PermissionDeniedError),
            (409, "policy_violation", openai.ConflictError),
            (429, "rate_limit_error", openai.RateLimitError),
            (503, "service_unavailable", openai.InternalServerError),
        ],
    )
    def test_the_sdk_raises_them(self, status: int, kind: str, exception: type[openai.APIStatusError]) -> None:
        body = write_error(status, kind, "Not now.", "the_code", {"param": "input"})
        with pytest.raises(exception) as raised:
            client(body, status).responses.create(model="gpt-5", input="Hello")
        assert raised.value.status_code == status
        assert (raised.value.code, raised.value.type, raised.value.param) == ("the_code", kind, "input")
        assert read_error(body) == ("the_code", "Not now.")


words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
names = st.text("abcdefghij_", min_size=1, max_size=8)
seals = names.map(marked)
parts = (
    st.builds(Text, words, refusal=st.booleans())
    | st.builds(ToolUse, names, names, words)
    | st.builds(Thinking, words, st.none() | seals)
    | st.builds(Thinking, redacted=seals)
)
counts = st.integers(0, 100_000)
usages = st.builds(
    lambda figures, reasoning: Usage(*figures[:3], 0, figures[3] + reasoning, reasoning),
    st.tuples(counts, counts, counts, counts),
    counts,
)


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    said = tuple(draw(st.lists(parts, max_size=5)))
    called = any(isinstance(part, ToolUse) for part in said)
    stop = draw(st.sampled_from(["length", "content_filter", "tool_use" if called else "stop"]))
    return Reply(
        draw(names),
        draw(names),
        (Choice(said, stop),),
        draw(st.none() | usages),
        draw(st.integers(0, 2_000_000_000)),
    )


@settings(deadline=None)
@given(replies())
def test_what_is_written_reads_the_same(reply: Reply) -> None:
    body = write_reply(reply, ASKED)
    assert read_reply(body) == reply
    checked(Response, msgspec.json.decode(body))


@settings(deadline=None)
@given(st.binary(max_size=200) | st.builds(lambda body, at: body[:at], st.just(response()), st.integers(0, 2_000)))
def test_whatever_comes_is_an_answer_or_none(body: bytes) -> None:
    try:
        read_reply(body)
    except ValueError:
        assert body != response()
