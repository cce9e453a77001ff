"""Requests of the doors beside chat: what is read of them, what they may cost, and what nobody could bound."""

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.calls.completions import parse_completion, parse_embedding
from keeptrusts.core.calls.messages import parse_messages
from keeptrusts.core.calls.request import TextRequest
from keeptrusts.core.calls.responses import parse_responses
from keeptrusts.core.pricing.bound import bound_of, unseen_tokens
from keeptrusts.core.pricing.price import Price, Rates
from keeptrusts.core.pricing.unbounded import refuse_unbounded
from keeptrusts.core.refusal import Reason, Refused

Parse = Callable[[bytes], TextRequest]

MESSAGES = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi there"}]}
RESPONSES = {"model": "m", "input": "Hi there"}
COMPLETION = {"model": "m", "prompt": "Hi there"}
EMBEDDING = {"model": "m", "input": ["Hi there", "You"]}
DOORS: dict[str, tuple[Parse, dict[str, Any]]] = {
    "messages": (parse_messages, MESSAGES),
    "responses": (parse_responses, RESPONSES),
    "completions": (parse_completion, COMPLETION),
    "embeddings": (parse_embedding, EMBEDDING),
}
IMAGE = {"type": "image", "source": {"type": "url", "url": "http://x/i.png"}}


def read(door: str, **more: Any) -> TextRequest:
    parse, fields = DOORS[door]
    return parse(json.dumps({**fields, **more}).encode())


@pytest.mark.parametrize("door", DOORS)
def test_a_plain_request_is_read(door: str) -> None:
    request = read(door)
    assert (request.door, request.model, request.stream, request.n) == (door, "m", False, 1)
    assert not request.has_media()
    assert "Hi there" in request.texts()
    assert "Hi there" in request.prompt_strings()
    assert request.cacheable_form() == read(door, user="u").cacheable_form() or door in ("messages", "responses")
    request.refuse_unbounded()


@pytest.mark.parametrize(
    ("door", "field"),
    [("messages", "messages"), ("messages", "max_tokens"), ("responses", "input"), ("completions", "prompt"),
     ("embeddings", "input"), ("messages", "model"), ("embeddings", "model")],
)  # fmt: skip
def test_what_is_missing_is_named(door: str, field: str) -> None:
    parse, fields = DOORS[door]
    with pytest.raises(Refused) as caught:
        parse(json.dumps({name: value for name, value in fields.items() if name != field}).encode())
    assert (caught.value.reason, caught.value.details) == (Reason.INVALID_REQUEST, {"param": field})


@pytest.mark.parametrize(
    ("door", "limits", "max_tokens", "n"),
    [
        ("messages", {}, 9, 1),
        ("responses", {"max_output_tokens": 7}, 7, 1),
        ("responses", {}, None, 1),
        ("completions", {}, 16, 1),
        ("completions", {"max_tokens": 5, "n": 2, "best_of": 4}, 5, 4),
        ("completions", {"prompt": ["a", "b", "c"], "n": 2}, 16, 6),
        ("completions", {"prompt": [1, 2, 3]}, 16, 1),
        ("embeddings", {}, 0, 1),
    ],
)
def test_limits_bound_the_answer(door: str, limits: dict[str, Any], max_tokens: int | None, n: int) -> None:
    request = read(door, **limits)
    assert (request.max_tokens, request.n) == (max_tokens, n)


@pytest.mark.parametrize(
    ("door", "more"),
    [
        ("messages", {"messages": [{"role": "user", "content": [IMAGE]}]}),
        ("messages", {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": [IMAGE]}]}]}),
        ("messages", {"system": [{"type": "from tomorrow"}]}),
        ("responses", {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "http://x"}]}]}),
        ("responses", {"input": [{"type": "item_reference", "id": "x"}]}),
        ("responses", {"previous_response_id": "resp_1"}),
        ("responses", {"conversation": "conv_1"}),
        ("embeddings", {"input": [{"image": "x"}]}),
    ],
)
def test_what_bytes_do_not_bound_is_held_as_a_full_context(door: str, more: dict[str, Any]) -> None:
    request = read(door, **more)
    assert request.has_media()
    price = Price("v", "p", "m", Rates(1_000, 2_000), context_window=50_000, max_output_tokens=10)
    assert bound_of(request, price, 10, 10).input_tokens == 50_000


