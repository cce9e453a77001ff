"""Messages requests: what a client may ask is read or refused by name, and what is asked of Anthropic is what was meant."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
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
from keeptrusts.core.dialects.anthropic_parts import tool_id
from keeptrusts.core.dialects.anthropic_request import (
    LEFT_OUT,
    read_request,
    write_count,
    write_request,
)
from keeptrusts.core.refusal import Reason, Refused

OPUS = "claude-opus-4-6"
HAIKU = "claude-haiku-4-5-20251001"
NEWEST = "claude-opus-4-8"
HELLO = (Turn("user", (Text("Hello"),)),)
WEATHER = Tool("get_weather", parameters={"type": "object", "properties": {"city": {"type": "string"}}})


def asked(**fields: Any) -> Conversation:
    """What a client's request means."""
    body = {"model": OPUS, "max_tokens": 1024, "messages": [{"role": "user", "content": "Hello"}], **fields}
    return read_request({name: value for name, value in body.items() if value is not ...})


def refused(call: Callable[[], object]) -> tuple[str, str]:
    """The place and the message of a refusal."""
    with pytest.raises(Refused) as caught:
        call()
    assert caught.value.reason is Reason.INVALID_REQUEST
    return caught.value.details["param"], caught.value.message


def hello(**fields: Any) -> Conversation:
    return Conversation(**{"model": "m", "turns": HELLO, "max_tokens": 4096, **fields})


def sent(conversation: Conversation, model: str = OPUS) -> dict[str, Any]:
    return msgspec.json.decode(write_request(conversation, model), type=dict[str, Any])


def said(*turns: Turn) -> Any:
    return sent(hello(turns=turns))["messages"]


# What a client may ask.

PIXEL = "iVBORw0KGgo="
BLOCKS: Mapping[str, tuple[dict[str, Any], Part]] = {
    "text": ({"type": "text", "text": "Hi", "citations": None}, Text("Hi")),
    "five minutes": (
        {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}},
        Text("Hi", "5m"),
    ),
    "an hour": (
        {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        Text("Hi", "1h"),
    ),
    "picture": (
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
        Image(data=PIXEL, media_type="image/png"),
    ),
    "picture elsewhere": (
        {"type": "image", "source": {"type": "url", "url": "https://example.com/cat.png"}},
        Image(url="https://example.com/cat.png"),
    ),
    "PDF": (
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
            "title": "Report",
            "citations": {"enabled": False},
            "cache_control": {"type": "ephemeral", "ttl": "5m"},
        },
        Document(data="JVBERi0=", media_type="application/pdf", name="Report", cache="5m"),
    ),
    "plain text": (
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Once"}},
        Document(text="Once"),
    ),
    "own content": (
        {"type": "document", "source": {"type": "content", "content": "Once"}},
        Document(text="Once"),
    ),
    "PDF elsewhere": (
        {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
        Document(url="https://example.com/a.pdf"),
    ),
    "file": (
        {"type": "document", "source": {"type": "file", "file_id": "file_01"}},
        Document(file_id="file_01"),
    ),
    "thinking": (
        {"type": "thinking", "thinking": "Hmm", "signature": "sig=="},
        Thinking("Hmm", "sig=="),
    ),
    "thinking that nobody signed": ({"type": "thinking", "thinking": "Hmm", "signature": ""}, Thinking("Hmm")),
    "sealed thinking": ({"type": "redacted_thinking", "data": "EmwKAh"}, Thinking(redacted="EmwKAh")),
    "call": (
        {
            "type": "tool_use",
            "id": "toolu_1",
            "name": "get_weather",
            "input": {"city": "Rome"},
            "caller": {"type": "direct"},
        },
        ToolUse("toolu_1", "get_weather", '{"city":"Rome"}'),
    ),
    "result": (
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "21 degrees"},
        ToolResult("toolu_1", (Text("21 degrees"),)),
    ),
    "empty result": ({"type": "tool_result", "tool_use_id": "toolu_1"}, ToolResult("toolu_1", ())),
    "result in blocks": (
        {
            "type": "tool_result",
            "tool_use_id": "toolu_1",
            "is_error": True,
            "content": [
                {"type": "text", "text": "no such city"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
            ],
            "cache_control": {"type": "ephemeral"},
        },
        ToolResult(
            "toolu_1", (Text("no such city"), Image(data=PIXEL, media_type="image/png")), is_error=True, cache="5m"
        ),
    ),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_every_block_is_a_part(name: str) -> None:
    block, part = BLOCKS[name]
    assert asked(messages=[{"role": "user", "content": [block]}]).turns == (Turn("user", (part,)),)


def test_a_session_with_tools() -> None:
    conversation = asked(
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        tools=[
            {
                "name": "get_weather",
                "description": "Weather of a city",
                "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
                "cache_control": {"type": "ephemeral"},
            },
            {"type": "custom", "name": "stop", "input_schema": {"type": "object"}, "strict": True},
        ],
        tool_choice={"type": "auto", "disable_parallel_tool_use": True},
        messages=[
            {"role": "user", "content": "Weather in Rome and Oslo?"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Two calls", "signature": "s"},
                    {"type": "tool_use", "id": "t1", "name": "get_weather", "input": {"city": "Rome"}},
                    {"type": "tool_use", "id": "t2", "name": "get_weather", "input": {"city": "Oslo"}},
                ],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "21"}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t2", "content": "3"}]},
            {"role": "system", "content": "Celsius."},
        ],
        metadata={"user_id": "u-1"},
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        stop_sequences=["END"],
        stream=True,
        service_tier="auto",
    )
    assert conversation == Conversation(
        model=OPUS,
        max_tokens=1024,
        system=(Text("Be brief.", "1h"),),
        turns=(
            Turn("user", (Text("Weather in Rome and Oslo?"),)),
            Turn(
                "assistant",
                (
                    Thinking("Two calls", "s"),
                    ToolUse("t1", "get_weather", '{"city":"Rome"}'),
                    ToolUse("t2", "get_weather", '{"city":"Oslo"}'),
                ),
            ),
            Turn(
                "user",
                (
                    ToolResult("t1", (Text("21"),), name="get_weather"),
                    ToolResult("t2", (Text("3"),), name="get_weather"),
                ),
            ),
            Turn("system", (Text("Celsius."),)),
        ),
        tools=(
            Tool("get_weather", "Weather of a city", WEATHER.parameters, cache="5m"),
            Tool("stop", None, {"type": "object"}, strict=True),
        ),
        tool_choice=ToolChoice("auto", parallel=False),
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        stop=("END",),
        user="u-1",
        stream=True,
    )


