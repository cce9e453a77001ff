from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeptrusts.core.calls.conversation import (
    Audio,
    Conversation,
    Document,
    Format,
    Image,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
    Turn,
)
from keeptrusts.core.dialects.openai_responses_call import write_request
from keeptrusts.core.dialects.openai_responses_request import read_request
from keeptrusts.core.dialects.openai_responses_seals import marked, unmarked
from keeptrusts.core.refusal import Reason, Refused

WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a town.",
    "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
    "strict": True,
}
CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "get_weather",
    "arguments": '{"town":"Ulm"}',
}
OTHER_CALL = {**CALL, "id": "fc_2", "call_id": "call_2", "arguments": '{"town":"Bonn"}'}


def read(**fields: Any) -> Conversation:
    return read_request({"model": "gpt-5", "input": "Hello", **fields})


def turns(*items: Any) -> tuple[Turn, ...]:
    return read(input=list(items)).turns


def written(conversation: Conversation, model: str = "gpt-5") -> Any:
    return msgspec.json.decode(write_request(conversation, model))


def say(**fields: Any) -> Conversation:
    return Conversation(model="gpt-5", turns=(Turn("user", (Text("Hello"),)),), **fields)


class TestItems:
    def test_a_string_is_what_the_user_says(self) -> None:
        assert read() == Conversation(model="gpt-5", turns=(Turn("user", (Text("Hello"),)),))

    def test_instructions_and_leading_messages_of_the_developer_are_the_system_s(self) -> None:
        asked = read(
            instructions="Be brief.",
            input=[
                {"role": "developer", "content": "Speak French."},
                {"role": "system", "content": [{"type": "input_text", "text": "Be kind."}]},
                {"role": "user", "content": "Hello"},
                {"role": "developer", "content": "Now speak German."},
            ],
        )
        assert asked.system == (Text("Be brief."), Text("Speak French."), Text("Be kind."))
        assert asked.turns == (Turn("user", (Text("Hello"),)), Turn("system", (Text("Now speak German."),)))

    def test_all_that_the_model_did_is_one_turn_and_so_are_the_results(self) -> None:
        assert turns(
            {"role": "user", "content": "The weather?"},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Ask."}]},
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "I look.", "annotations": []}],
            },
            CALL,
            OTHER_CALL,
            {"type": "function_call_output", "call_id": "call_1", "output": "Rain"},
            {
                "type": "function_call_output",
                "call_id": "call_2",
                "output": [
                    {"type": "input_text", "text": "Sun"},
                    {"type": "input_image", "image_url": "https://example.com/sun.png", "detail": "low"},
                ],
            },
            {"role": "user", "content": "And?"},
        ) == (
            Turn("user", (Text("The weather?"),)),
            Turn(
                "assistant",
                (
                    Thinking("Ask."),
                    Text("I look."),
                    ToolUse("call_1", "get_weather", '{"town":"Ulm"}'),
                    ToolUse("call_2", "get_weather", '{"town":"Bonn"}'),
                ),
            ),
            Turn(
                "user",
                (
                    ToolResult("call_1", (Text("Rain"),), name="get_weather"),
                    ToolResult(
                        "call_2",
                        (Text("Sun"), Image(url="https://example.com/sun.png", detail="low")),
                        name="get_weather",
                    ),
                ),
            ),
            Turn("user", (Text("And?"),)),
        )

    @pytest.mark.parametrize(
        ("part", "expected"),
        [
            ({"type": "input_text", "text": "a"}, Text("a")),
            (
                {"type": "input_image", "image_url": "data:image/png;base64,iVBO", "detail": "high"},
                Image(data="iVBO", media_type="image/png", detail="high"),
            ),
            ({"type": "input_image", "image_url": "https://a.example/b"}, Image(url="https://a.example/b")),
            (
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"},
                Document(data="JVBE", media_type="application/pdf", name="a.pdf"),
            ),
            ({"type": "input_file", "file_data": "JVBE"}, Document(data="JVBE")),
            ({"type": "input_file", "file_url": "https://a.example/b.pdf"}, Document(url="https://a.example/b.pdf")),
            ({"type": "input_file", "file_id": "file-1"}, Document(file_id="file-1")),
            ({"type": "refusal", "refusal": "No."}, Text("No.", refusal=True)),
        ],
    )
    def test_parts(self, part: dict[str, Any], expected: Any) -> None:
        assert turns({"role": "user", "content": [part]}) == (Turn("user", (expected,)),)

    @pytest.mark.parametrize(
        ("item", "expected"),
        [
            ({"summary": [], "encrypted_content": "gAAA"}, Thinking(redacted="gAAA")),
            (
                {"summary": [{"type": "summary_text", "text": ""}], "encrypted_content": "s"},
                Thinking("", signature="s"),
            ),
            (
                {"summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]},
                Thinking("a\n\nb"),
            ),
            ({"summary": [], "content": [{"type": "reasoning_text", "text": "raw"}]}, Thinking("raw")),
        ],
    )
    def test_reasoning(self, item: dict[str, Any], expected: Thinking) -> None:
        assert turns({"type": "reasoning", "id": "rs_1", **item}) == (Turn("assistant", (expected,)),)

    def test_a_result_does_not_join_what_the_user_says(self) -> None:
        said = {"role": "user", "content": "Hello"}
        result = {"type": "function_call_output", "call_id": "c", "output": "Rain", "name": "f"}
        assert turns(said, result) == (
            Turn("user", (Text("Hello"),)),
            Turn("user", (ToolResult("c", (Text("Rain"),), name="f"),)),
        )

    def test_reasoning_that_only_its_id_tells_is_nothing_here(self) -> None:
        assert turns({"type": "reasoning", "id": "rs_1", "summary": []}) == ()


class TestSettings:
    def test_each_has_its_place(self) -> None:
        asked = read(
            tools=[WEATHER],
            tool_choice={"type": "function", "name": "get_weather"},
            parallel_tool_calls=False,
            max_output_tokens=100,
            temperature=1,
            top_p=0.5,
            reasoning={"effort": "max", "summary": "auto"},
            safety_identifier="u1",
            stream=True,
            store=True,
            metadata={"a": "b"},
            prompt_cache_key="k",
            text={"format": {"type": "json_object"}, "verbosity": "low"},
        )
        tool = Tool("get_weather", "The weather in a town.", WEATHER["parameters"], True)
        assert asked == say(
            tools=(tool,),
            tool_choice=ToolChoice("named", "get_weather", False),
            max_tokens=100,
            temperature=1.0,
            top_p=0.5,
            response_format=Format("json"),
            reasoning=Reasoning("xhigh", shown=True),
            user="u1",
            stream=True,
        )

    def test_a_schema(self) -> None:
        form = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True, "description": "d"}
        assert read(text={"format": form}).response_format == Format("schema", "n", {"type": "object"}, True, "d")

    def test_logprobs(self) -> None:
        include = ["message.output_text.logprobs", "reasoning.encrypted_content"]
        assert read(include=include).logprobs == 0
        assert read(include=include, top_logprobs=3).logprobs == 3
        assert read(top_logprobs=3).logprobs == 3
        assert read(top_logprobs=0, stream=True).logprobs is None

    def test_allowed_tools_leave_the_others_out(self) -> None:
        choice = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "get_weather"}]}
        asked = read(tools=[WEATHER, {**WEATHER, "name": "other"}], tool_choice=choice)
        assert [tool.name for tool in asked.tools] == ["get_weather"]
        assert asked.tool_choice == ToolChoice("required")

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({}, None),
            ({"parallel_tool_calls": True}, ToolChoice(parallel=True)),
            ({"tool_choice": "none"}, ToolChoice("none")),
            ({"tool_choice": "auto", "parallel_tool_calls": False}, ToolChoice("auto", None, False)),
        ],
    )
    def test_choices(self, fields: dict[str, Any], expected: ToolChoice | None) -> None:
        assert read(tools=[WEATHER], **fields).tool_choice == expected
        assert read(**fields).tool_choice is None

    @pytest.mark.parametrize(
        "nothing", [{"previous_response_id": None}, {"background": False}, {"conversation": None}, {"unheard_of": None}]
    )
    def test_what_asks_for_nothing_is_no_fault(self, nothing: dict[str, Any]) -> None:
        assert read(**nothing) == read()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ""}, "model"),
        ({"model": 5}, "model"),
        ({"input": None}, "input"),
        ({"input": 5}, "input"),
        ({"input": ["a"]}, "input[0]"),
        ({"input": [{"id": "msg_1"}]}, "input[0].type"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].type"),
        ({"input": [{"type": "web_search_call", "id": "ws_1"}]}, "input[0].type"),
        ({"input": [{"type": {}, "role": "user"}]}, "input[0].type"),
        ({"input": [{"role": "critic", "content": "a"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "input[0].content[0].image_url",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "data:image/svg,<svg/>"}]}]},
            "input[0].content[0].image_url",
        ),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0]"),
        (
            {"input": [{"role": "assistant", "content": [{"type": "input_image", "image_url": "https://a"}]}]},
            "input[0].content",
        ),
        ({"input": [{"type": "function_call", "name": "a", "arguments": "{}"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0].output"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{**WEATHER, "parameters": []}]}, "tools[0].parameters"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": "file_search"}}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "name": "other"}}, "tool_choice"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"temperature": True}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"stream": 1}, "stream"),
        ({"stream": True, "top_logprobs": 2}, "top_logprobs"),
        ({"stream": True, "include": ["message.output_text.logprobs"]}, "include"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"background": True}, "background"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"messages": []}, "messages"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(Refused) as refused:
        read(**fields)
    assert refused.value.reason == Reason.INVALID_REQUEST
    assert refused.value.details == {"param": param}
    assert param in refused.value.message


