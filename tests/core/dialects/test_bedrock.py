"""Amazon Bedrock's Converse, as a provider: what is asked, what a whole answer says, and a stream of it cut anywhere."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeptrusts.core.calls.conversation import (
    Audio,
    Begin,
    Broken,
    Choice,
    Conversation,
    Document,
    Ended,
    Format,
    Image,
    Reasoning,
    Reply,
    Stopped,
    StreamEvent,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    Tool,
    ToolBegin,
    ToolChoice,
    ToolDelta,
    ToolResult,
    ToolUse,
    Turn,
    UsageNews,
)
from keeptrusts.core.calls.usage import Usage
from keeptrusts.core.dialects import bedrock_request
from keeptrusts.core.dialects.aws_event_stream import MAX_MESSAGE_BYTES
from keeptrusts.core.dialects.bedrock_models import family_of
from keeptrusts.core.dialects.bedrock_reply import MOST_TOKENS, read_error, read_reply
from keeptrusts.core.dialects.bedrock_request import base_url_of, path_of, write_request
from keeptrusts.core.dialects.bedrock_stream import StreamReader
from keeptrusts.core.refusal import Reason, Refused
from tests.core.dialects.event_stream_bytes import event, exception, message

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NEWER = "anthropic.claude-opus-4-7"
NOVA = "amazon.nova-2-lite-v1:0"
LLAMA = "meta.llama3-1-70b-instruct-v1:0"
OPEN = "openai.gpt-oss-120b-1:0"
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123def456"


def asked(*turns: Turn, **more: Any) -> Conversation:
    return Conversation(model="m", turns=turns or (user("hi"),), **more)


def user(*parts: Any) -> Turn:
    return Turn("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def model(*parts: Any) -> Turn:
    return Turn("assistant", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def written(conversation: Conversation, name: str = CLAUDE) -> Any:
    return json.loads(write_request(conversation, name))


def content_of(*parts: Any, name: str = CLAUDE) -> Any:
    return written(asked(user(*parts)), name)["messages"][0]["content"]


# Requests


@pytest.mark.parametrize(
    ("name", "stream", "path"),
    [
        (CLAUDE, False, "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"),
        (LLAMA, True, "/model/meta.llama3-1-70b-instruct-v1%3A0/converse-stream"),
        (
            PROFILE,
            False,
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc123def456/converse",
        ),
        ("..", False, "/model/%2E%2E/converse"),
    ],
)
def test_paths(name: str, stream: bool, path: str) -> None:
    assert path_of(name, stream) == path


def test_the_regions_address() -> None:
    assert base_url_of("eu-central-1") == "https://bedrock-runtime.eu-central-1.amazonaws.com"


@pytest.mark.parametrize(
    ("name", "family"),
    [
        (CLAUDE, "claude"),
        ("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0", "claude"),
        (PROFILE, "claude"),
        ("arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.meta.llama3-3-70b-instruct-v1:0", "other"),
        ("us.amazon.nova-pro-v1:0", "nova"),
        (OPEN, "openai"),
        ("mistral.mistral-large-2407-v1:0", "other"),
    ],
)
def test_families(name: str, family: str) -> None:
    assert family_of(name) == family


def test_the_least_request() -> None:
    assert written(asked()) == {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}


def test_a_whole_request() -> None:
    conversation = asked(
        system=(Text("Be brief.", cache="1h"), Text(" ")),
        tools=(
            Tool("weather", "Tells it", {"type": "object", "properties": {"city": {}}}, strict=True, cache="5m"),
            Tool("now"),
        ),
        tool_choice=ToolChoice("named", "weather"),
        max_tokens=99,
        temperature=0.5,
        top_p=0.25,
        top_k=3,
        stop=("END",),
        seed=7,
        presence_penalty=0.5,
        response_format=Format("schema", "out", {"type": "object"}, strict=True, description="d"),
        user="u",
    )
    assert written(conversation) == {
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
        "system": [{"text": "Be brief."}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
        "inferenceConfig": {"maxTokens": 99, "temperature": 0.5, "topP": 0.25, "stopSequences": ["END"]},
        "toolConfig": {
            "tools": [
                {
                    "toolSpec": {
                        "name": "weather",
                        "description": "Tells it",
                        "inputSchema": {"json": {"type": "object", "properties": {"city": {}}}},
                        "strict": True,
                    }
                },
                {"cachePoint": {"type": "default"}},
                {"toolSpec": {"name": "now", "inputSchema": {"json": {"type": "object", "properties": {}}}}},
            ],
            "toolChoice": {"tool": {"name": "weather"}},
        },
        "additionalModelRequestFields": {"top_k": 3},
        "outputConfig": {
            "textFormat": {
                "type": "json_schema",
                "structure": {"jsonSchema": {"schema": '{"type":"object"}', "name": "out", "description": "d"}},
            }
        },
    }


@pytest.mark.parametrize(
    ("name", "more", "sampling"),
    [
        (LLAMA, {"temperature": 1.5, "top_p": 1.0}, {"temperature": 1, "topP": 1.0}),
        (CLAUDE, {"temperature": 1.5, "top_p": 1.0}, {}),
        (CLAUDE, {"temperature": 0.0, "reasoning": Reasoning(budget_tokens=2000)}, {}),
        (NEWER, {"temperature": 0.0, "top_k": 4}, {}),
    ],
)
def test_sampling(name: str, more: dict[str, Any], sampling: dict[str, Any]) -> None:
    body = written(asked(**more), name)
    assert body.get("inferenceConfig", {}) == sampling
    assert "top_k" not in body.get("additionalModelRequestFields", {})


@pytest.mark.parametrize(
    ("name", "reasoning", "additional", "effort"),
    [
        (
            CLAUDE,
            Reasoning(budget_tokens=2000, shown=True),
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            None,
        ),
        (CLAUDE, Reasoning("medium"), {"thinking": {"type": "enabled", "budget_tokens": 5000}}, None),
        (NEWER, Reasoning("high", shown=True), {"thinking": {"type": "adaptive", "display": "summarized"}}, "high"),
        (PROFILE, Reasoning(budget_tokens=1500), {"thinking": {"type": "enabled", "budget_tokens": 1500}}, None),
        (OPEN, Reasoning("xhigh"), {"reasoning_effort": "high"}, None),
        (NOVA, Reasoning("minimal"), {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}, None),
        (NOVA, Reasoning("none"), None, None),
        (LLAMA, Reasoning("high"), None, None),
    ],
)
def test_thinking(name: str, reasoning: Reasoning, additional: Any, effort: str | None) -> None:
    body = written(asked(reasoning=reasoning, max_tokens=10_000), name)
    assert body.get("additionalModelRequestFields") == additional
    assert body.get("outputConfig", {}).get("effort") == effort


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (Text("words"), {"text": "words"}),
        (Image(data="aGk=", media_type="image/jpeg"), {"image": {"format": "jpeg", "source": {"bytes": "aGk="}}}),
        (
            Image(url="s3://bucket/a.JPG"),
            {"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://bucket/a.JPG"}}}},
        ),
        (Audio("aGk=", "mp3"), {"audio": {"format": "mp3", "source": {"bytes": "aGk="}}}),
        (
            Document(data="aGk=", media_type="application/pdf", name="Q3_report: (final).pdf"),
            {"document": {"format": "pdf", "name": "Q3 report (final) pdf", "source": {"bytes": "aGk="}}},
        ),
        (Document(text="plain"), {"document": {"format": "txt", "name": "document", "source": {"text": "plain"}}}),
        (
            Document(url="s3://b/t.csv"),
            {"document": {"format": "csv", "name": "document", "source": {"s3Location": {"uri": "s3://b/t.csv"}}}},
        ),
    ],
)
def test_parts(part: Any, block: dict[str, Any]) -> None:
    assert content_of(part) == [block]


def test_no_two_documents_have_one_name() -> None:
    names = [block["document"]["name"] for block in content_of(*[Document(text="x", name="a")] * 3, Document(text="y"))]
    assert names == ["a", "a (2)", "a (3)", "document"]


def test_a_tools_round() -> None:
    foreign = "call|" + "x" * 80
    conversation = asked(
        user("Weather?"),
        model(
            Thinking("hm", "proof"),
            Thinking(redacted="c2VjcmV0"),
            Thinking("unproved"),
            Thinking("", "gemini:proof"),
            ToolUse("toolu_1", "weather", '{"city": "Rome", "n": 1.50}'),
            ToolUse(foreign, "now", ""),
        ),
        user(
            "And?",
            ToolResult("toolu_1", (Text("sunny", cache="5m"), Image(data="aGk=", media_type="image/png"), Text(""))),
            ToolResult(foreign, (Text("no"),), is_error=True),
        ),
        tools=(Tool("weather"), Tool("now")),
    )
    body = write_request(conversation, CLAUDE)
    assert b'"input":{"city": "Rome", "n": 1.50}' in body
    said, answered = json.loads(body)["messages"][1:]
    own = said["content"][3]["toolUse"]["toolUseId"]
    assert said["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "proof"}}},
        {"reasoningContent": {"redactedContent": "c2VjcmV0"}},
        {"toolUse": {"toolUseId": "toolu_1", "name": "weather", "input": {"city": "Rome", "n": 1.5}}},
        {"toolUse": {"toolUseId": own, "name": "now", "input": {}}},
    ]
    assert len(own) <= 64
    assert answered["content"] == [
        {
            "toolResult": {
                "toolUseId": "toolu_1",
                "content": [{"text": "sunny"}, {"image": {"format": "png", "source": {"bytes": "aGk="}}}],
            }
        },
        {"cachePoint": {"type": "default"}},
        {"toolResult": {"toolUseId": own, "content": [{"text": "no"}], "status": "error"}},
        {"text": "And?"},
    ]


@pytest.mark.parametrize(
    ("name", "mark", "point"),
    [
        (CLAUDE, "5m", {"type": "default"}),
        (CLAUDE, "1h", {"type": "default", "ttl": "1h"}),
        (PROFILE, "1h", {"type": "default", "ttl": "1h"}),
        (NOVA, "1h", {"type": "default"}),
        (LLAMA, "5m", None),
    ],
)
def test_cache_points(name: str, mark: Any, point: Any) -> None:
    points = [{"cachePoint": point}] if point is not None else []
    assert content_of(Text("a", cache=mark), "b", name=name) == [{"text": "a"}, *points, {"text": "b"}]


def test_nova_keeps_no_tools() -> None:
    assert len(written(asked(tools=(Tool("t", cache="5m"),)), NOVA)["toolConfig"]["tools"]) == 1


def test_roles_take_turns_and_the_systems_keep_their_place() -> None:
    conversation = asked(user("a"), Turn("system", (Text("Be kind."),)), user("b"), model(" \n"), user("c"), model("d"))
    assert written(conversation)["messages"] == [
        {
            "role": "user",
            "content": [{"text": "a"}, {"text": "<system>\nBe kind.\n</system>"}, {"text": "b"}, {"text": "c"}],
        },
        {"role": "assistant", "content": [{"text": "d"}]},
    ]


CALLED = (user("q"), model(ToolUse("a", "t", "{}")), user(ToolResult("a", (Text("r"),))))
SPEC = {"toolSpec": {"name": "t", "inputSchema": {"json": {"type": "object", "properties": {}}}}}
TOOLS = {"tools": (Tool("t"),)}


@pytest.mark.parametrize(
    ("name", "turns", "more", "config", "own"),
    [
        (LLAMA, (), TOOLS, {"tools": [SPEC]}, None),
        (LLAMA, (), {**TOOLS, "tool_choice": ToolChoice()}, {"tools": [SPEC], "toolChoice": {"auto": {}}}, None),
        (
            LLAMA,
            (),
            {**TOOLS, "tool_choice": ToolChoice("required")},
            {"tools": [SPEC], "toolChoice": {"any": {}}},
            None,
        ),
        (LLAMA, (), {**TOOLS, "tool_choice": ToolChoice("none")}, None, None),
        (
            CLAUDE,
            (),
            {**TOOLS, "tool_choice": ToolChoice("required", parallel=False)},
            {"tools": [SPEC]},
            {"type": "any", "disable_parallel_tool_use": True},
        ),
        (CLAUDE, CALLED, {**TOOLS, "tool_choice": ToolChoice("none")}, {"tools": [SPEC]}, {"type": "none"}),
        (CLAUDE, CALLED, {}, {"tools": [SPEC]}, {"type": "none"}),
    ],
)
def test_tool_choices(name: str, turns: tuple[Turn, ...], more: dict[str, Any], config: Any, own: Any) -> None:
    body = written(asked(*turns, **more), name)
    assert body.get("toolConfig") == config
    assert body.get("additionalModelRequestFields", {}).get("tool_choice") == own


@pytest.mark.parametrize(
    ("name", "conversation", "param", "words"),
    [
        (CLAUDE, asked(n=2), "n", "one answer"),
        (CLAUDE, asked(logprobs=0), "logprobs", "log probabilities"),
        (CLAUDE, asked(response_format=Format("json")), "response_format", "json_schema"),
        (CLAUDE, asked(user(" ")), "messages", "not blank"),
        (CLAUDE, asked(user(Image(url="https://h/a.png"))), "messages", "fetches no URLs"),
        (CLAUDE, asked(user(Image(data="aGk=", media_type="image/tiff"))), "messages", "png, jpeg, gif, webp"),
        (CLAUDE, asked(user(Image(data="aGk="))), "messages", "reads no image"),
        (CLAUDE, asked(user(Document(file_id="f"))), "messages", "send its data"),
        (CLAUDE, asked(user(Document(data="aGk=", media_type="video/mp4"))), "messages", "'video/mp4'"),
        (CLAUDE, asked(user(Audio("aGk=", "midi"))), "messages", "'midi'"),
        (LLAMA, asked(top_k=3), "top_k", LLAMA),
        (OPEN, asked(reasoning=Reasoning("huge")), "reasoning_effort", "huge"),
        (CLAUDE, asked(reasoning=Reasoning("huge")), "reasoning_effort", "huge"),
        (LLAMA, asked(*CALLED), "tools", "called before"),
        (LLAMA, asked(*CALLED, **TOOLS, tool_choice=ToolChoice("none")), "tool_choice", "called before"),
        (LLAMA, asked(**TOOLS, tool_choice=ToolChoice(parallel=False)), "parallel_tool_calls", "at once"),
    ],
)
def test_refuses_by_name_what_it_can_not_do(name: str, conversation: Conversation, param: str, words: str) -> None:
    with pytest.raises(Refused) as refused:
        write_request(conversation, name)
    assert refused.value.reason is Reason.INVALID_REQUEST
    assert refused.value.details == {"param": param}
    assert words in refused.value.message


def test_what_is_left_out_are_parts_of_the_neutral_form() -> None:
    for name in bedrock_request.LEFT_OUT:
        assert name.partition(".")[0] in {*Conversation.__struct_fields__, "parts", "Image", "Thinking"}


# Whole answers


def answer(*blocks: dict[str, Any], stop: str = "end_turn", usage: Any = None) -> bytes:
    body = {
        "metrics": {"latencyMs": 12},
        "output": {"message": {"role": "assistant", "content": list(blocks)}},
        "stopReason": stop,
        "usage": usage or {"inputTokens": 9, "outputTokens": 5, "totalTokens": 14},
    }
    return json.dumps(body).encode()


def test_a_whole_answer() -> None:
    assert read_reply(answer({"text": "Hello"})) == Reply("", None, (Choice((Text("Hello"),)),), Usage(9, output=5))


def test_blocks_of_every_kind() -> None:
    body = answer(
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "proof"}}},
        {"reasoningContent": {"redactedContent": "c2VjcmV0"}},
        {"text": "I look."},
        {"citationsContent": {"content": [{"text": "So it "}, {"text": "says."}], "citations": [{"title": "t"}]}},
        {"toolUse": {"toolUseId": "tooluse_1", "name": "weather", "input": {"city": "Rome", "n": 1.0}}},
        {"toolUse": {"toolUseId": "tooluse_2", "name": "now", "input": {}}},
        {"somethingNew": {}},
        stop="tool_use",
    )
    assert read_reply(body).choices == (
        Choice(
            (
                Thinking("hm", "proof"),
                Thinking(redacted="c2VjcmV0"),
                Text("I look."),
                Text("So it says."),
                ToolUse("tooluse_1", "weather", '{"city":"Rome","n":1.0}'),
                ToolUse("tooluse_2", "now", "{}"),
            ),
            "tool_use",
        ),
    )


STOPS = {
    "end_turn": "stop",
    "tool_use": "tool_use",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "malformed_model_output": "content_filter",
    "malformed_tool_use": "content_filter",
    "model_context_window_exceeded": "length",
    "a_new_one": "content_filter",
}


@pytest.mark.parametrize("reason", STOPS)
def test_why_it_stopped(reason: str) -> None:
    assert read_reply(answer({"text": "x"}, stop=reason)).choices[0].stop == STOPS[reason]


def told(input: Any, output: Any, **more: Any) -> dict[str, Any]:
    return {"inputTokens": input, "outputTokens": output, "totalTokens": 0, **more}


@pytest.mark.parametrize(
    ("figures", "usage"),
    [
        (told(3, 7, cacheReadInputTokens=2000, cacheWriteInputTokens=100), Usage(3, 2000, 100, 0, 7)),
        (
            told(
                3,
                7,
                cacheWriteInputTokens=150,
                cacheDetails=[{"ttl": "1h", "inputTokens": 100}, {"ttl": "5m", "inputTokens": 50}],
            ),
            Usage(3, 0, 50, 100, 7),
        ),
        (told(0, 0), Usage()),
        (told(MOST_TOKENS, 0), Usage(MOST_TOKENS)),
        (told(-1, 0), None),
        (told(0, -1), None),
        (told(0, 0, cacheReadInputTokens=-1), None),
        (told(0, 0, cacheWriteInputTokens=-1), None),
        (told(0, 0, cacheWriteInputTokens=5, cacheDetails=[{"ttl": "1h", "inputTokens": 6}]), None),
        (told(0, 0, cacheWriteInputTokens=5, cacheDetails=[{"ttl": "1h", "inputTokens": -1}]), None),
        (told(MOST_TOKENS, 0, cacheReadInputTokens=1), None),
        (told(0, MOST_TOKENS + 1), None),
        (told("9", 0), None),
        ({"inputTokens": 1}, None),
        ([], None),
    ],
)
def test_usage(figures: Any, usage: Usage | None) -> None:
    body = json.loads(answer({"text": "x"}))
    assert read_reply(json.dumps({**body, "usage": figures}).encode()).usage == usage


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"message":"Too many tokens, please wait before trying again."}',
        b'{"output":{},"stopReason":"end_turn"}',
        b'{"output":{"message":{"content":[{"toolUse":{"toolUseId":"a","name":"b","input":"\xff"}}]}},"stopReason":"x"}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(ValueError, match="not an answer of Bedrock's Converse"):
        read_reply(body)


MISMATCH = (
    "The request signature we calculated does not match the signature you provided.\n\nThe Canonical String for this "
    "request should have been\n'POST\n/model/x/converse\n\nx-amz-security-token:IQoJsecret\n'"
)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"message": "Malformed input."}, (None, "Malformed input.")),
        (
            {"__type": "com.amazon.coral.service#ThrottlingException", "message": "Slow down."},
            ("ThrottlingException", "Slow down."),
        ),
        ({"Message": "No access."}, (None, "No access.")),
        ({"__type": "ValidationException:http://x/", "message": None}, ("ValidationException", None)),
        ({"message": MISMATCH}, (None, MISMATCH.partition("\n")[0])),
        ({"message": "The key ASIAIOSFODNN7EXAMPLE has expired"}, (None, "The key  has expired")),
        ([], (None, None)),
        ("<html>", (None, None)),
    ],
)
def test_errors(body: Any, error: tuple[str | None, str | None]) -> None:
    assert read_error(json.dumps(body).encode()) == error


# Streams


def sent(kind: str, **fields: Any) -> bytes:
    """Bedrock pads its events with ``p``."""
    return event(kind, json.dumps({**fields, "p": "abcdefgh"}, ensure_ascii=False).encode())


def delta(index: int, **fields: Any) -> bytes:
    return sent("contentBlockDelta", contentBlockIndex=index, delta=fields)


def tool(index: int, id: str, name: str) -> bytes:
    start = {"toolUse": {"toolUseId": id, "name": name}}
    return sent("contentBlockStart", contentBlockIndex=index, start=start)


def closed(index: int) -> bytes:
    return sent("contentBlockStop", contentBlockIndex=index)


METADATA = sent(
    "metadata",
    usage={
        "inputTokens": 10,
        "outputTokens": 20,
        "totalTokens": 430,
        "cacheReadInputTokens": 400,
        "cacheWriteInputTokens": 0,
    },
    metrics={"latencyMs": 99},
)
STOP = sent("messageStop", stopReason="tool_use")
STREAM = b"".join(
    (
        sent("messageStart", role="assistant"),
        delta(0, reasoningContent={"text": "Hmm…"}),
        delta(0, reasoningContent={"signature": "proof"}),
        delta(0, reasoningContent={"redactedContent": "c2VjcmV0"}),
        closed(0),
        delta(1, text="für "),
        delta(1, text="Sie"),
        closed(1),
        tool(2, "tooluse_1", "weather"),
        delta(2, toolUse={"input": ""}),
        delta(2, toolUse={"input": '{"city":'}),
        delta(2, toolUse={"input": ' "Rome"}'}),
        closed(2),
        tool(3, "tooluse_2", "now"),
        closed(3),
        STOP,
        METADATA,
    )
)
EVENTS: list[StreamEvent] = [
    Begin(""),
    ThinkingDelta("Hmm…"),
    ThinkingDelta(signature="proof"),
    ThinkingDelta(redacted="c2VjcmV0"),
    TextDelta("für "),
    TextDelta("Sie"),
    ToolBegin("tooluse_1", "weather", 0),
    ToolDelta('{"city":', 0),
    ToolDelta(' "Rome"}', 0),
    ToolBegin("tooluse_2", "now", 1),
    ToolDelta("{}", 1),
    Stopped("tool_use"),
    UsageNews(Usage(10, 400, output=20)),
    Ended(),
]


def read(*pieces: bytes) -> list[StreamEvent]:
    reader = StreamReader()
    return [one for piece in pieces for one in reader.feed(piece)] + reader.finish()


def test_a_stream() -> None:
    assert read(STREAM) == EVENTS


def test_a_stream_ends_with_its_metadata_once_the_model_has_stopped() -> None:
    assert StreamReader().feed(STREAM) == EVENTS
    assert StreamReader().feed(METADATA) == [EVENTS[-2]]


def test_a_stream_byte_by_byte() -> None:
    assert read(*(STREAM[at : at + 1] for at in range(len(STREAM)))) == EVENTS


@settings(max_examples=60)
@given(st.lists(st.integers(0, len(STREAM)), max_size=12).map(sorted))
def test_a_stream_cut_anywhere(cuts: list[int]) -> None:
    pieces = [STREAM[start:end] for start, end in zip([0, *cuts], [*cuts, len(STREAM)], strict=True)]
    assert read(*pieces) == EVENTS


def test_tools_that_are_called_at_once_are_kept_apart() -> None:
    mixed = (tool(4, "a", "x"), tool(7, "b", "y"), delta(4, toolUse={"input": "1"}), delta(7, toolUse={"input": "2"}))
    assert read(*mixed) == [ToolBegin("a", "x", 0), ToolBegin("b", "y", 1), ToolDelta("1", 0), ToolDelta("2", 1)]


def test_a_stream_without_metadata_ends_when_it_is_over() -> None:
    reader = StreamReader()
    assert reader.feed(STREAM.removesuffix(METADATA)) == EVENTS[:-2]
    assert reader.finish() == [Ended()]
    assert reader.finish() == []


def test_a_stream_that_breaks_off_does_not_end() -> None:
    assert read(STREAM.removesuffix(STOP + METADATA)) == EVENTS[:-3]
    assert read(STREAM[:-1]) == [*EVENTS[:-2], Ended()]


KINDS = (
    "internalServerException",
    "modelStreamErrorException",
    "validationException",
    "throttlingException",
    "serviceUnavailableException",
)


@pytest.mark.parametrize("kind", KINDS)
def test_an_exception_in_a_stream_ends_it(kind: str) -> None:
    events = read(delta(0, text="a"), exception(kind, b'{"message":"Try again."}'), STREAM)
    assert events == [TextDelta("a"), Broken("Try again.", kind)]


def test_an_exception_without_words() -> None:
    assert read(exception("throttlingException", b"")) == [
        Broken("Bedrock reports an error without words.", "throttlingException")
    ]


def test_an_error_of_the_framing() -> None:
    headers = {":message-type": "error", ":error-code": "InternalError", ":error-message": "It failed."}
    assert read(message(headers)) == [Broken("It failed.", "InternalError")]


def test_bytes_that_are_no_event_stream_break_it_once() -> None:
    reader = StreamReader()
    broken = Broken("Bedrock's event stream is damaged: the checksum of a message's prelude is wrong.")
    assert reader.feed(delta(0, text="a") + b'{"message":"a body of JSON"}') == [TextDelta("a"), broken]
    assert reader.feed(STREAM) == []
    assert reader.finish() == []


@pytest.mark.parametrize(
    "junk",
    [
        event("contentBlockDelta", b"{"),
        event("contentBlockDelta", b'{"delta":{"text":"\xff"}}'),
        event("contentBlockDelta", b'{"contentBlockIndex":9,"delta":{"toolUse":{"input":"x"}}}'),
        event("contentBlockStart", b'{"contentBlockIndex":9,"start":{"image":{"format":"png"}}}'),
        event("contentBlockStop", b'{"contentBlockIndex":9}'),
        event("somethingNew", b"{}"),
        message(b""),
    ],
)
def test_malformed_events_are_skipped(junk: bytes) -> None:
    at = STREAM.index(delta(1, text="Sie"))
    assert read(STREAM[:at], junk, STREAM[at:]) == EVENTS


def test_a_stream_that_is_too_large_says_so() -> None:
    reader = StreamReader()
    reader.feed(event("contentBlockDelta", b"x" * MAX_MESSAGE_BYTES))
    assert reader.overfull


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["delta", "text", "usage", "stopReason", "start", "toolUse", "message"]), inner
        )
    ),
    max_leaves=6,
).map(lambda value: json.dumps(value).encode())
KIND = st.sampled_from(
    ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"]
)


@given(st.lists(st.builds(event, KIND, JSON) | st.builds(exception, KIND, JSON) | st.binary(max_size=20), max_size=6))
def test_no_bytes_make_it_raise(pieces: list[bytes]) -> None:
    read(*pieces)


@given(st.binary(max_size=60) | JSON)
def test_no_bytes_make_reading_an_error_raise(body: bytes) -> None:
    read_error(body)
