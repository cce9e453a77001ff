"""A request body: whatever bytes come, they are refused in words or read once, and what was read is what is sent."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keeptrusts.core.calls.chat import (
    PLAIN_FIELDS,
    ChatRequest,
    body_for,
    limit_field,
    parse_chat,
)
from keeptrusts.core.calls.request import MAX_MODEL_NAME
from keeptrusts.core.refusal import Reason, Refused

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)
contents = scalars | st.lists(st.dictionaries(st.sampled_from(("type", "text", "image_url")), values, max_size=3))
messages = st.lists(
    st.fixed_dictionaries({}, optional={"role": scalars, "content": contents, "tool_calls": values, "audio": values})
    | values,
    max_size=4,
)
bodies = st.fixed_dictionaries(
    {"model": st.just("gpt-4o-mini") | values, "messages": messages | values},
    optional={
        "stream": values,
        "stream_options": values,
        "n": values,
        "max_tokens": values,
        "max_completion_tokens": values,
        "temperature": values,
        "tools": values,
        "response_format": values,
        "prediction": values,
        "user": values,
    },
)


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], **fields}).encode()


def use(request: ChatRequest) -> None:
    """Everything that the gateway asks of a request."""
    for question in (
        request.has_media,
        request.texts,
        request.prompt_strings,
        request.cacheable_form,
        request.is_deterministic,
    ):
        question()
    msgspec.json.decode(body_for(request, "gpt-4o", 5))


def reason_of(raw: bytes) -> Reason | None:
    """Why it is refused, if it is; any other exception is a fault."""
    try:
        use(parse_chat(raw))
    except Refused as refused:
        return refused.reason
    return None


def refusal_of(raw: bytes) -> Refused:
    with pytest.raises(Refused) as caught:
        use(parse_chat(raw))
    return caught.value


@given(st.binary(max_size=200) | values.map(lambda v: json.dumps(v).encode()))
def test_any_bytes_are_refused_or_read(raw: bytes) -> None:
    assert reason_of(raw) in (None, Reason.INVALID_JSON, Reason.INVALID_REQUEST)


@given(bodies)
@example({"model": "m", "messages": [1, "x", None, [], {"content": [3, {"type": []}, {"type": None}]}]})
@example({"model": "m", "messages": [], "tools": {"a": [{"b": "c"}]}, "temperature": "x"})
@example({"model": "m", "messages": [], "stream": True, "stream_options": {"include_usage": "yes"}})
def test_any_json_is_refused_or_read(fields: dict[str, Any]) -> None:
    for ensure_ascii in (True, False):
        try:
            raw = json.dumps(fields, ensure_ascii=ensure_ascii).encode()
        except UnicodeEncodeError:
            continue
        assert reason_of(raw) in (None, Reason.INVALID_JSON, Reason.INVALID_REQUEST)


@pytest.mark.parametrize(
    ("raw", "reason", "said"),
    [
        (b"", Reason.INVALID_JSON, "not valid JSON"),
        (b"{", Reason.INVALID_JSON, "not valid JSON"),
        (b"[]", Reason.INVALID_REQUEST, "must be a JSON object"),
        (b"\xff{}", Reason.INVALID_JSON, "not valid UTF-8 (byte 0)"),
        (b'{"messages":[]}', Reason.INVALID_REQUEST, "`model` is missing"),
        (b'{"model":"m"}', Reason.INVALID_REQUEST, "`messages` is missing"),
        (b'{"model":5,"messages":[]}', Reason.INVALID_REQUEST, "`model` must be a string"),
        (b'{"model":"","messages":[]}', Reason.INVALID_REQUEST, "`model` is empty"),
        (b'{"model":"m","messages":{}}', Reason.INVALID_REQUEST, "`messages` must be an array"),
        (body(stream="yes"), Reason.INVALID_REQUEST, "`stream` must be true or false"),
        (body(stream_options=[]), Reason.INVALID_REQUEST, "`stream_options` must be an object"),
        (body(n=0), Reason.INVALID_REQUEST, "`n` must be from 1 to 128"),
        (body(n=10**30), Reason.INVALID_REQUEST, "`n` must be from 1 to 128"),
        (body(max_tokens=-1), Reason.INVALID_REQUEST, "`max_tokens` must be from 1"),
        (body(max_completion_tokens=0), Reason.INVALID_REQUEST, "must be from 1"),
        (body(max_tokens="5"), Reason.INVALID_REQUEST, "`max_tokens` must be a whole number"),
        (b'{"model":"m","messages":[1e999]}', Reason.INVALID_JSON, "`messages` is not valid JSON"),
        (b'{"model":"m","messages":[],"tools":[1e999]}', Reason.INVALID_JSON, "`tools` is not valid JSON"),
        (b'{"model":"m","messages":[],"seed":1e999}', Reason.INVALID_JSON, "`seed` is not valid JSON"),
        (b'{"model":"m","messages":[],"temperature":1e999}', Reason.INVALID_JSON, "`temperature` is not valid JSON"),
    ],
)
def test_a_refusal_says_what_is_wrong_and_where(raw: bytes, reason: Reason, said: str) -> None:
    refused = refusal_of(raw)
    assert refused.reason is reason
    assert said in refused.message


@pytest.mark.parametrize("depth", [200, 900, 990, 5_000, 200_000])
def test_nesting_of_any_depth_is_read_or_refused(depth: int) -> None:
    raw = b'{"model":"m","messages":[{"content":' + b"[" * depth + b"]" * depth + b"}]}"
    assert reason_of(raw) in (None, Reason.INVALID_JSON, Reason.BODY_TOO_LARGE)


def test_a_model_name_is_bounded() -> None:
    """Names are kept in rows, caches and log lines."""
    assert parse_chat(body(model="m" * MAX_MODEL_NAME)).model == "m" * MAX_MODEL_NAME
    assert "longer than any" in refusal_of(body(model="m" * (MAX_MODEL_NAME + 1))).message


def test_of_a_repeated_key_what_was_checked_is_what_is_sent() -> None:
    raw = b'{"model":"cheap","model":"gpt-4o","messages":[],"max_tokens":1,"max_tokens":9,"n":1,"n":2}'
    request = parse_chat(raw)
    assert (request.model, request.max_tokens, request.n) == ("gpt-4o", 9, 2)
    sent = body_for(request, "gpt-4o", None)
    assert sent.count(b'"model"') == sent.count(b'"max_tokens"') == sent.count(b'"n"') == 1
    assert msgspec.json.decode(sent) == {"model": "gpt-4o", "messages": [], "max_tokens": 9, "n": 2}


def test_a_key_written_with_escapes_is_the_key() -> None:
    request = parse_chat(b'{"mod\\u0065l":"m","messages":[],"max\\u005ftokens":7}')
    assert (request.model, request.max_tokens) == ("m", 7)


def test_the_larger_of_two_limits_bounds_the_answer() -> None:
    assert parse_chat(body(max_tokens=5, max_completion_tokens=9)).max_tokens == 9
    assert parse_chat(body(max_tokens=9, max_completion_tokens=5)).max_tokens == 9
    assert parse_chat(body(max_tokens=None)).max_tokens is None


@given(bodies.filter(lambda fields: isinstance(fields["model"], str)))
def test_what_is_sent_is_what_was_asked_but_for_what_we_set(fields: dict[str, Any]) -> None:
    raw = json.dumps(fields).encode()
    try:
        request = parse_chat(raw)
    except Refused:
        return
    asked = msgspec.json.decode(raw)
    sent = msgspec.json.decode(body_for(request, request.model, None))
    if request.stream and not request.include_usage:
        assert sent.pop("stream_options")["include_usage"] is True
        asked.pop("stream_options", None)
    assert sent == asked


def test_a_stream_is_always_asked_for_its_usage_and_keeps_its_other_options() -> None:
    request = parse_chat(body(stream=True, stream_options={"include_obfuscation": False}))
    sent = msgspec.json.decode(body_for(request, request.model, None))
    assert sent["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    assert not request.include_usage


@pytest.mark.parametrize(("model", "field"), [("gpt-4o", "max_tokens"), ("o3-mini", "max_completion_tokens")])
def test_a_limit_that_we_set_is_named_as_the_model_knows_it(model: str, field: str) -> None:
    assert limit_field(model) == field
    sent = msgspec.json.decode(body_for(parse_chat(body()), model, 77))
    assert (sent["model"], sent[field]) == (model, 77)


# What bytes do not bound


@pytest.mark.parametrize(
    "content",
    [
        '[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]',
        '[{"type":"input_audio","input_audio":{}}]',
        '[{"type":"file","file":{"file_id":"f"}}]',
        '[{"type":"image\\u005furl","image_url":{"url":"x"}}]',
        '[{"t\\u0079pe":"image_url"}]',
        '[{"type":"input_image"}]',
        '[{"type":"a part of tomorrow"}]',
        '[{"type":7}]',
        '[{"type":["text"]}]',
        '[{"text":"a"},{"type":"video"}]',
    ],
)
def test_a_part_that_is_not_text_is_seen_however_it_is_written(content: str) -> None:
    raw = b'{"model":"m","messages":[{"role":"user","content":%b}]}' % content.encode()
    request = parse_chat(raw)
    assert not request.plain
    assert request.has_media()


def test_a_part_hidden_behind_a_repeated_key_is_seen() -> None:
    raw = (
        b'{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}],'
        b'"content":"only text"}]}'
    )
    request = parse_chat(raw)
    assert not request.plain
    assert request.has_media()


def test_an_earlier_answer_that_was_audio_is_seen() -> None:
    raw = b'{"model":"m","messages":[{"role":"assistant","audio":{"id":"audio_1"}}]}'
    assert not parse_chat(raw).plain
    assert parse_chat(raw).has_media()


@pytest.mark.parametrize(
    "content", ['"text"', '[{"type":"text","text":"a picture of a \\"file\\""}]', "null", '["bare"]', '[{"text":"x"}]']
)
def test_text_is_text(content: str) -> None:
    raw = b'{"model":"m","messages":[{"role":"user","content":%b}]}' % content.encode()
    assert not parse_chat(raw).has_media()


def test_a_plain_request_has_none_but_known_fields() -> None:
    assert parse_chat(body(temperature=0.5, max_tokens=5)).plain
    assert not parse_chat(body(web_search_options={})).plain
    assert not parse_chat(body(prediction={"content": "x"})).plain
    assert not parse_chat(body(something_new=1)).plain
    assert {"audio", "service_tier", "prediction", "web_search_options"}.isdisjoint(PLAIN_FIELDS)


# What is read


def test_all_texts_are_found() -> None:
    raw = json.dumps(
        {
            "model": "m",
            "messages": [
                {"role": "system", "content": "one"},
                {"role": "user", "content": [{"type": "text", "text": "two"}]},
                {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "three"}}]},
            ],
            "tools": [{"type": "function", "function": {"name": "g", "description": "four"}}],
        }
    ).encode()
    assert {"one", "two", "three", "four"} <= set(parse_chat(raw).texts())


def test_what_becomes_prompt_is_counted_with_the_names_of_its_fields() -> None:
    schema = {"type": "json_schema", "json_schema": {"schema": {"properties": {"a_long_name": {"type": "string"}}}}}
    found = parse_chat(body(response_format=schema, functions=[{"name": "old_style"}])).prompt_strings()
    assert {"a_long_name", "old_style", "Hi", "role"} <= set(found)


# The cache's key


def test_equal_questions_have_equal_forms_and_others_have_not() -> None:
    one = parse_chat(
        b'{"model":"m","messages":[{"role":"user","content":"a"}],"temperature":0,"user":"u1","stream":true}'
    )
    same = parse_chat(b'{ "temperature":0, "messages":[{"content":"\\u0061","role":"user"}], "model":"m","user":"u2"}')
    assert one.cacheable_form() == same.cacheable_form()
    for other in (body(temperature=1), body(n=2), body(seed=5), body(tools=[]), body(max_tokens=5)):
        assert parse_chat(other).cacheable_form() != parse_chat(body()).cacheable_form()


@pytest.mark.parametrize(
    ("raw", "twice"),
    [
        (b'{"model":"m","messages":[{"role":"user","content":"a","content":"b"}]}', True),
        (b'{"model":"m","messages":[],"tools":[{"function":{"name":"f","n\\u0061me":"g"}}]}', True),
        (b'{"model":"m","messages":[{"role":"user"},{"role":"user"}],"seed":123456789012345678901234567890}', False),
    ],
)
def test_what_may_be_read_in_two_ways_is_noticed(raw: bytes, twice: bool) -> None:
    assert parse_chat(raw).says_a_key_twice() is twice


@pytest.mark.parametrize(
    ("temperature", "deterministic"), [("0", True), ("0.0", True), ("0.1", False), ("false", False), ("null", False)]
)
def test_only_temperature_0_is_deterministic(temperature: str, deterministic: bool) -> None:
    raw = b'{"model":"m","messages":[],"temperature":%b}' % temperature.encode()
    assert parse_chat(raw).is_deterministic() is deterministic
    assert not parse_chat(body()).is_deterministic()