def test_instructions_before_the_first_turn_are_the_system() -> None:
    conversation = asked(
        system="One.", messages=[{"role": "system", "content": "Two."}, {"role": "user", "content": "Hi"}]
    )
    assert conversation.system == (Text("One."), Text("Two."))
    assert conversation.turns == (Turn("user", (Text("Hi"),)),)


def test_the_cache_mark_of_the_whole_body_is_the_last_blocks() -> None:
    hour = {"type": "ephemeral", "ttl": "1h"}
    assert asked(cache_control=hour).turns == (Turn("user", (Text("Hello", "1h"),)),)
    own = [{"type": "text", "text": "Hello", "cache_control": {"type": "ephemeral"}}]
    assert asked(cache_control=hour, messages=[{"role": "user", "content": own}]).turns == (
        Turn("user", (Text("Hello", "5m"),)),
    )


@pytest.mark.parametrize(
    ("choice", "meaning"),
    [
        ({"type": "auto"}, ToolChoice("auto")),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice("required", parallel=False)),
        ({"type": "any", "disable_parallel_tool_use": False}, ToolChoice("required", parallel=True)),
        ({"type": "tool", "name": "get_weather"}, ToolChoice("named", "get_weather")),
        ({"type": "none"}, ToolChoice("none")),
        (None, None),
    ],
)
def test_tool_choices(choice: Any, meaning: ToolChoice | None) -> None:
    assert asked(tool_choice=choice).tool_choice == meaning


