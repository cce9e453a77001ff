"""What a model says in an answer, in each door's dialect: the pieces of a stream's events, and the words of a whole answer."""

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from msgspec import Struct

Channel = Hashable
"""One text of an answer, of which a stream tells piece after piece."""


class Said(Struct, eq=False):
    """A piece of a channel's text: where it stands in its event."""

    channel: Channel
    within: dict[str, Any]
    key: str

    @property
    def text(self) -> str:
        """The piece."""
        text: str = self.within[self.key]
        return text


class Heard(Struct):
    """What one event of a stream tells. ``ended``: channels that begin with this (a tuple's first parts) say no more,
    ``opened``: that only those go on which begin with this; ``recap``: it repeats what was said, under these of its fields."""

    said: list[Said] = []
    ended: list[tuple[Hashable, ...]] = []
    recap: list[tuple[dict[str, Any], str]] = []


Listen = Callable[[dict[str, Any]], Heard]

SPOKEN = frozenset({"content", "refusal", "reasoning_content", "reasoning", "text"})


def _chat(event: dict[str, Any]) -> Heard:
    heard = Heard([], [], [])
    for choice in _dicts(event.get("choices")):
        index = choice.get("index", 0)
        if choice.get("text"):
            heard.said.append(Said((index, "text"), choice, "text"))
        delta = choice.get("delta")
        if delta:
            _listen_to(index, delta, heard.said)
        if "logprobs" in choice:
            del choice["logprobs"]
        if choice.get("finish_reason") is not None:
            heard.ended.append((index,))
    return heard


def _listen_to(index: Hashable, delta: dict[str, Any], said: list[Said]) -> None:
    for key, value in delta.items():
        if not value:
            continue
        if key in SPOKEN:
            if isinstance(value, str):
                said.append(Said((index, key), delta, key))
            else:
                said += [
                    Said((index, key), part, "text") for part in _dicts(value) if isinstance(part.get("text"), str)
                ]
        elif key == "tool_calls":
            for call in _dicts(value):
                _listen_to_call((index, "tool", call.get("index", 0)), call.get("function") or call.get("custom"), said)
        elif key == "function_call":
            _listen_to_call((index, "tool", -1), value, said)


def _listen_to_call(channel: Channel, call: Any, said: list[Said]) -> None:
    if isinstance(call, dict):
        said += [Said(channel, call, key) for key in ("arguments", "input") if isinstance(call.get(key), str)]


def _messages(event: dict[str, Any]) -> Heard:
    heard = Heard([], [], [])
    index, kind = event.get("index"), event.get("type")
    for within in (event.get("delta"), event.get("content_block")):
        if isinstance(within, dict) and kind in ("content_block_delta", "content_block_start"):
            heard.said += [
                Said((index, key), within, key)
                for key in ("text", "thinking", "partial_json")
                if isinstance(within.get(key), str)
            ]
    if kind == "content_block_stop":
        heard.ended.append((index,))
    elif kind in ("message_delta", "message_stop"):
        heard.ended.append(())
    return heard


RECAPS = ("text", "refusal", "arguments", "input", "part", "item")


def _responses(event: dict[str, Any]) -> Heard:
    heard = Heard([], [], [])
    kind = event.get("type")
    if not isinstance(kind, str):
        return heard
    place = (event.get("output_index"), event.get("item_id"))
    if "logprobs" in event:
        event["logprobs"] = []
    if kind.endswith(".delta") and isinstance(event.get("delta"), str):
        within = (event.get("content_index"), event.get("summary_index"), kind)
        heard.said.append(Said((*place, *within), event, "delta"))
    elif kind.endswith(".done"):
        heard.ended.append(place[:1])
        heard.recap += [(event, key) for key in RECAPS if key in event]
    response = event.get("response")
    if isinstance(response, dict) and response.get("output"):
        heard.ended.append(())
        heard.recap += [(response, key) for key in ("output", "output_text") if key in response]
    return heard


LISTEN: Mapping[str, Listen] = {"chat": _chat, "completions": _chat, "messages": _messages, "responses": _responses}
"""By the door."""

ANSWER_FIELDS = ("choices", "content", "output", "output_text")
"""Where a whole answer has its words, whatever the door."""


def forget_likelihoods(value: Any) -> None:
    """Takes out what tells every token once more."""
    rest = [value]
    while rest:
        value = rest.pop()
        if isinstance(value, list):
            rest += value
        elif isinstance(value, dict):
            if value.get("logprobs") is not None:
                value["logprobs"] = [] if isinstance(value["logprobs"], list) else None
            rest += value.values()


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
