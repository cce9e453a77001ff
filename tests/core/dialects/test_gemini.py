"""Gemini, as a provider: what is asked, what a whole answer says, and a stream of it cut anywhere."""

import base64
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
from keeptrusts.core.dialects import gemini_request
from keeptrusts.core.dialects.gemini_reply import MOST_TOKENS, read_error, read_reply
from keeptrusts.core.dialects.gemini_request import path_of, write_request
from keeptrusts.core.dialects.gemini_stream import StreamReader
from keeptrusts.core.dialects.sse import MAX_EVENT_BYTES
from keeptrusts.core.refusal import Reason, Refused

MODEL = "gemini-3-flash"
OLDER = "gemini-2.5-flash"
WEATHER = Tool("weather", "Tells it", {"type": "object", "properties": {"city": {"type": "string"}}})


def asked(*turns: Turn, **more: Any) -> Conversation:
    return Conversation(model="m", turns=turns or (user("hi"),), **more)


def user(*parts: Any) -> Turn:
    return Turn("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def model(*parts: Any) -> Turn:
    return Turn("assistant", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def written(conversation: Conversation, name: str = MODEL) -> Any:
    return json.loads(write_request(conversation, name))


def parts_of(*parts: Any, name: str = MODEL) -> Any:
    return written(asked(user(*parts)), name)["contents"][0]["parts"]


# Requests


@pytest.mark.parametrize(
    ("name", "stream", "path"),
    [
        ("gemini-2.5-flash", False, "/models/gemini-2.5-flash:generateContent"),
        ("gemini-2.5-flash", True, "/models/gemini-2.5-flash:streamGenerateContent?alt=sse"),
        ("models/gemini-2.5-flash", False, "/models/gemini-2.5-flash:generateContent"),
        ("tunedModels/mine", False, "/tunedModels/mine:generateContent"),
        ("../v1/x?y#z", False, "/models/..%2Fv1%2Fx%3Fy%23z:generateContent"),
    ],
)
def test_paths(name: str, stream: bool, path: str) -> None:
    assert path_of(name, stream) == path


def test_the_least_request() -> None:
    assert written(asked()) == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


def test_a_whole_request() -> None:
    conversation = asked(
        system=(Text("Be brief.", cache="5m"), Text("")),
        tools=(WEATHER, Tool("now")),
        tool_choice=ToolChoice("named", "weather"),
        max_tokens=99,
        temperature=0.0,
        top_p=0.5,
        top_k=3,
        stop=("END",),
        seed=7,
        n=2,
        presence_penalty=0.25,
        frequency_penalty=-1.0,
        logprobs=2,
        response_format=Format("schema", "out", {"type": "object"}),
        user="u",
    )
    assert written(conversation) == {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "tools": [
            {
                "functionDeclarations": [
                    {"name": "weather", "description": "Tells it", "parametersJsonSchema": WEATHER.parameters},
                    {"name": "now"},
                ]
            }
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}},
        "generationConfig": {
            "maxOutputTokens": 99,
            "temperature": 0.0,
            "topP": 0.5,
            "topK": 3,
            "stopSequences": ["END"],
            "seed": 7,
            "candidateCount": 2,
            "presencePenalty": 0.25,
            "frequencyPenalty": -1.0,
            "responseLogprobs": True,
            "logprobs": 2,
            "responseMimeType": "application/json",
            "responseJsonSchema": {"type": "object"},
        },
    }


def test_any_json_has_no_schema() -> None:
    config = written(asked(response_format=Format("json")))["generationConfig"]
    assert config == {"responseMimeType": "application/json"}


@pytest.mark.parametrize(
    ("choice", "strict", "mode"),
    [
        (None, None, "AUTO"),
        (ToolChoice("none"), None, "NONE"),
        (ToolChoice("required"), None, "ANY"),
        (None, True, "VALIDATED"),
        (ToolChoice("none", parallel=False), True, "NONE"),
        (ToolChoice("required", parallel=False), None, "ANY"),
    ],
)
def test_tool_modes(choice: ToolChoice | None, strict: bool | None, mode: str) -> None:
    config = written(asked(tools=(Tool("t", strict=strict),), tool_choice=choice))["toolConfig"]
    assert config == {"functionCallingConfig": {"mode": mode}}


@pytest.mark.parametrize(
    ("part", "wire"),
    [
        (Text("words"), {"text": "words"}),
        (
            Image(data="aGk=", media_type="image/png", detail="high"),
            {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
        ),
        (
            Image(url="https://h/a.JPG?x=1"),
            {"fileData": {"fileUri": "https://h/a.JPG?x=1", "mimeType": "image/jpeg"}},
        ),
        (Image(url="https://h/picture"), {"fileData": {"fileUri": "https://h/picture"}}),
        (Audio("aGk=", "wav"), {"inlineData": {"mimeType": "audio/wav", "data": "aGk="}}),
        (
            Document(data="aGk=", media_type="application/pdf", name="n"),
            {"inlineData": {"mimeType": "application/pdf", "data": "aGk="}},
        ),
        (
            Document(text="é"),
            {"inlineData": {"mimeType": "text/plain", "data": base64.b64encode("é".encode()).decode()}},
        ),
        (Document(url="gs://b/f.pdf"), {"fileData": {"fileUri": "gs://b/f.pdf", "mimeType": "application/pdf"}}),
    ],
)
def test_parts(part: Any, wire: dict[str, Any]) -> None:
    assert parts_of(part) == [wire]


def test_a_tools_round() -> None:
    conversation = asked(
        user("Weather?"),
        model(
            Thinking("hm", "gemini:c2ln"),
            ToolUse("a", "weather", '{"city": "Rome", "n": 1.50}'),
            ToolUse("b", "now", ""),
        ),
        user("And?", ToolResult("a", (Text("sunny"), Text("warm"))), ToolResult("b", (Text("no"),), is_error=True)),
    )
    body = write_request(conversation, MODEL)
    assert b'"args":{"city": "Rome", "n": 1.50}' in body
    assert json.loads(body)["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {
                    "functionCall": {"id": "a", "name": "weather", "args": {"city": "Rome", "n": 1.5}},
                    "thoughtSignature": "c2ln",
                },
                {"functionCall": {"id": "b", "name": "now", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "a", "name": "weather", "response": {"output": "sunny\nwarm"}}},
                {"functionResponse": {"id": "b", "name": "now", "response": {"error": "no"}}},
                {"text": "And?"},
            ],
        },
    ]


