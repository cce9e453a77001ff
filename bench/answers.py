"""What the mock provider says and what the load generator expects to hear, in one place so that neither can drift.

Every answer carries a sentinel word that no error page and no prompt contains: an answer without it is an error.
"""

import json

MODEL = "gpt-4o-mini"
USAGE = {"prompt_tokens": 14, "completion_tokens": 25, "total_tokens": 39}
SENTINEL = b"keystone"
WHOLE_ANSWER_BYTES = 600
STREAM_EVENTS = 22
SPOKEN_EVENTS = STREAM_EVENTS - 1  # the last one only says why the text ended
PACE_MARK = b"[one event every 5 ms]"  # in a prompt: prompts pass every gateway unchanged, headers and queries do not
PACE_S = 0.005
DONE = b"data: [DONE]\n\n"

_ID = "chatcmpl-bench0000000000000001"
_CREATED = 1_767_225_600


def whole_answer() -> bytes:
    """A chat completion of exactly `WHOLE_ANSWER_BYTES` bytes with usage 14/25."""
    short = _whole(" ")
    return _whole(" " + "." * (WHOLE_ANSWER_BYTES - len(short)))


def _whole(filler: str) -> bytes:
    text = "Clouds hold the world's work;" + filler + SENTINEL.decode()
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "logprobs": None, "finish_reason": "stop"}
    answer = {"id": _ID, "object": "chat.completion", "created": _CREATED, "model": MODEL, "choices": [choice]}
    return _compact({**answer, "usage": USAGE, "system_fingerprint": "fp_bench"})


def stream_events() -> list[bytes]:
    """The `STREAM_EVENTS` events of a streamed answer, without the usage event and the end mark."""
    spoken = [{"content": f"{SENTINEL.decode()}{number} "} for number in range(SPOKEN_EVENTS)]
    first = {"role": "assistant", **spoken[0]}
    events = [_event([{"index": 0, "delta": delta, "finish_reason": None}]) for delta in [first, *spoken[1:]]]
    return [*events, _event([{"index": 0, "delta": {}, "finish_reason": "stop"}])]


def usage_event() -> bytes:
    """The event that ends a stream whose caller asked for usage: no choices, only the count."""
    return _event([], usage=USAGE)


def _event(choices: list[dict[str, object]], usage: object = None) -> bytes:
    chunk = {"id": _ID, "object": "chat.completion.chunk", "created": _CREATED, "model": MODEL, "choices": choices}
    return b"data: " + _compact({**chunk, "usage": usage}) + b"\n\n"


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