class TestWriting:
    def test_the_whole_of_it(self) -> None:
        asked = Conversation(
            model="m",
            system=(Text("Be brief."),),
            turns=(
                Turn("user", (Text("Look"), Image(data="iVBO", media_type="image/png"), Document(text="words"))),
                Turn("assistant", (Text("I look."), ToolUse("c1", "f", "{}"))),
                Turn("user", (ToolResult("c1", (Text("Rain"),), is_error=True), Text("And?"))),
            ),
            tools=(Tool("f"),),
            tool_choice=ToolChoice("required", None, False),
            max_tokens=64,
            reasoning=Reasoning(budget_tokens=10_000, shown=True),
            seed=7,
            user="u",
            stream=True,
        )
        assert written(asked) == {
            "model": "gpt-5",
            "input": [
                {"type": "message", "role": "system", "content": "Be brief."},
                {
                    "type": "message",
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "Look"},
                        {"type": "input_image", "image_url": "data:image/png;base64,iVBO", "detail": "auto"},
                        {"type": "input_text", "text": "words"},
                    ],
                },
                {"type": "message", "role": "assistant", "content": "I look."},
                {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c1", "output": "Rain"},
                {"type": "message", "role": "user", "content": "And?"},
            ],
            "store": False,
            "max_output_tokens": 64,
            "include": ["reasoning.encrypted_content"],
            "reasoning": {"effort": "medium", "summary": "auto"},
            "user": "u",
            "stream": True,
            "tools": [{"type": "function", "name": "f", "parameters": None, "strict": False}],
            "tool_choice": "required",
            "parallel_tool_calls": False,
        }

    def test_only_its_own_seals_go_back(self) -> None:
        mine, other = marked("gAAA"), "EqQBCg"
        parts = (Thinking("a"), Thinking("b", other), Thinking(redacted=other), Thinking("c", mine), Text("d"))
        items = written(Conversation(model="m", turns=(Turn("assistant", parts),)))["input"]
        assert items == [
            {
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "c"}],
                "encrypted_content": "gAAA",
            },
            {"type": "message", "role": "assistant", "content": "d"},
        ]

    def test_models_that_do_not_think_are_not_asked_to_show_it(self) -> None:
        body = written(say(reasoning=Reasoning(budget_tokens=2_000, shown=True)), "gpt-4.1")
        assert body.keys() == {"model", "input", "store"}
        assert written(say(reasoning=Reasoning("low")), "gpt-4.1")["reasoning"] == {"effort": "low"}

    @pytest.mark.parametrize(
        ("fields", "param"),
        [
            ({"n": 2}, "n"),
            ({"stop": ("a",)}, "stop"),
            ({"presence_penalty": 1.0}, "presence_penalty"),
            ({"frequency_penalty": 1.0}, "frequency_penalty"),
            ({"logprobs": 0, "stream": True}, "logprobs"),
        ],
    )
    def test_what_can_t_be_said_is_refused(self, fields: dict[str, Any], param: str) -> None:
        with pytest.raises(Refused) as refused:
            write_request(say(**fields), "m")
        assert refused.value.details == {"param": param}

    @pytest.mark.parametrize(
        "turn",
        [
            Turn("user", (Audio("UklG", "wav"),)),
            Turn("assistant", (Image(url="https://a"),)),
            Turn("system", (Image(url="https://a"),)),
        ],
    )
    def test_parts_that_can_t_be_said_are_refused(self, turn: Turn) -> None:
        with pytest.raises(Refused) as refused:
            write_request(Conversation(model="m", turns=(turn,)), "m")
        assert refused.value.details == {"param": "messages"}


