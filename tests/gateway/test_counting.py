"""An exact count of a request's tokens is never below what is billed for it, and never above what its bytes allow."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeptrusts.core.calls.chat import parse_chat
from keeptrusts.core.calls.completions import parse_embedding
from keeptrusts.core.pricing.bound import INPUT_MARGIN_TOKENS
from keeptrusts.core.providers.simulated import simulate_reply
from keeptrusts.core.routing.target import SimulatedSettings
from keeptrusts.gateway.attempt import counted_input
from keeptrusts.gateway.token_count import SAMPLE_BYTES, count_tokens, counts_exactly

words = st.text(max_size=40) | st.sampled_from(
    ("hello world", "an invoice", "größer", "数据", "🙂🙂", "\n\n  ", "a" * 60)
)
message = st.fixed_dictionaries(
    {"role": st.sampled_from(("system", "user", "assistant")), "content": words | st.lists(words, max_size=3)},
    optional={
        "name": words,
        "tool_calls": st.lists(st.fixed_dictionaries({"function": st.fixed_dictionaries({"name": words})})),
    },
)
tools = st.lists(
    st.fixed_dictionaries(
        {"type": st.just("function"), "function": st.fixed_dictionaries({"name": words, "description": words})}
    ),
    max_size=3,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(message, min_size=1, max_size=6), tools, st.booleans())
def test_a_count_covers_the_bill_and_stays_within_the_bytes(
    messages: list[dict[str, Any]], tools: list[dict[str, Any]], ensure_ascii: bool
) -> None:
    fields = {"model": "gpt-4o-mini", "messages": messages, "tools": tools}
    try:
        raw = json.dumps(fields, ensure_ascii=ensure_ascii).encode()
        request = parse_chat(raw)
    except UnicodeEncodeError:
        return
    billed = json.loads(simulate_reply(fields, SimulatedSettings(), count_tokens, 0))["usage"]["prompt_tokens"]
    counted = counted_input(request)
    assert billed <= counted
    assert counted <= len(raw) + INPUT_MARGIN_TOKENS


@pytest.mark.parametrize(
    "numbers",
    [list(range(500)), [n / 7 for n in range(500)], [True, None] * 200, [[], {}] * 200],
    ids=["whole", "parts", "words", "brackets"],
)
def test_what_is_no_string_is_counted_too(numbers: list[Any]) -> None:
    schema = {"type": "object", "properties": {"n": {"enum": numbers}}}
    tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], "tools": tools}
    assert counted_input(parse_chat(json.dumps(body).encode())) >= count_tokens(
        json.dumps(numbers, separators=(",", ":"))
    )


def test_a_prompt_of_token_ids_has_so_many_tokens() -> None:
    body = {"model": "text-embedding-3-small", "input": [[1000 + n for n in range(300)]] * 2}
    counted = counted_input(parse_embedding(json.dumps(body).encode()))
    assert 600 <= counted <= 620


def test_a_long_text_is_counted_in_part_and_never_too_low() -> None:
    text = "word and number 12345, " * (SAMPLE_BYTES // 10)
    assert count_tokens(text) >= count_tokens(text[:SAMPLE_BYTES])
    assert count_tokens(text) >= len(text) // 8


def test_only_models_of_this_vocabulary_are_counted() -> None:
    assert all(map(counts_exactly, ("gpt-4o", "gpt-4o-mini-2024-07-18", "gpt-4.1-nano", "o3-mini", "gpt-5")))
    assert not any(map(counts_exactly, ("gpt-4", "gpt-4-turbo", "gpt-3.5-turbo", "llama-3.1-8b", "claude-3-opus", "")))