@pytest.mark.parametrize(
    ("fields", "meaning"),
    [
        ({}, None),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, Reasoning("none")),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, Reasoning(budget_tokens=2048, shown=True)),
        ({"thinking": {"type": "adaptive"}}, Reasoning(shown=True)),
        ({"thinking": {"type": "between_tools"}}, Reasoning(shown=True)),
        (
            {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "max"}},
            Reasoning("xhigh", shown=False),
        ),
        ({"output_config": {"effort": "low"}}, Reasoning("low")),
    ],
)
def test_thinking(fields: dict[str, Any], meaning: Reasoning | None) -> None:
    assert asked(**fields).reasoning == meaning


@pytest.mark.parametrize("field", ["output_config", "output_format"])
def test_a_schema_for_the_answer(field: str) -> None:
    form = {"type": "json_schema", "schema": {"type": "object"}}
    value = {"format": form} if field == "output_config" else form
    assert asked(**{field: value}).response_format == Format("schema", schema={"type": "object"})


DEEP: dict[str, Any] = {}
for _ in range(100_000):
    DEEP = {"x": DEEP}
IMAGE = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
REFUSED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("model", {"model": ...}),
    ("model", {"model": ""}),
    ("model", {"model": 5}),
    ("max_tokens", {"max_tokens": ...}),
    ("max_tokens", {"max_tokens": "5"}),
    ("max_tokens", {"max_tokens": True}),
    ("max_tokens", {"max_tokens": 0}),
    ("messages", {"messages": ...}),
    ("messages", {"messages": "Hi"}),
    ("messages", {"messages": []}),
    ("messages", {"messages": [{"role": "user", "content": ""}]}),
    ("messages.0", {"messages": ["Hi"]}),
    ("messages.0.role", {"messages": [{"content": "Hi"}]}),
    ("messages.0.role", {"messages": [{"role": "tool", "content": "Hi"}]}),
    ("messages.0.content", {"messages": [{"role": "user"}]}),
    ("messages.0.content.0", {"messages": [{"role": "user", "content": ["Hi"]}]}),
    ("messages.0.content.0.type", {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}),
    ("messages.0.content.0.type", {"messages": [{"role": "user", "content": [{"type": "search_result"}]}]}),
    ("messages.0.content.0.type", {"messages": [{"role": "assistant", "content": [{"type": "server_tool_use"}]}]}),
    ("messages.0.content.0.text", {"messages": [{"role": "user", "content": [{"type": "text"}]}]}),
    (
        "messages.1.content.0.type",
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "system", "content": [IMAGE]}]},
    ),
    ("system.0.type", {"system": [IMAGE]}),
    ("system", {"system": 7}),
    ("temperature", {"temperature": 1.5}),
    ("temperature", {"temperature": "warm"}),
    ("top_p", {"top_p": -0.1}),
    ("top_k", {"top_k": 1.5}),
    ("stop_sequences.1", {"stop_sequences": ["a", None]}),
    ("stream", {"stream": "yes"}),
    ("tools.0.type", {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
    ("tools.1.type", {"tools": [{"name": "a", "input_schema": {}}, {"type": "computer_20250124", "name": "computer"}]}),
    ("tools.0.type", {"tools": [{"type": "bash_20250124", "name": "bash"}]}),
    ("tools.0.input_schema", {"tools": [{"name": "a"}]}),
    (
        "tools.0.allowed_callers",
        {"tools": [{"name": "a", "input_schema": {}, "allowed_callers": ["code_execution_20260120"]}]},
    ),
    ("tool_choice.type", {"tool_choice": {"type": "some"}}),
    ("tool_choice.name", {"tool_choice": {"type": "tool"}}),
    ("thinking.type", {"thinking": {"type": "deep"}}),
    ("thinking.budget_tokens", {"thinking": {"type": "enabled"}}),
    ("thinking.budget_tokens", {"thinking": {"type": "enabled", "budget_tokens": 100}}),
    ("thinking.display", {"thinking": {"type": "adaptive", "display": "shown"}}),
    ("output_config.effort", {"output_config": {"effort": "huge"}}),
    ("output_config.format.type", {"output_config": {"format": {"type": "regex"}}}),
    ("output_config.format.schema", {"output_config": {"format": {"type": "json_schema"}}}),
    ("metadata.user_id", {"metadata": {"user_id": 5}}),
    ("cache_control.ttl", {"cache_control": {"type": "ephemeral", "ttl": "2h"}}),
    ("container", {"container": "container_1"}),
    ("mcp_servers", {"mcp_servers": [{"type": "url", "url": "https://mcp.example.com", "name": "x"}]}),
    ("inference_geo", {"inference_geo": "us"}),
    ("new_field", {"new_field": True}),
)


@pytest.mark.parametrize(("place", "fields"), REFUSED)
def test_what_is_wrong_is_refused_where_it_stands(place: str, fields: dict[str, Any]) -> None:
    param, message = refused(lambda: asked(**fields))
    assert param == place
    assert "`" in message


@pytest.mark.parametrize(
    ("place", "block"),
    [
        ("source.type", {"type": "image", "source": {"type": "file", "file_id": "file_1"}}),
        ("source.media_type", {"type": "image", "source": {"type": "base64", "data": PIXEL}}),
        ("source", {"type": "image"}),
        ("citations", {"type": "document", "source": {"type": "text", "data": "x"}, "citations": {"enabled": True}}),
        ("context", {"type": "document", "source": {"type": "text", "data": "x"}, "context": "a letter"}),
        ("source.content", {"type": "document", "source": {"type": "content", "content": [IMAGE]}}),
        ("source.type", {"type": "document", "source": {"type": "ftp"}}),
        ("input", {"type": "tool_use", "id": "t", "name": "n", "input": "x"}),
        ("input", {"type": "tool_use", "id": "t", "name": "n", "input": {"x": 10**5000}}),
        ("input", {"type": "tool_use", "id": "t", "name": "n", "input": DEEP}),
        ("content.0.type", {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "tool_reference"}]}),
        (
            "content.0.type",
            {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "redacted_thinking", "data": "x"}]},
        ),
        ("cache_control.type", {"type": "text", "text": "x", "cache_control": {"type": "forever"}}),
    ],
)
def test_blocks_that_cannot_be_handed_on(place: str, block: dict[str, Any]) -> None:
    param, _ = refused(lambda: asked(messages=[{"role": "user", "content": [block]}]))
    assert param == f"messages.0.content.0.{place}"