words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
names = st.text("abcdefghij_", min_size=1, max_size=8)
texts = st.builds(Text, words)
images = st.builds(Image, url=st.just("https://a.example/b.png"), detail=st.sampled_from(["low", "high"])) | st.builds(
    Image, data=st.just("iVBO"), media_type=st.sampled_from(["image/png", "image/jpeg"]), detail=st.just("auto")
)
documents = st.builds(Document, data=st.just("JVBE"), media_type=st.just("application/pdf"), name=words) | st.builds(
    Document, file_id=names
)
seals = names.map(marked)
thoughts = st.builds(Thinking, words | st.just(""), signature=seals) | st.builds(Thinking, redacted=seals)


@st.composite
def exchanges(draw: st.DrawFn) -> list[Turn]:
    """What the user says, what the model does, and what its tools answer."""
    said = draw(st.lists(texts | images | documents, min_size=1, max_size=3))
    done = draw(st.lists(texts | st.builds(Text, words, refusal=st.just(True)) | thoughts, min_size=1, max_size=3))
    calls = draw(st.lists(st.builds(ToolUse, names, names, words), max_size=3, unique_by=lambda call: call.id))
    results = [
        ToolResult(call.id, draw(st.lists(texts | images | documents, max_size=2).map(tuple)), name=call.name)
        for call in calls
    ]
    turns = [Turn("user", tuple(said)), Turn("assistant", (*done, *calls))]
    return [*turns, Turn("user", tuple(results))] if results else turns


