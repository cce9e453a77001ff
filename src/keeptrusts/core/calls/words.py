"""Which strings of a request or an answer are words, which only name things or carry data; and the same with other words."""

from collections.abc import Generator, Iterator, Mapping
from typing import Any

NOT_WORDS = frozenset(
    {
        *(
            "type",
            "role",
            "id",
            "item_id",
            "call_id",
            "tool_call_id",
            "tool_use_id",
            "file_id",
            "container_id",
            "object",
        ),
        *("status", "detail", "format", "media_type", "mime_type", "cache_control", "url", "file_url", "image_url"),
        *("file_data", "data", "b64_json", "encrypted_content", "signature", "finish_reason", "stop_reason", "model"),
        *("result", "logprobs", "system_fingerprint", "service_tier"),
    }
)
"""Fields of messages, parts and items that a model does not read as words: kinds, names of things, pictures and sound."""

FREE = frozenset({"parameters", "input_schema", "schema", "arguments"})
"""Fields in which callers use names of their own: everything in them is words."""

LONG_NUMBER = 1_000_000
"""Numbers of seven digits or more may be somebody's: where callers choose the fields they are read as words."""

TURN_NODES = 5_000
"""So much is gone through at once."""


def words(value: Any, free: bool = False) -> Iterator[str]:
    """Every string in a JSON value that is read as words, in order. ``free``: its fields' names mean nothing to us."""
    rest: list[tuple[Any, bool]] = [(value, free)]
    while rest:
        value, free = rest.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            rest += [(item, free) for item in reversed(value)]
        elif isinstance(value, dict):
            rest += [
                (inner, free or _is_free(name, value))
                for name, inner in reversed(value.items())
                if free or name not in NOT_WORDS or _is_text_source(name, value)
            ]
        elif free and type(value) is int and abs(value) >= LONG_NUMBER:
            yield str(value)


def reworded(value: Any, others: Mapping[str, str], free: bool = False) -> Generator[None, None, Any]:
    """The value with other words in the place of those that ``others`` names. Done in steps; lists and mappings are changed
    in place."""
    if not isinstance(value, list | dict):
        return others.get(value, value) if isinstance(value, str) else value
    rest: list[tuple[Any, bool]] = [(value, free)]
    seen = 0
    while rest:
        inside, free = rest.pop()
        seen += len(inside)
        if seen > TURN_NODES:
            seen = 0
            yield
        places: list[tuple[Any, Any]] = [*(enumerate(inside) if isinstance(inside, list) else inside.items())]
        for name, inner in places:
            is_free = free
            if isinstance(inside, dict):
                if not (free or name not in NOT_WORDS or _is_text_source(name, inside)):
                    continue
                is_free = free or _is_free(name, inside)
            if isinstance(inner, str):
                inside[name] = others.get(inner, inner)
            elif isinstance(inner, list | dict):
                rest.append((inner, is_free))
            elif is_free and type(inner) is int and abs(inner) >= LONG_NUMBER:
                inside[name] = others.get(str(inner), inner)
    return value


def _is_free(name: str, within: Mapping[str, Any]) -> bool:
    """Anthropic's calls of tools have what the model wrote as an object, under ``input``."""
    return name in FREE or (name == "input" and isinstance(within.get(name), dict))


def _is_text_source(name: str, within: Mapping[str, Any]) -> bool:
    """A document whose text stands where others have Base64."""
    return name == "data" and within.get("type") == "text"