def test_a_tools_result_may_hold_pictures_and_name_its_tool() -> None:
    result = ToolResult("x", (Text("see"), Image(data="aGk=", media_type="image/png")), name="draw")
    assert parts_of(result) == [
        {
            "functionResponse": {
                "id": "x",
                "name": "draw",
                "response": {"output": "see"},
                "parts": [{"inlineData": {"mimeType": "image/png", "data": "aGk="}}],
            }
        }
    ]


CALL = {"functionCall": {"id": "a", "name": "t", "args": {}}}


@pytest.mark.parametrize(
    ("name", "parts", "wire"),
    [
        (MODEL, (ToolUse("a", "t", "{}"),), [{**CALL, "thoughtSignature": "skip_thought_signature_validator"}]),
        (OLDER, (ToolUse("a", "t", "{}"),), [CALL]),
        (MODEL, (Thinking("x", "anthropic's"), "hi"), [{"text": "hi"}]),
        (MODEL, (Thinking("", "gemini:s"), "hi"), [{"text": "hi", "thoughtSignature": "s"}]),
        (MODEL, ("hi", Thinking("", "gemini:s")), [{"text": "hi"}, {"text": "", "thoughtSignature": "s"}]),
        (
            MODEL,
            (Thinking("", "gemini:s"), Thinking("", "gemini:z"), ToolUse("a", "t", "{}")),
            [{"text": "", "thoughtSignature": "s"}, {**CALL, "thoughtSignature": "z"}],
        ),
    ],
)
def test_signatures_go_back_where_they_came_from(name: str, parts: tuple[Any, ...], wire: list[Any]) -> None:
    assert written(asked(user("q"), model(*parts)), name)["contents"][1]["parts"] == wire