formats = st.just(Format("json")) | st.builds(
    Format, st.just("schema"), names, st.just({"type": "object"}), st.none() | st.booleans(), st.none() | words
)


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    tools = draw(
        st.lists(
            st.builds(Tool, names, st.none() | words, st.none() | st.just({"type": "object"}), st.booleans()),
            max_size=2,
            unique_by=lambda tool: tool.name,
        )
    )
    choice = None
    if tools:
        modes = st.builds(
            ToolChoice, st.sampled_from(["auto", "none", "required"]), st.none(), st.none() | st.booleans()
        )
        choice = draw(st.none() | modes | st.builds(ToolChoice, st.just("named"), st.just(tools[0].name)))
    stream = draw(st.booleans())
    return Conversation(
        model="gpt-5",
        system=tuple(draw(st.lists(texts, max_size=2))),
        turns=tuple(turn for exchange in draw(st.lists(exchanges(), min_size=1, max_size=2)) for turn in exchange),
        tools=tuple(tools),
        tool_choice=choice,
        max_tokens=draw(st.none() | st.integers(1, 10_000)),
        temperature=draw(st.none() | st.floats(0, 2)),
        top_p=draw(st.none() | st.floats(0, 1)),
        logprobs=None if stream else draw(st.none() | st.integers(0, 20)),
        response_format=draw(st.none() | formats),
        reasoning=draw(
            st.none()
            | st.builds(Reasoning, st.sampled_from(["none", "low", "xhigh"]), shown=st.sampled_from([None, True]))
        ),
        user=draw(st.none() | words),
        stream=stream,
    )


def without_marks(conversation: Conversation) -> Any:
    """As it is on the wire, where nobody marks whose seal it is."""

    def bare(part: Any) -> Any:
        if isinstance(part, Thinking):
            return Thinking(part.text, unmarked(part.signature), unmarked(part.redacted))
        return part

    turns = [Turn(turn.role, tuple(map(bare, turn.parts))) for turn in conversation.turns]
    return msgspec.structs.replace(conversation, turns=tuple(turns))


@settings(deadline=None)
@given(conversations())
def test_what_is_written_reads_the_same(conversation: Conversation) -> None:
    assert read_request(written(conversation)) == without_marks(conversation)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
odd_items = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["message", "function_call", "function_call_output", "reasoning"]) | json_values,
            "role": st.sampled_from(["user", "assistant", "system"]) | json_values,
            **dict.fromkeys(["content", "summary", "output", "call_id", "name", "arguments"], json_values),
        },
    ),
    max_size=3,
)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["input", "tools", "tool_choice", "text", "reasoning", "include", "instructions", "stream"]),
        json_values | odd_items,
    )
)
def test_whatever_is_asked_is_read_or_refused(fields: dict[str, Any]) -> None:
    refusal: Any = None
    try:
        read(**fields)
    except Refused as refused:
        refusal = refused
    assert refusal is None or refusal.details["param"].split(".")[0].split("[")[0] in fields
