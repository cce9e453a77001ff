"""Which strings of a request or an answer are words, which only name things or carry data; and the same with other words."""

from collections.abc import Container, Generator, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import msgspec

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

ROLES = frozenset({"user", "assistant", "system", "developer", "tool", "function", "model"})
"""Some servers write a role into the prompt, whatever it says: one that is none of these is words."""

FREE = frozenset({"parameters", "input_schema", "schema", "arguments"})
"""Fields in which callers use names of their own: everything in them is words, the names too."""

OF_A_NAME = object()
"""The place of a name, in a mapping whose names callers choose."""

LONG_NUMBER = 1_000_000
"""Numbers of seven digits or more may be somebody's: where callers choose the fields they are read as words."""

WITHIN_MAX_CHARACTERS = 64 * 1024
"""A longer text is read as it is written, even where it is JSON."""

TURN_NODES = 5_000
"""So much is gone through at once."""


Places = Iterator[tuple[Any, Any, bool]]
"""What stands in a list or mapping: its place there, itself, and whether callers choose the names within it."""


def words(value: Any, free: bool = False) -> Iterator[str]:
    """Every string in a JSON value that is read as words, in order. ``free``: its fields' names mean nothing to us."""
    # One place more, lest the value itself be a string.
    rest = [_places([value], free)]
    while rest:
        for _, inner, is_free in rest[-1]:
            if isinstance(inner, str):
                yield inner
                if (told := json_within(inner)) is not None:
                    rest.append(_places(told, True))
                    break
            elif isinstance(inner, list | dict):
                rest.append(_places(inner, is_free))
                break
            elif is_free and type(inner) is int and abs(inner) >= LONG_NUMBER:
                yield str(inner)
        else:
            rest.pop()


def reworded(value: Any, others: Mapping[str, str], free: bool = False) -> Generator[None, None, Any]:
    """The value with other words in the place of those that ``others`` names. Done in steps; lists and mappings are changed
    in place."""
    if isinstance(value, str):
        return (yield from _reworded_text(value, others))
    if not isinstance(value, list | dict):
        return value
    rest: list[tuple[Any, bool]] = [(value, free)]
    renamed: list[tuple[dict[str, Any], str]] = []
    seen = 0
    while rest:
        inside, free = rest.pop()
        for place, inner, is_free in _places(inside, free):
            seen += 1
            if seen % TURN_NODES == 0:
                yield
            if place is OF_A_NAME:
                if inner in others:
                    renamed.append((inside, inner))
            elif isinstance(inner, str):
                inside[place] = yield from _reworded_text(inner, others)
            elif isinstance(inner, list | dict):
                rest.append((inner, is_free))
            elif is_free and type(inner) is int and abs(inner) >= LONG_NUMBER:
                inside[place] = others.get(str(inner), inner)
    for inside, name in renamed:
        inside[others[name]] = inside.pop(name)
    return value


def json_within(text: str) -> Any | None:
    """What a text says that is JSON itself, as the arguments and results of tools are; None where it is none, or is as it is
    read: only escapes hide anything."""
    if "\\" not in text or len(text) > WITHIN_MAX_CHARACTERS or text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _reworded_text(text: str, others: Mapping[str, str]) -> Generator[None, None, str]:
    """A text and, where it is JSON, what stands in it. JSON stays JSON."""
    other = others.get(text, text)
    told = json_within(other)
    if told is None and other != text:
        other, told = text, json_within(text)
        if told is None:
            return others[text]
    if told is None:
        return other
    yield
    if not (yield from mentions(told, others, free=True)):
        return other
    return msgspec.json.encode((yield from reworded(told, others, free=True))).decode()


def mentions(value: Any, some: Container[str], free: bool = False) -> Generator[None, None, bool]:
    """Whether one of the value's words is among ``some``, in steps."""
    for text in with_turns(words(value, free)):
        if text is None:
            yield
        elif text in some:
            return True
    return False


def with_turns(texts: Iterable[str]) -> Iterator[str | None]:
    """The texts, and None wherever others should have their turn: a long one may hold thousands of values."""
    weight = 0
    for text in texts:
        yield text
        weight += 1 + len(text) // 8
        if weight >= TURN_NODES:
            weight = 0
            yield None


def gathered(texts: Iterable[str]) -> Generator[None, None, list[str]]:
    """All of them, in steps."""
    found: list[str] = []
    for text in with_turns(texts):
        if text is None:
            yield
        else:
            found.append(text)
    return found


def _places(inside: Any, free: bool) -> Places:
    """One after the other: callers may write millions of them."""
    if isinstance(inside, list):
        return ((at, item, free) for at, item in enumerate(inside))
    if not isinstance(inside, dict):
        return iter(())
    if free:
        return chain(
            ((OF_A_NAME, name, True) for name in inside), ((name, inner, True) for name, inner in inside.items())
        )
    return (
        (name, inner, _is_free(name, inside))
        for name, inner in inside.items()
        if name not in NOT_WORDS or _is_text_after_all(name, inside)
    )


def _is_free(name: str, within: Mapping[str, Any]) -> bool:
    """Anthropic's calls of tools have what the model wrote as an object, under ``input``."""
    return name in FREE or (name == "input" and isinstance(within.get(name), dict))


def _is_text_after_all(name: str, within: Mapping[str, Any]) -> bool:
    """A document whose text stands where others have Base64, an answer's form with its schema, a role of the caller's own."""
    if name == "data":
        return within.get("type") == "text"
    if name == "format":
        return isinstance(within[name], dict)
    return name == "role" and isinstance(within[name], str) and within[name] not in ROLES