def test_neighbours_of_one_role_are_one_and_the_systems_keep_their_place() -> None:
    conversation = asked(user("a"), Turn("system", (Text("Be kind."),)), user("b"), model(""), user("c"))
    assert written(conversation)["contents"] == [
        {
            "role": "user",
            "parts": [{"text": "a"}, {"text": "<system>\nBe kind.\n</system>"}, {"text": "b"}, {"text": "c"}],
        }
    ]


@pytest.mark.parametrize(
    ("name", "reasoning", "config"),
    [
        (MODEL, Reasoning("medium"), {"thinkingLevel": "MEDIUM"}),
        (MODEL, Reasoning("none"), {"thinkingLevel": "LOW"}),
        ("gemini-flash-latest", Reasoning("xhigh", shown=True), {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("gemini-10-flash", Reasoning("low"), {"thinkingLevel": "LOW"}),
        (OLDER, Reasoning("none"), {"thinkingBudget": 0}),
        ("gemini-2.5-pro", Reasoning("none"), {"thinkingBudget": 128}),
        (OLDER, Reasoning("high", shown=False), {"thinkingBudget": 24576, "includeThoughts": False}),
        (MODEL, Reasoning("high", 2000), {"thinkingBudget": 2000}),
        (MODEL, Reasoning(), {}),
    ],
)
def test_thinking(name: str, reasoning: Reasoning, config: dict[str, Any]) -> None:
    body = written(asked(reasoning=reasoning), name)
    assert body.get("generationConfig", {}).get("thinkingConfig", {}) == config


@pytest.mark.parametrize(
    ("conversation", "param", "words"),
    [
        (asked(user(Image(data="aGk="))), "messages", "media type"),
        (asked(user(Image())), "messages", "neither data nor a URL"),
        (asked(user(Document(file_id="file-1"))), "messages", "send its data"),
        (asked(user(ToolResult("x", ()))), "messages", "'x'"),
        (asked(user("")), "messages", "not empty"),
        (asked(logprobs=1, stream=True), "logprobs", "streamed"),
        (asked(reasoning=Reasoning("huge")), "reasoning_effort", "huge"),
    ],
)
def test_refuses_by_name_what_it_can_not_do(conversation: Conversation, param: str, words: str) -> None:
    with pytest.raises(Refused) as refused:
        write_request(conversation, MODEL)
    assert refused.value.reason is Reason.INVALID_REQUEST
    assert refused.value.details == {"param": param}
    assert words in refused.value.message


def test_what_is_left_out_are_parts_of_the_neutral_form() -> None:
    for name in gemini_request.LEFT_OUT:
        owner = name.partition(".")[0]
        assert owner in {*Conversation.__struct_fields__, "parts", "Image", "Document", "Thinking"}


# Whole answers

ANSWER: dict[str, Any] = {
    "candidates": [
        {
            "content": {"role": "model", "parts": [{"text": "Hel"}, {"text": "lo"}]},
            "finishReason": "STOP",
            "index": 0,
            "safetyRatings": [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "NEGLIGIBLE"}],
        }
    ],
    "usageMetadata": {
        "promptTokenCount": 20,
        "candidatesTokenCount": 5,
        "totalTokenCount": 25,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 20}],
    },
    "modelVersion": "gemini-2.5-flash",
    "responseId": "r1",
}


def answer(*parts: dict[str, Any], reason: str | None = "STOP", **more: Any) -> bytes:
    candidate = {"content": {"parts": list(parts), "role": "model"}, "finishReason": reason, "index": 0}
    return json.dumps({**ANSWER, "candidates": [candidate], **more}, ensure_ascii=False).encode()


def test_a_whole_answer() -> None:
    expected = Reply("r1", "gemini-2.5-flash", (Choice((Text("Hello"),)),), Usage(input=20, output=5))
    assert read_reply(json.dumps(ANSWER, indent=2).encode()) == expected


def test_thoughts_and_calls() -> None:
    body = answer(
        {"text": "Let me ", "thought": True},
        {"text": "see.", "thought": True},
        {"functionCall": {"name": "weather", "args": {"city": "Rome"}, "id": "own"}, "thoughtSignature": "c2ln"},
        {"functionCall": {"name": "now"}},
    )
    assert read_reply(body).choices == (
        Choice(
            (
                Thinking("Let me see.", "gemini:c2ln"),
                ToolUse("own", "weather", '{"city":"Rome"}'),
                ToolUse("call_r1_0_1", "now", "{}"),
            ),
            "tool_use",
        ),
    )