def test_what_matters_to_anthropic_alone_is_left_out() -> None:
    own = {
        "service_tier": "auto",
        "speed": "fast",
        "context_management": {"edits": []},
        "container": None,
        "mcp_servers": [],
    }
    assert asked(**own) == asked()


def test_a_count_is_told() -> None:
    assert write_count(14) == b'{"input_tokens":14}'


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
kinds = st.sampled_from([*(block["type"] for block, _ in BLOCKS.values()), "x"])
hostile_blocks = st.dictionaries(
    st.sampled_from(
        ["text", "source", "content", "input", "id", "name", "cache_control", "data", "thinking", "tool_use_id"]
    ),
    json_values | st.fixed_dictionaries({"type": st.sampled_from(["base64", "url", "ephemeral", "text"])}),
    max_size=5,
).flatmap(lambda block: kinds.map(lambda kind: {**block, "type": kind}))


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "role": st.sampled_from(["user", "assistant", "system"]),
                "content": st.lists(hostile_blocks | json_values),
            }
        ),
        max_size=3,
    )
    | json_values,
    st.dictionaries(
        st.sampled_from(
            ["system", "tools", "tool_choice", "thinking", "output_config", "metadata", "cache_control", "top_k"]
        ),
        json_values,
    ),
)
def test_any_fields_are_read_or_refused(messages: Any, fields: dict[str, Any]) -> None:
    no = None
    try:
        asked(messages=messages, **fields)
    except Refused as refused:
        no = refused
    assert no is None or (no.reason is Reason.INVALID_REQUEST and no.details["param"])


# What is asked of Anthropic.


