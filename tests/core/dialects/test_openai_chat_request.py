"""Requests in OpenAI's chat dialect: what applications send, and what providers are sent."""

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keeptrusts.core.calls.conversation import (
    Audio,
    Conversation,
    Document,
    Format,
    Image,
    Part,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
    Turn,
)
from keeptrusts.core.dialects.openai_chat import read_request, write_request
from keeptrusts.core.refusal import Reason, Refused

HELLO = {"role": "user", "content": "Hello!"}
HELLO_TURN = Turn("user", (Text("Hello!"),))
WEATHER_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather.",
        "parameters": WEATHER_SCHEMA,
        "strict": True,
    },
}
WEATHER_TOOL = Tool("get_weather", "Get the weather.", WEATHER_SCHEMA, True)


def read(*messages: Any, **fields: Any) -> Conversation:
    return read_request({"model": "gpt-4o", "messages": list(messages) or [HELLO], **fields})


def written(conversation: Conversation, model: str = "gpt-4o") -> dict[str, Any]:
    return msgspec.json.decode(write_request(conversation, model), type=dict[str, Any])


def asking(*turns: Turn, **fields: Any) -> Conversation:
    return Conversation(model="any", turns=turns or (HELLO_TURN,), **fields)


def test_a_conversation_with_parallel_tools_is_read_into_turns() -> None:
    call = {"type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Bonn"}'}}
    conversation = read(
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
        {"role": "user", "content": "Bonn or Köln?", "name": "ada"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "a", **call}, {"id": "b", **call}]},
        {"role": "tool", "tool_call_id": "a", "content": "rain"},
        {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "sun"}]},
        {"role": "user", "content": "So?"},
        {"role": "system", "content": "Answer now."},
        {"role": "assistant", "content": "Bonn.", "refusal": None},
    )
    arguments = '{"city": "Bonn"}'
    assert conversation.system == (Text("Be brief."), Text("Be kind."))
    assert conversation.turns == (
        Turn("user", (Text("Bonn or Köln?"),)),
        Turn("assistant", (ToolUse("a", "get_weather", arguments), ToolUse("b", "get_weather", arguments))),
        Turn(
            "user",
            (
                ToolResult("a", (Text("rain"),), name="get_weather"),
                ToolResult("b", (Text("sun"),), name="get_weather"),
            ),
        ),
        Turn("user", (Text("So?"),)),
        Turn("system", (Text("Answer now."),)),
        Turn("assistant", (Text("Bonn."),)),
    )