def test_a_signature_after_the_last_words() -> None:
    body = answer({"text": "Done."}, {"text": "", "thoughtSignature": "c2ln"})
    assert read_reply(body).choices[0].parts == (Text("Done."), Thinking("", "gemini:c2ln"))


def test_several_choices_in_their_order() -> None:
    candidates = [
        {"content": {"parts": [{"text": word}]}, "finishReason": "STOP", "index": index}
        for index, word in ((1, "b"), (0, "a"))
    ]
    reply = read_reply(json.dumps({**ANSWER, "candidates": candidates}).encode())
    assert reply.choices == (Choice((Text("a"),)), Choice((Text("b"),)))


def test_log_probabilities_in_openais_shape() -> None:
    result = {
        "chosenCandidates": [{"token": "é", "tokenId": 1, "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "é", "logProbability": -0.5}]}],
    }
    candidate = {**ANSWER["candidates"][0], "logprobsResult": result}
    told = read_reply(json.dumps({**ANSWER, "candidates": [candidate]}).encode()).choices[0].logprobs
    one = {"token": "é", "logprob": -0.5, "bytes": [195, 169]}
    assert told == {"content": [{**one, "top_logprobs": [one]}], "refusal": None}


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("STOP", "stop"),
        (None, "stop"),
        ("FINISH_REASON_UNSPECIFIED", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "content_filter"),
        ("A_NEW_ONE", "content_filter"),
    ],
)
def test_why_it_stopped(reason: str | None, stop: str) -> None:
    assert read_reply(answer({"text": "x"}, reason=reason)).choices[0].stop == stop


def test_an_answer_that_was_withheld_may_hold_no_content() -> None:
    body = json.dumps({"candidates": [{"finishReason": "SAFETY"}], "usageMetadata": {"promptTokenCount": 3}}).encode()
    assert read_reply(body) == Reply("", None, (Choice((), "content_filter"),), Usage(input=3))


def test_a_prompt_that_was_blocked() -> None:
    body = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 9}}
    assert read_reply(json.dumps(body).encode()).choices == (Choice((), "content_filter"),)


@pytest.mark.parametrize(
    ("metadata", "usage"),
    [
        (
            {
                "promptTokenCount": 100,
                "cachedContentTokenCount": 60,
                "toolUsePromptTokenCount": 7,
                "candidatesTokenCount": 10,
                "thoughtsTokenCount": 30,
                "totalTokenCount": 147,
            },
            Usage(input=47, cache_read=60, output=40, reasoning=30),
        ),
        ({"promptTokenCount": 4, "thoughtsTokenCount": 9, "totalTokenCount": 13}, Usage(4, output=9, reasoning=9)),
        # The total says that the candidates' tokens include the thoughts'.
        (
            {"promptTokenCount": 4, "candidatesTokenCount": 12, "thoughtsTokenCount": 9, "totalTokenCount": 16},
            Usage(4, output=12, reasoning=9),
        ),
        ({"promptTokenCount": MOST_TOKENS}, Usage(MOST_TOKENS)),
        ({"promptTokenCount": 4, "cachedContentTokenCount": 5}, None),
        ({"promptTokenCount": -1}, None),
        ({"promptTokenCount": 1, "candidatesTokenCount": -1}, None),
        ({"promptTokenCount": 1, "thoughtsTokenCount": -1}, None),
        ({"promptTokenCount": 1, "toolUsePromptTokenCount": -1}, None),
        ({"promptTokenCount": MOST_TOKENS + 1}, None),
        ({"promptTokenCount": 1, "candidatesTokenCount": MOST_TOKENS, "thoughtsTokenCount": 1}, None),
        ({"promptTokenCount": "many"}, None),
        ({"candidatesTokenCount": 1}, None),
        (None, None),
    ],
)
def test_usage(metadata: Any, usage: Usage | None) -> None:
    assert read_reply(answer({"text": "x"}, usageMetadata=metadata)).usage == usage


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"candidates":[]}',
        b'{"candidates":[{"index":-1}]}',
        b'{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}',
        b'{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"x":"\xff"}}}]}}]}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(ValueError, match="not an answer of Gemini's"):
        read_reply(body)