def test_the_body() -> None:
    conversation = Conversation(
        model="fast",
        max_tokens=2000,
        system=(Text("Be brief."), Text(" "), Text("Cite.", "1h")),
        turns=HELLO,
        tools=(msgspec.structs.replace(WEATHER, description="Weather", cache="5m"), Tool("now")),
        tool_choice=ToolChoice("named", "now", parallel=False),
        temperature=0.2,
        top_k=5,
        stop=("END",),
        response_format=Format("schema", "weather", {"type": "object"}, True),
        user="u-1",
        stream=True,
    )
    assert sent(conversation) == {
        "model": OPUS,
        "max_tokens": 2000,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
        "system": [
            {"type": "text", "text": "Be brief."},
            {"type": "text", "text": "Cite.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        ],
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u-1"},
        "stream": True,
        "tools": [
            {
                "name": "get_weather",
                "description": "Weather",
                "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
                "cache_control": {"type": "ephemeral"},
            },
            {"name": "now", "input_schema": {"type": "object", "properties": {}}},
        ],
        "tool_choice": {"type": "tool", "name": "now", "disable_parallel_tool_use": True},
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
        "temperature": 0.2,
        "top_k": 5,
    }


def test_turns_of_one_role_are_one_message_with_results_first() -> None:
    assert said(
        Turn("user", (Text("Weather?"),)),
        Turn("assistant", (Text(" "), Thinking("mine"), Thinking("its", "gemini:s"), Thinking("", "sig"))),
        Turn("assistant", (ToolUse("functions.get:0", "get", '{"a": 1}'),)),
        Turn("system", (Text("Hurry."),)),
        Turn("user", (ToolResult("functions.get:0", (Text("21"), Text("")), is_error=True), Text("And now?"))),
        Turn("user", ()),
    ) == [
        {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "", "signature": "sig"},
                {"type": "tool_use", "id": "functions_get_0", "name": "get", "input": {"a": 1}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "functions_get_0",
                    "content": [{"type": "text", "text": "21"}],
                    "is_error": True,
                },
                {"type": "text", "text": "<system>\nHurry.\n</system>"},
                {"type": "text", "text": "And now?"},
            ],
        },
    ]


@pytest.mark.parametrize(
    ("arguments", "input"),
    [
        ("", {}),
        (" ", {}),
        ('{"big": 123456789012345678901234567890}', {"big": 123456789012345678901234567890}),
        ('{"city": "Ro', {"INVALID_JSON": '{"city": "Ro'}),
        ("[1]", {"INVALID_JSON": "[1]"}),
    ],
)
def test_arguments_that_a_model_wrote(arguments: str, input: Any) -> None:
    assert said(*HELLO, Turn("assistant", (ToolUse("t", "f", arguments),)))[1]["content"][0]["input"] == input


def test_a_schema_without_end_is_refused() -> None:
    assert refused(lambda: sent(hello(tools=(Tool("f", parameters=DEEP),))))[0] == "tools"


@pytest.mark.parametrize("id", ["toolu_01A", "call_abc", "functions.get:0", "Ü/1", ""])
def test_ids_have_the_letters_that_anthropic_takes(id: str) -> None:
    assert all(sign.isascii() and (sign.isalnum() or sign in "_-") for sign in tool_id(id))


@pytest.mark.parametrize(
    ("param", "change"),
    [
        ("max_tokens", {"max_tokens": None}),
        ("n", {"n": 2}),
        ("logprobs", {"logprobs": 0}),
        ("stop", {"stop": ("\n",)}),
        ("response_format", {"response_format": Format("json")}),
        ("reasoning_effort", {"reasoning": Reasoning("huge")}),
        ("messages", {"turns": (Turn("user", (Text(" \n"),)),)}),
        ("messages", {"turns": (Turn("user", (Audio("UklGRg==", "wav"),)),)}),
        ("messages", {"turns": (Turn("user", (Document(data="UEsDBA==", media_type="application/zip"),)),)}),
        ("messages", {"turns": (Turn("user", (Image(data=PIXEL),)),)}),
    ],
)
def test_what_anthropic_cannot_do_is_refused(param: str, change: dict[str, Any]) -> None:
    assert refused(lambda: sent(hello(**change)))[0] == param


EXAMPLES: Mapping[str, Any] = {
    "turns": (Turn("user", (Text("Bye"),)),),
    "system": (Text("Be brief."),),
    "tools": (WEATHER,),
    "tool_choice": ToolChoice("auto"),
    "max_tokens": 5,
    "temperature": 0.1,
    "top_p": 0.5,
    "top_k": 3,
    "stop": ("END",),
    "seed": 7,
    "n": 2,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
    "logprobs": 2,
    "response_format": Format("schema", schema={"type": "object"}),
    "reasoning": Reasoning("low"),
    "user": "u-1",
    "stream": True,
    "include_usage": False,
}