def test_results_of_two_rounds_of_calls_stay_apart() -> None:
    calls = [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    said = {"role": "assistant", "content": "", "tool_calls": calls}
    result = {"role": "tool", "tool_call_id": "a", "content": ""}
    turns = read(HELLO, said, result, said, result).turns
    assert [turn.role for turn in turns] == ["user", "assistant", "user", "assistant", "user"]
    assert turns[2] == Turn("user", (ToolResult("a", (Text(""),), name="f"),))


PNG = "data:image/png;base64,iVBORw0KGgo="
PARTS: list[tuple[dict[str, Any], Part]] = [
    ({"type": "text", "text": "hi"}, Text("hi")),
    ({"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}, Text("hi", cache="5m")),
    ({"type": "text", "text": "hi", "cache_control": {"type": "ephemeral", "ttl": "1h"}}, Text("hi", cache="1h")),
    ({"type": "text", "text": "hi", "prompt_cache_breakpoint": {"mode": "explicit"}}, Text("hi")),
    ({"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}, Image(url="https://a.example/b.png")),
    (
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
        Image(data="iVBORw0KGgo=", media_type="image/png", detail="low"),
    ),
    ({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}, Audio("UklGRg==", "wav")),
    (
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
        Document(data="JVBERi0=", media_type="application/pdf", name="a.pdf"),
    ),
    ({"type": "file", "file": {"file_id": "file-1"}}, Document(file_id="file-1")),
    ({"type": "file", "file": {"file_data": "JVBERi0="}}, Document(data="JVBERi0=")),
]


@pytest.mark.parametrize(("part", "expected"), PARTS)
def test_a_users_part_is_read(part: dict[str, Any], expected: Part) -> None:
    assert read({"role": "user", "content": [part]}).turns == (Turn("user", (expected,)),)


ASSISTANTS: list[tuple[dict[str, Any], tuple[Part, ...]]] = [
    ({"content": "Hi."}, (Text("Hi."),)),
    ({"content": ""}, (Text(""),)),
    ({"content": None, "refusal": "No."}, (Text("No.", refusal=True),)),
    ({"content": "", "refusal": "No."}, (Text("No.", refusal=True),)),
    ({"content": [{"type": "refusal", "refusal": "No."}]}, (Text("No.", refusal=True),)),
    ({"content": "Hi.", "reasoning_content": "hm"}, (Thinking("hm"), Text("Hi."))),
    ({"content": "Hi.", "reasoning": "hm"}, (Thinking("hm"), Text("Hi."))),
    ({"content": "Hi.", "function_call": None, "audio": None, "annotations": []}, (Text("Hi."),)),
]


@pytest.mark.parametrize(("message", "expected"), ASSISTANTS)
def test_an_assistants_message_is_read(message: dict[str, Any], expected: tuple[Part, ...]) -> None:
    assert read(HELLO, {"role": "assistant", **message}).turns[1] == Turn("assistant", expected)


def test_an_image_that_a_tool_made_is_read_and_is_sent_on_after_the_tools_message() -> None:
    image = {"type": "image_url", "image_url": {"url": PNG}}
    calls = [{"id": "a", "type": "function", "function": {"name": "shoot", "arguments": "{}"}}]
    asked = [
        HELLO,
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "done"}, image]},
    ]
    conversation = read(*asked)
    shown = Image(data="iVBORw0KGgo=", media_type="image/png")
    assert conversation.turns[2] == Turn("user", (ToolResult("a", (Text("done"), shown), name="shoot"),))
    assert written(conversation)["messages"][2:] == [
        {"role": "tool", "tool_call_id": "a", "content": "done"},
        {"role": "user", "content": [image]},
    ]
    also = Turn("user", (*conversation.turns[2].parts, Text("What is it?")))
    assert written(asking(HELLO_TURN, also))["messages"][2:] == [
        {"role": "user", "content": [image, {"type": "text", "text": "What is it?"}]},
    ]


FIELDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"max_tokens": 5}, {"max_tokens": 5}),
    ({"max_completion_tokens": 5}, {"max_tokens": 5}),
    ({"max_tokens": 7, "max_completion_tokens": 5}, {"max_tokens": 7}),
    ({"temperature": 0, "top_p": 1, "top_k": 40, "seed": -1}, {"temperature": 0, "top_p": 1, "top_k": 40, "seed": -1}),
    ({"stop": "END"}, {"stop": ("END",)}),
    ({"stop": ["a", "b"]}, {"stop": ("a", "b")}),
    ({"stop": None, "n": None, "user": None, "stream": None, "tools": None, "web_search_options": None}, {}),
    ({"n": 2, "user": "ada"}, {"n": 2, "user": "ada"}),
    ({"presence_penalty": 0.5, "frequency_penalty": -2}, {"presence_penalty": 0.5, "frequency_penalty": -2}),
    ({"logprobs": True}, {"logprobs": 0}),
    ({"logprobs": True, "top_logprobs": 5}, {"logprobs": 5}),
    ({"logprobs": False, "top_logprobs": 0}, {}),
    ({"stream": True}, {"stream": True, "include_usage": False}),
    ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True, "include_usage": True}),
    ({"stream": True, "stream_options": {"include_obfuscation": False}}, {"stream": True, "include_usage": False}),
    ({"stream": False, "stream_options": None}, {}),
    ({"response_format": {"type": "text"}}, {}),
    ({"response_format": {"type": "json_object"}}, {"response_format": Format("json")}),
    (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "w", "schema": WEATHER_SCHEMA, "strict": True, "description": "d"},
            }
        },
        {"response_format": Format("schema", "w", WEATHER_SCHEMA, True, "d")},
    ),
    ({"reasoning_effort": "minimal"}, {"reasoning": Reasoning("minimal")}),
    ({"reasoning_effort": "max"}, {"reasoning": Reasoning("xhigh")}),
    ({"tools": [WEATHER]}, {"tools": (WEATHER_TOOL,)}),
    ({"tools": [{"type": "function", "function": {"name": "f"}}]}, {"tools": (Tool("f"),)}),
    (
        {"tools": [{"type": "function", "function": {"name": "f"}, "cache_control": {"type": "ephemeral"}}]},
        {"tools": (Tool("f", cache="5m"),)},
    ),
    (
        {"tools": [WEATHER], "tool_choice": "required"},
        {"tools": (WEATHER_TOOL,), "tool_choice": ToolChoice("required")},
    ),
    (
        {"tools": [WEATHER], "parallel_tool_calls": False},
        {"tools": (WEATHER_TOOL,), "tool_choice": ToolChoice(parallel=False)},
    ),
    (
        {
            "tools": [WEATHER],
            "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
            "parallel_tool_calls": True,
        },
        {"tools": (WEATHER_TOOL,), "tool_choice": ToolChoice("named", "get_weather", True)},
    ),
    ({"tool_choice": "none"}, {"tool_choice": ToolChoice("none")}),
    (
        {
            "store": True,
            "metadata": {"a": "b"},
            "service_tier": "flex",
            "prompt_cache_key": "k",
            "safety_identifier": "s",
            "prediction": {"type": "content", "content": "x"},
            "verbosity": "low",
            "modalities": ["text"],
            "logit_bias": {},
            "function_call": "auto",
        },
        {},
    ),
]