@pytest.mark.parametrize(
    ("door", "more", "param"),
    [
        ("messages", {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools"),
        ("messages", {"mcp_servers": [{"url": "http://x"}]}, "mcp_servers"),
        ("messages", {"container": "c"}, "container"),
        ("responses", {"tools": [{"type": "web_search"}]}, "tools"),
        ("responses", {"tools": [{"type": ["function"]}]}, "tools"),
        ("responses", {"service_tier": "priority"}, "service_tier"),
    ],
)
def test_what_nothing_bounds_is_refused_under_a_budget(door: str, more: dict[str, Any], param: str) -> None:
    with pytest.raises(Refused) as caught:
        refuse_unbounded(read(door, **more), Price("v", "p", "m", Rates(1, 1)), "m", "p")
    assert (caught.value.reason, caught.value.details) == (Reason.UNBOUNDED_COST, {"param": param})


def test_a_request_that_is_only_counted_needs_no_limit() -> None:
    body = json.dumps({name: value for name, value in MESSAGES.items() if name != "max_tokens"}).encode()
    assert parse_messages(body, counting=True).max_tokens is None


def test_an_answer_that_would_be_fetched_later_is_refused() -> None:
    with pytest.raises(Refused, match="background"):
        read("responses", background=True)
    read("responses", background=False)


def test_what_anthropic_adds_to_tools_is_held() -> None:
    request = read("messages", tools=[{"name": "t", "input_schema": {}}])
    price = Price("v", "anthropic", "m", Rates(1_000, 2_000))
    plain = bound_of(request, price, 10, 10)
    unseen = unseen_tokens(request, "anthropic")
    assert (
        bound_of(request, price, 10, 10, unseen=unseen).input_tokens == plain.input_tokens + unseen > plain.input_tokens
    )
    assert unseen_tokens(request, "openai") == unseen_tokens(read("messages"), "anthropic") == 0


@pytest.mark.parametrize("door", DOORS)
def test_doors_never_share_cached_answers(door: str) -> None:
    others = [name for name in DOORS if name != door]
    assert all(read(door).cacheable_form() != read(other).cacheable_form() for other in others)


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("type", "content", "text", "role", "output", "x")), inner, max_size=3)
    ),
    max_leaves=10,
)
FIELDS = (
    *(
        "model",
        "messages",
        "input",
        "prompt",
        "system",
        "instructions",
        "tools",
        "max_tokens",
        "max_output_tokens",
        "n",
    ),
    *("best_of", "stream", "stream_options", "temperature", "background", "previous_response_id", "service_tier"),
)


@pytest.mark.parametrize("door", DOORS)
@given(fields=st.dictionaries(st.sampled_from(FIELDS), anything))
def test_whatever_comes_is_refused_or_read(door: str, fields: dict[str, Any]) -> None:
    parse, needed = DOORS[door]
    for body in ({**needed, **fields}, {**fields, "model": "m"}):
        try:
            request = parse(json.dumps(body).encode())
            request.refuse_unbounded()
        except Refused:
            continue
        for ask in (
            request.has_media,
            request.texts,
            request.prompt_strings,
            request.cacheable_form,
            request.says_a_key_twice,
        ):
            ask()


@pytest.mark.parametrize("door", DOORS)
@given(raw=st.binary(max_size=60))
def test_any_bytes_are_refused_or_read(door: str, raw: bytes) -> None:
    parse, _ = DOORS[door]
    with contextlib.suppress(Refused):
        parse(raw)