@pytest.mark.parametrize("field", [name for name in Conversation.__struct_fields__ if name != "model"])
def test_every_wish_is_said_or_refused_or_in_the_table(field: str) -> None:
    try:
        said = sent(hello(**{field: EXAMPLES[field]})) != sent(hello())
    except Refused as no:
        said = no.details["param"] == field
    assert said or field in LEFT_OUT


@pytest.mark.parametrize(
    ("change", "model", "fields"),
    [
        ({"temperature": 1.7}, OPUS, {}),  # 1 is the default
        ({"temperature": 1, "top_p": 1}, OPUS, {}),
        ({"temperature": 0, "top_p": 0.5}, HAIKU, {"temperature": 0, "top_p": 0.5}),
        ({"temperature": 0.3, "top_p": 0.5, "top_k": 3}, NEWEST, {}),
        ({"temperature": 0.3}, "deepseek-chat", {"temperature": 0.3}),
        ({"user": "u" * 257}, OPUS, {}),
        ({"tool_choice": ToolChoice("none")}, OPUS, {}),
    ],
)
def test_what_says_nothing_is_not_sent(change: dict[str, Any], model: str, fields: dict[str, Any]) -> None:
    assert sent(hello(**change), model) == {**sent(hello(), model), **fields}


CALL = (*HELLO, Turn("assistant", (ToolUse("t", "f", "{}"),)), Turn("user", (ToolResult("t", ()),)))
PROVEN = (*HELLO, Turn("assistant", (Thinking("", "s"), ToolUse("t", "f", "{}"))), Turn("user", (ToolResult("t", ()),)))
MUST = {"tools": (WEATHER,), "tool_choice": ToolChoice("required")}


@pytest.mark.parametrize(
    ("reasoning", "model", "change", "thinking", "effort"),
    [
        (Reasoning("none"), OPUS, {}, {"type": "disabled"}, None),
        (Reasoning("none"), "claude-3-5-haiku-latest", {}, None, None),
        (Reasoning("high"), "claude-3-5-haiku-latest", {}, None, None),
        (Reasoning("minimal"), OPUS, {}, {"type": "adaptive"}, "low"),
        (Reasoning("xhigh", shown=True), NEWEST, {}, {"type": "adaptive", "display": "summarized"}, "xhigh"),
        (Reasoning(shown=False), "claude-fable-5", {}, {"type": "adaptive", "display": "omitted"}, None),
        (Reasoning("high"), OPUS, MUST, None, "high"),
        (Reasoning("high"), HAIKU, MUST, None, None),
        (Reasoning("high"), HAIKU, {"max_tokens": 10_000}, {"type": "enabled", "budget_tokens": 8000}, None),
        (Reasoning("low"), "anthropic/claude-sonnet-4.5", {}, {"type": "enabled", "budget_tokens": 1024}, None),
        (Reasoning("low"), HAIKU, {"max_tokens": 1024}, None, None),
        (Reasoning("low"), HAIKU, {"turns": CALL}, None, None),
        (Reasoning("low"), HAIKU, {"turns": PROVEN}, {"type": "enabled", "budget_tokens": 1024}, None),
        (Reasoning("low"), OPUS, {"turns": CALL}, {"type": "adaptive"}, "low"),
        (Reasoning(), "kimi-k2", {}, {"type": "enabled", "budget_tokens": 2048}, None),
        (
            Reasoning("low", 3000, True),
            OPUS,
            MUST,
            {"type": "enabled", "budget_tokens": 3000, "display": "summarized"},
            "low",
        ),
        (Reasoning(budget_tokens=3000), HAIKU, {}, {"type": "enabled", "budget_tokens": 3000}, None),
    ],
)
def test_models_are_asked_to_think_as_they_can(
    reasoning: Reasoning, model: str, change: dict[str, Any], thinking: Any, effort: str | None
) -> None:
    body = sent(hello(reasoning=reasoning, temperature=0.5, **change), model)
    assert body.get("thinking") == thinking
    assert body.get("output_config", {}).get("effort") == effort
    thinks = thinking is not None and thinking["type"] != "disabled"
    assert ("temperature" in body) == (not thinks and model not in (NEWEST, "claude-fable-5"))