@pytest.mark.parametrize(("fields", "expected"), FIELDS)
def test_a_field_is_read(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert read(**fields) == Conversation(model="gpt-4o", turns=(HELLO_TURN,), **expected)


def user(*parts: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(parts)}]}


def after(message: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [HELLO, message]}


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("model", {"model": ""}),
    ("model", {"model": None}),
    ("messages", {"messages": []}),
    ("messages", {"messages": None}),
    ("messages[0]", {"messages": ["hi"]}),
    ("messages[1].role", after({"role": "function", "name": "f", "content": "1"})),
    ("messages[1].role", after({"role": ["user"], "content": "1"})),
    ("messages[1].content", after({"role": "user"})),
    ("messages[1].content", after({"role": "user", "content": []})),
    ("messages[1].content", after({"role": "user", "content": {"type": "text", "text": "hi"}})),
    ("messages[1].content", after({"role": "assistant", "content": None})),
    ("messages[1].content", after({"role": "tool", "tool_call_id": "a"})),
    ("messages[1].tool_call_id", after({"role": "tool", "content": "a"})),
    ("messages[1].function_call", after({"role": "assistant", "function_call": {"name": "f", "arguments": ""}})),
    ("messages[1].audio", after({"role": "assistant", "audio": {"id": "a"}})),
    ("messages[1].content[0].type", after({"role": "system", "content": [{"type": "image_url"}]})),
    ("messages[1].content[0].type", after({"role": "assistant", "content": [{"type": "input_audio"}]})),
    ("messages[1].tool_calls", after({"role": "assistant", "tool_calls": {}})),
    ("messages[1].tool_calls[0].type", after({"role": "assistant", "tool_calls": [{"id": "a", "type": "custom"}]})),
    (
        "messages[1].tool_calls[0].function.arguments",
        after({"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f"}}]}),
    ),
    (
        "messages[1].tool_calls[0].id",
        after({"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": ""}}]}),
    ),
    ("messages[0].content[1]", user({"type": "text", "text": "a"}, "b")),
    ("messages[0].content[0].type", user({"text": "a"})),
    ("messages[0].content[0].type", user({"type": "video_url"})),
    ("messages[0].content[0].text", user({"type": "text", "text": 1})),
    ("messages[0].content[0].cache_control.ttl", user({"type": "text", "text": "a", "cache_control": {"ttl": "2h"}})),
    ("messages[0].content[0].image_url", user({"type": "image_url", "image_url": "https://a.example"})),
    ("messages[0].content[0].image_url.url", user({"type": "image_url", "image_url": {"url": "data:image/png,x"}})),
    ("messages[0].content[0].image_url.url", user({"type": "image_url", "image_url": {"url": "data:;base64,x"}})),
    (
        "messages[0].content[0].image_url.url",
        user({"type": "image_url", "image_url": {"url": "data:image/png;base64"}}),
    ),
    ("messages[0].content[0].image_url.detail", user({"type": "image_url", "image_url": {"url": PNG, "detail": 1}})),
    ("messages[0].content[0].input_audio.format", user({"type": "input_audio", "input_audio": {"data": "a"}})),
    ("messages[0].content[0].file", user({"type": "file", "file": {"filename": "a"}})),
    ("messages[0].content[0].file.filename", user({"type": "file", "file": {"filename": 1, "file_id": "a"}})),
    ("temperature", {"temperature": 2.5}),
    ("temperature", {"temperature": "0"}),
    ("temperature", {"temperature": True}),
    ("top_p", {"top_p": -0.1}),
    ("max_tokens", {"max_tokens": 0}),
    ("max_completion_tokens", {"max_completion_tokens": 1.0}),
    ("n", {"n": 129}),
    ("n", {"n": True}),
    ("seed", {"seed": 2**64}),
    ("stop", {"stop": [1]}),
    ("user", {"user": 1}),
    ("stream", {"stream": 1}),
    ("stream_options", {"stream": True, "stream_options": True}),
    ("stream_options.include_usage", {"stream": True, "stream_options": {"include_usage": 1}}),
    ("logprobs", {"logprobs": 1}),
    ("logprobs", {"logprobs": True, "stream": True}),
    ("top_logprobs", {"logprobs": True, "top_logprobs": 21}),
    ("top_logprobs", {"top_logprobs": 1}),
    ("response_format", {"response_format": "json"}),
    ("response_format.type", {"response_format": {"type": "grammar"}}),
    ("response_format.json_schema", {"response_format": {"type": "json_schema"}}),
    ("response_format.json_schema.name", {"response_format": {"type": "json_schema", "json_schema": {}}}),
    ("reasoning_effort", {"reasoning_effort": "very"}),
    ("tools", {"tools": {}}),
    ("tools[0].type", {"tools": [{"type": "custom", "custom": {"name": "f"}}]}),
    ("tools[0].type", {"tools": [{"type": "web_search"}]}),
    ("tools[0].function.name", {"tools": [{"type": "function", "function": {}}]}),
    ("tools[0].function.parameters", {"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]}),
    ("tools[0].function.strict", {"tools": [{"type": "function", "function": {"name": "f", "strict": "yes"}}]}),
    ("tool_choice", {"tools": [WEATHER], "tool_choice": "any"}),
    ("tool_choice", {"tool_choice": "required"}),
    ("tool_choice", {"tools": [WEATHER], "tool_choice": 1}),
    ("tool_choice.type", {"tools": [WEATHER], "tool_choice": {"type": "allowed_tools"}}),
    ("tool_choice.function.name", {"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "g"}}}),
    ("parallel_tool_calls", {"tools": [WEATHER], "parallel_tool_calls": "no"}),
    ("audio", {"audio": {"voice": "alloy", "format": "wav"}}),
    ("modalities", {"modalities": ["text", "audio"]}),
    ("web_search_options", {"web_search_options": {}}),
    ("moderation", {"moderation": {"model": "omni-moderation-latest"}}),
    ("logit_bias", {"logit_bias": {"50256": -100}}),
    ("functions", {"functions": [{"name": "f"}]}),
    ("function_call", {"function_call": {"name": "f"}}),
    ("min_p", {"min_p": 0.1}),
]


@pytest.mark.parametrize(("param", "fields"), REFUSED)
def test_a_wrong_field_is_refused_by_its_name(param: str, fields: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        read_request({"model": "gpt-4o", "messages": [HELLO], **fields})
    assert caught.value.reason is Reason.INVALID_REQUEST
    assert caught.value.details == {"param": param}
    assert caught.value.message.startswith(f"`{param}` ")


@pytest.mark.parametrize("field", ["model", "messages"])
def test_what_must_be_there_is_refused_when_it_is_missing(field: str) -> None:
    with pytest.raises(Refused) as caught:
        read_request({name: value for name, value in {"model": "m", "messages": [HELLO]}.items() if name != field})
    assert caught.value.details == {"param": field}


WRITTEN: list[tuple[Conversation, dict[str, Any]]] = [
    (asking(), {}),
    (asking(max_tokens=5, temperature=0.0, top_p=1.0, top_k=40), {"max_tokens": 5, "temperature": 0.0, "top_p": 1.0}),
    (asking(stream=True), {"stream": True, "stream_options": {"include_usage": True}}),
    (asking(stream=True, include_usage=False), {"stream": True, "stream_options": {"include_usage": True}}),
    (asking(logprobs=0), {"logprobs": True}),
    (asking(logprobs=3), {"logprobs": True, "top_logprobs": 3}),
    (asking(n=2, seed=1, user="ada", stop=("a",)), {"n": 2, "seed": 1, "user": "ada", "stop": ["a"]}),
    (asking(tools=(WEATHER_TOOL,)), {"tools": [WEATHER]}),
    (asking(tools=(WEATHER_TOOL,), tool_choice=ToolChoice("none")), {"tools": [WEATHER], "tool_choice": "none"}),
    (asking(tool_choice=ToolChoice("auto", parallel=False)), {}),
    (asking(response_format=Format("json")), {"response_format": {"type": "json_object"}}),
    (asking(reasoning=Reasoning("low")), {"reasoning_effort": "low"}),
    (asking(reasoning=Reasoning(budget_tokens=4_096)), {}),
    (asking(reasoning=Reasoning(shown=True)), {}),
]


@pytest.mark.parametrize(("conversation", "expected"), WRITTEN)
def test_a_request_is_written(conversation: Conversation, expected: dict[str, Any]) -> None:
    assert written(conversation) == {"model": "gpt-4o", "messages": [HELLO], **expected}


@pytest.mark.parametrize(("budget", "effort"), [(0, "low"), (4_096, "low"), (4_097, "medium"), (16_385, "high")])
def test_a_budget_is_told_as_an_effort_to_a_model_that_thinks(budget: int, effort: str) -> None:
    body = written(asking(max_tokens=9, reasoning=Reasoning(budget_tokens=budget)), "gpt-5-mini")
    assert body == {
        "model": "gpt-5-mini",
        "messages": [HELLO],
        "reasoning_effort": effort,
        "max_completion_tokens": 9,
    }


MESSAGES: list[tuple[Turn, list[dict[str, Any]]]] = [
    (
        Turn("system", (Text("a"), Text("b"))),
        [{"role": "system", "content": [{"type": "text", "text": t} for t in "ab"]}],
    ),
    (
        Turn("user", (Text("and this?"), ToolResult("a", (Text("x"),), is_error=True), ToolResult("b", ()))),
        [
            {"role": "tool", "tool_call_id": "a", "content": "x"},
            {"role": "tool", "tool_call_id": "b", "content": ""},
            {"role": "user", "content": "and this?"},
        ],
    ),
    (
        Turn("user", (Document(text="words", name="a.txt"),)),
        [{"role": "user", "content": [{"type": "text", "text": "words"}]}],
    ),
    (Turn("user", ()), [{"role": "user", "content": ""}]),
    (Turn("assistant", (Thinking("hm", "sig"), Text("Hi."))), [{"role": "assistant", "content": "Hi."}]),
    (Turn("assistant", (Thinking("hm"),)), [{"role": "assistant", "content": ""}]),
    (
        Turn("assistant", (ToolUse("a", "f", "{}"), Text("Hi.", cache="5m"))),
        [
            {
                "role": "assistant",
                "content": "Hi.",
                "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            }
        ],
    ),
    (
        Turn("assistant", (Text("No.", refusal=True),)),
        [{"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}],
    ),
]


@pytest.mark.parametrize(("turn", "expected"), MESSAGES)
def test_a_turn_is_written(turn: Turn, expected: list[dict[str, Any]]) -> None:
    assert written(asking(HELLO_TURN, turn))["messages"] == [HELLO, *expected]


UNSENDABLE: list[tuple[str, Conversation]] = [
    ("stop", asking(stop=tuple("abcde"))),
    ("logprobs", asking(logprobs=1, stream=True)),
    ("messages", asking(Turn("user", (Document(url="https://a.example/b.pdf"),)))),
    ("messages", asking(Turn("user", (ToolUse("a", "f", "{}"),)))),
    ("messages", asking(Turn("assistant", (ToolResult("a", ()),)))),
]


@pytest.mark.parametrize(("param", "conversation"), UNSENDABLE)
def test_what_the_provider_cant_be_told_is_refused(param: str, conversation: Conversation) -> None:
    with pytest.raises(Refused) as caught:
        write_request(conversation, "gpt-4o")
    assert caught.value.reason is Reason.INVALID_REQUEST
    assert caught.value.details == {"param": param}


# What is written is read

names = st.from_regex(r"[a-zA-Z0-9_-]{1,12}", fullmatch=True)
words = st.text(max_size=20)
said = st.text(min_size=1, max_size=20)
base64 = st.from_regex(r"[A-Za-z0-9+/]{1,8}={0,2}", fullmatch=True)
schemas = st.dictionaries(
    words, st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | words, st.lists), max_size=3
)
texts = st.builds(Text, words)
images = st.builds(
    Image, url=words.map("https://a.example/{}".format), detail=st.sampled_from([None, "low", "auto"])
) | st.builds(Image, data=base64, media_type=st.sampled_from(["image/png", "image/jpeg"]))
documents = st.builds(
    Document, data=base64, media_type=st.sampled_from([None, "application/pdf"]), name=words | st.none()
)
files = st.builds(Document, file_id=names, name=words | st.none())
sounds = st.builds(Audio, base64, st.sampled_from(["wav", "mp3"]))
users = st.lists(texts | images | documents | files | sounds, min_size=1, max_size=3).map(
    lambda parts: [Turn("user", tuple(parts))]
)
systems = st.lists(texts, min_size=1, max_size=2).map(lambda parts: [Turn("system", tuple(parts))])
answers = st.lists(st.builds(Text, said, refusal=st.booleans()), min_size=1, max_size=2)


@st.composite
def exchanges(draw: st.DrawFn) -> list[Turn]:
    """An assistant's turn, and the results of what it called."""
    calls = [ToolUse(draw(names), draw(names), draw(words)) for _ in range(draw(st.integers(0, 3)))]
    calls = list({call.id: call for call in calls}.values())
    spoken = draw(answers) if not calls else draw(answers | st.just([]))
    results = [
        ToolResult(call.id, tuple(draw(st.lists(texts, min_size=1, max_size=2))), name=call.name) for call in calls
    ]
    turns = [Turn("assistant", (*spoken, *calls))]
    return [*turns, Turn("user", tuple(results))] if results else turns


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    stream = draw(st.booleans())
    tools = draw(
        st.lists(
            st.builds(Tool, names, words | st.none(), schemas | st.none(), st.sampled_from([None, True, False])),
            max_size=3,
            unique_by=lambda tool: tool.name,
        )
    )
    parallel = st.sampled_from([None, True, False])
    choices = st.builds(ToolChoice, st.sampled_from(["auto", "none", "required"]), parallel=parallel)
    named = st.builds(ToolChoice, st.just("named"), st.sampled_from([tool.name for tool in tools] or [""]), parallel)
    later = draw(st.lists(users | systems | exchanges(), max_size=4))
    formats = st.just(Format("json")) | st.builds(
        Format, st.just("schema"), names, schemas | st.none(), st.sampled_from([None, True]), words | st.none()
    )
    efforts = st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh"])
    return Conversation(
        model=draw(said),
        system=tuple(draw(st.lists(texts, max_size=2))),
        turns=tuple(turn for turns in [draw(users), *later] for turn in turns),
        tools=tuple(tools),
        tool_choice=draw(st.none() | choices | named) if tools else None,
        max_tokens=draw(st.none() | st.integers(1, 10_000_000)),
        temperature=draw(st.none() | st.floats(0, 2)),
        top_p=draw(st.none() | st.floats(0, 1)),
        stop=tuple(draw(st.lists(words, max_size=4))),
        seed=draw(st.none() | st.integers(-(2**63), 2**63 - 1)),
        n=draw(st.integers(1, 128)),
        presence_penalty=draw(st.none() | st.floats(-2, 2)),
        frequency_penalty=draw(st.none() | st.floats(-2, 2)),
        logprobs=None if stream else draw(st.none() | st.integers(0, 20)),
        response_format=draw(st.none() | formats),
        reasoning=draw(st.none() | st.builds(Reasoning, efforts)),
        user=draw(st.none() | words),
        stream=stream,
    )


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(conversations())
def test_what_is_written_is_read(conversation: Conversation) -> None:
    assert read_request(written(conversation, conversation.model)) == conversation


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
fields_of_it = st.sampled_from(
    [
        *("model", "messages", "tools", "tool_choice", "response_format", "stop", "stream", "stream_options", "n"),
        *("temperature", "logprobs", "top_logprobs", "max_tokens", "reasoning_effort", "parallel_tool_calls", "seed"),
    ]
)
messages_of_it = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "system", "assistant", "tool"]), "content": anything},
    optional={"tool_calls": anything, "tool_call_id": anything, "refusal": anything, "reasoning": anything},
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(fields_of_it, anything, max_size=4), st.lists(messages_of_it | anything, max_size=3))
def test_no_request_fails_but_by_a_refusal(fields: dict[str, Any], messages: list[Any]) -> None:
    with suppress(Refused):
        read_request({"model": "m", "messages": messages, **fields})