INVALID = {"code": 400, "message": "Bad role.", "status": "INVALID_ARGUMENT", "details": []}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"error": INVALID}, ("INVALID_ARGUMENT", "Bad role.")),
        ([{"error": INVALID}], ("INVALID_ARGUMENT", "Bad role.")),
        ({"error": {"code": 500}}, (None, None)),
        (
            {"error": {"status": "PERMISSION_DENIED", "message": "Consumer 'api_key:AIzaSyD-Secret_' is suspended."}},
            ("PERMISSION_DENIED", "Consumer 'api_key:[key]' is suspended."),
        ),
        (
            {"error": {"status": "X", "message": "key AIzaSyA0123456789012345678901234567890 is bad"}},
            ("X", "key [key] is bad"),
        ),
        ([], (None, None)),
        (ANSWER, (None, None)),
        ("<html>", (None, None)),
    ],
)
def test_errors(body: Any, told: tuple[str | None, str | None]) -> None:
    assert read_error(json.dumps(body).encode()) == told


# Streams


def chunk(*parts: dict[str, Any], end: str = "\r\n\r\n", **more: Any) -> bytes:
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": more.pop("index", 0)}
    if "reason" in more:
        candidate["finishReason"] = more.pop("reason")
    payload = {"candidates": [candidate], "modelVersion": "gemini-3-flash", "responseId": "r2", **more}
    return b"data: " + json.dumps(payload, ensure_ascii=False).encode() + end.encode()


FIRST = {"promptTokenCount": 8, "totalTokenCount": 8}
LAST = {"promptTokenCount": 8, "candidatesTokenCount": 6, "thoughtsTokenCount": 20, "totalTokenCount": 34}
STREAM = (
    chunk({"text": "Hmm… ", "thought": True}, usageMetadata=FIRST)
    + chunk({"text": "für"}, usageMetadata=FIRST)
    + chunk({"functionCall": {"name": "weather", "args": {"city": "Zürich"}}, "thoughtSignature": "c2ln"})
    + chunk({"functionCall": {"name": "now", "args": {}, "id": "own"}})
    + chunk({"text": ""}, reason="STOP", usageMetadata=LAST)
)
EVENTS: list[StreamEvent] = [
    Begin("r2", "gemini-3-flash"),
    ThinkingDelta("Hmm… "),
    UsageNews(Usage(8)),
    TextDelta("für"),
    ThinkingDelta(signature="gemini:c2ln"),
    ToolBegin("call_r2_0_0", "weather", 0),
    ToolDelta('{"city":"Zürich"}', 0),
    ToolBegin("own", "now", 1),
    ToolDelta("{}", 1),
    UsageNews(Usage(8, output=26, reasoning=20)),
    Stopped("tool_use"),
    Ended(),
]


def read(*pieces: bytes) -> list[StreamEvent]:
    reader = StreamReader()
    return [event for piece in pieces for event in reader.feed(piece)] + reader.finish()


def test_a_stream() -> None:
    assert read(STREAM) == EVENTS


def test_a_stream_byte_by_byte() -> None:
    assert read(*(STREAM[at : at + 1] for at in range(len(STREAM)))) == EVENTS


