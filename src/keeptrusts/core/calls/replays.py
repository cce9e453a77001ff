"""How each door's answers are kept and told again: always kept whole, and told as a stream where that is asked for."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from keeptrusts.core.calls import replay, replay_messages, replay_responses
from keeptrusts.core.calls.replay import NONSENSE


class Replay(Struct, frozen=True, eq=False):
    """``as_stream``: a whole answer's events, with the usage or without; None when it makes no sense. ``assemble``: the
    whole answer that a stream spells out, with this usage; None when it makes no sense. ``ends``: how a whole answer,
    decoded, says that it came to its end."""

    as_stream: Callable[[bytes, bool], bytes | None]
    assemble: Callable[[bytes, dict[str, Any]], bytes | None]
    ends: Callable[[dict[str, Any]], list[Any]]


def _choice_ends(answer: dict[str, Any]) -> list[Any]:
    return [choice["finish_reason"] for choice in answer["choices"]]


def _message_ends(answer: dict[str, Any]) -> list[Any]:
    return [answer["stop_reason"]]


def _response_ends(answer: dict[str, Any]) -> list[Any]:
    return [answer["incomplete_details"]["reason"] if answer["status"] == "incomplete" else answer["status"]]


def _no_stream(whole: bytes, usage: object) -> None:
    del whole, usage


def _vectors(answer: dict[str, Any]) -> list[Any]:
    return ["stop"] if answer["data"] else []


REPLAYS: Mapping[str, Replay] = {
    "chat": Replay(replay.as_stream, replay.assemble, _choice_ends),
    "completions": Replay(replay.as_stream, replay.assemble, _choice_ends),
    "responses": Replay(replay_responses.as_stream, replay_responses.assemble, _response_ends),
    "messages": Replay(replay_messages.as_stream, replay_messages.assemble, _message_ends),
    "embeddings": Replay(_no_stream, _no_stream, _vectors),
}
"""By the door."""

GOOD_ENDS = frozenset({"stop", "tool_calls", "function_call", "completed", "end_turn", "tool_use", "stop_sequence"})
CUT_ENDS = frozenset({"length", "max_tokens", "max_output_tokens"})
"""Ends at the client's own limit: the whole answer to that question, but not to one that has no limit."""


def is_worth_keeping(door: str, whole: bytes, limited: bool) -> bool:
    """Whether a whole answer came to a good end: all of it that the same question would get again. ``limited``: the client
    itself said how long it may be."""
    try:
        ends = REPLAYS[door].ends(msgspec.json.decode(whole, type=dict[str, Any]))
        good = GOOD_ENDS | CUT_ENDS if limited else GOOD_ENDS
        return bool(ends) and all(end in good for end in ends)
    except NONSENSE:
        return False