# Both ways.

words = st.text(min_size=1, max_size=8).filter(lambda text: not text.isspace())
marks = st.sampled_from([None, "5m", "1h"])
names = st.text("abcXYZ019_-", min_size=1, max_size=6)
schemas = st.dictionaries(words, st.integers(0, 9) | words, max_size=2).map(lambda more: {**more, "type": "object"})
texts = st.builds(Text, words, marks)
images = st.builds(Image, url=words, cache=marks) | st.builds(Image, data=words, media_type=words, cache=marks)
titles = st.none() | words
documents = (
    st.builds(Document, data=words, media_type=st.just("application/pdf"), name=titles, cache=marks)
    | st.builds(Document, text=words, name=titles, cache=marks)
    | st.builds(Document, url=words, name=titles, cache=marks)
    | st.builds(Document, file_id=words, name=titles, cache=marks)
)
arguments = st.dictionaries(words, st.integers(-5, 5) | words | st.booleans(), max_size=3).map(
    lambda value: msgspec.json.encode(value).decode()
)
calls = st.builds(ToolUse, names, names, arguments, marks)
seals = st.binary(min_size=1, max_size=6).map(lambda seal: b64encode(seal).decode())
thoughts = st.builds(Thinking, st.text(max_size=5), seals) | st.builds(Thinking, redacted=seals)
answers = st.lists(texts | thoughts | calls, min_size=1, max_size=4).map(tuple)
inner_parts = st.lists(texts | images | documents, max_size=2).map(tuple)


@st.composite
def turns(draw: st.DrawFn) -> tuple[Turn, ...]:
    """Turns by turns; results of calls come first in theirs, and know the tool's name if it was called before."""
    made: list[Turn] = []
    called: dict[str, str] = {}
    for number in range(draw(st.integers(1, 4))):
        if number % 2:
            said = draw(answers)
            called.update({part.id: part.name for part in said if isinstance(part, ToolUse)})
            made.append(Turn("assistant", said))
            continue
        ids = draw(st.lists(st.sampled_from([*called, "lost"]), max_size=2))
        results = [ToolResult(id, draw(inner_parts), draw(st.booleans()), called.get(id), draw(marks)) for id in ids]
        rest = draw(st.lists(texts | images | documents, min_size=0 if results else 1, max_size=3))
        made.append(Turn("user", (*results, *rest)))
    return tuple(made)


tools = st.builds(Tool, names, titles, schemas, st.none() | st.booleans(), marks)
parallel = st.none() | st.booleans()
choices = st.builds(ToolChoice, st.sampled_from(["auto"]), parallel=parallel) | st.just(ToolChoice("none"))
shown = st.booleans()
reasonings = (
    st.just(Reasoning("none"))
    | st.builds(Reasoning, st.sampled_from([None, "low", "medium", "high", "xhigh"]), shown=shown)
    | st.builds(Reasoning, st.sampled_from([None, "low"]), st.integers(1024, 9000), shown)
)
shares = st.floats(0, 1, exclude_max=True)
conversations = st.builds(
    Conversation,
    model=st.just(OPUS),
    turns=turns(),
    system=st.lists(texts, max_size=2).map(tuple),
    tools=st.lists(tools, min_size=1, max_size=2).map(tuple),
    tool_choice=st.none() | choices,
    max_tokens=st.integers(1, 100_000),
    stop=st.lists(words, max_size=2).map(tuple),
    response_format=st.none() | st.builds(Format, st.just("schema"), schema=schemas),
    user=st.none() | words,
    stream=st.booleans(),
)
wishes = st.one_of(
    st.fixed_dictionaries({"reasoning": reasonings}),
    st.fixed_dictionaries({"temperature": shares, "top_p": shares, "top_k": st.integers(0, 99)}),
    st.just({"tool_choice": ToolChoice("required", parallel=True)}),
    st.just({"tool_choice": ToolChoice("named", "x")}),
)


@given(conversations, wishes)
def test_what_is_written_reads_as_it_was_meant(conversation: Conversation, wish: dict[str, Any]) -> None:
    meant = msgspec.structs.replace(conversation, **wish)
    assert read_request(sent(meant)) == meant