@settings(max_examples=60)
@given(st.lists(st.integers(0, len(STREAM)), max_size=12).map(sorted), st.sampled_from(["\n", "\r", "\r\n"]))
def test_a_stream_cut_anywhere_with_any_line_ends(cuts: list[int], end: str) -> None:
    stream = STREAM.replace(b"\r\n", end.encode())
    pieces = [stream[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert read(*pieces) == EVENTS


def test_a_last_event_may_lack_its_blank_line() -> None:
    assert read(STREAM.rstrip(b"\r\n")) == EVENTS


def test_a_stream_that_breaks_off_does_not_end() -> None:
    events = read(STREAM[: STREAM.rindex(b"data:")])
    assert events == EVENTS[:9]


def test_a_stream_is_complete_only_when_every_choice_is() -> None:
    one, other = chunk({"text": "a"}, reason="STOP"), chunk({"text": "b"}, index=1)
    assert Ended() not in read(one, other)
    assert read(one, other, chunk(index=1, reason="MAX_TOKENS"))[-3:] == [
        Stopped("stop"),
        Stopped("length", 1),
        Ended(),
    ]


def test_models_that_say_stop_with_every_piece() -> None:
    events = read(chunk({"text": "a"}, reason="STOP"), chunk({"text": "b"}, reason="STOP"))
    assert events[1:] == [TextDelta("a"), TextDelta("b"), Stopped("stop"), Ended()]


def test_finishing_twice_ends_once() -> None:
    reader = StreamReader()
    reader.feed(STREAM)
    assert reader.finish()[-1] == Ended()
    assert reader.finish() == []


def test_a_blocked_prompt_in_a_stream() -> None:
    payload = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": FIRST, "responseId": "r"}
    events = read(b"data: " + json.dumps(payload).encode() + b"\n\n")
    assert events == [Begin("r"), UsageNews(Usage(8)), Stopped("content_filter"), Ended()]


def test_an_error_in_a_stream_ends_it() -> None:
    error = {"error": {"code": 503, "message": "Overloaded.", "status": "UNAVAILABLE"}}
    events = read(chunk({"text": "a"}), b"data: " + json.dumps(error).encode() + b"\n\n", STREAM)
    assert events == [Begin("r2", "gemini-3-flash"), TextDelta("a"), Broken("Overloaded.", "UNAVAILABLE")]


@pytest.mark.parametrize(
    "junk", [b"data: {\n\n", b"data: [1]\n\n", b'data: {"candidates":[{"index":1000}]}\n\n', b": ping\n\n", b"\xff\n\n"]
)
def test_malformed_events_are_skipped(junk: bytes) -> None:
    at = STREAM.index(b"data:", 5)
    assert read(STREAM[:at], junk, STREAM[at:]) == EVENTS


def test_a_stream_that_is_too_large_says_so() -> None:
    reader = StreamReader()
    reader.feed(b"data: " + b"x" * MAX_EVENT_BYTES)
    assert reader.overfull


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(sorted({*ANSWER, "error"})), inner),
    max_leaves=6,
)


@given(st.lists(st.binary(max_size=30) | JSON.map(lambda value: b"data: " + json.dumps(value).encode() + b"\n\n")))
def test_no_bytes_make_it_raise(pieces: list[bytes]) -> None:
    read(*pieces)


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_make_reading_an_error_raise(body: bytes) -> None:
    read_error(body)


@settings(max_examples=60)
@given(st.data())
def test_the_same_answer_whole_and_in_a_stream(data: st.DataObject) -> None:
    """Pieces of a stream, put together, are the whole answer."""
    kinds = [
        {"text": "a"},
        {"text": "b", "thoughtSignature": "s"},
        {"text": "t", "thought": True},
        {"functionCall": {"name": "f", "args": {"x": [1, "é"]}}},
        {"functionCall": {"name": "g"}, "thoughtSignature": "z"},
    ]
    parts = data.draw(st.lists(st.sampled_from(kinds), max_size=8))
    streamed = b"".join(chunk(part) for part in parts) + chunk(reason="STOP")
    whole = read_reply(answer(*parts, responseId="r2"))
    assert assembled(read(streamed)) == whole.choices[0]


def assembled(events: list[StreamEvent]) -> Choice:
    parts: list[Any] = []
    stop: Any = None
    for event in events:
        match event, parts[-1] if parts else None:
            case TextDelta(), Text(text=text):
                parts[-1] = Text(text + event.text)
            case TextDelta(), _:
                parts.append(Text(event.text))
            case ThinkingDelta(), Thinking(text=text, signature=None):
                parts[-1] = Thinking(text + event.text, event.signature)
            case ThinkingDelta(), _:
                parts.append(Thinking(event.text, event.signature))
            case ToolBegin(), _:
                parts.append(ToolUse(event.id, event.name, ""))
            case ToolDelta(), ToolUse() as call:
                parts[-1] = ToolUse(call.id, call.name, call.arguments + event.arguments)
            case Stopped(), _:
                stop = event.stop
    return Choice(tuple(parts), stop)
