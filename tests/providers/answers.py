"""What the truthful provider understands of a request, and what it says: one token per word, counted by one fixed rule.

A prompt may carry a wish in double brackets, such as ``[[out=300 gap_ms=5 fault=reset at=900]]``: prompts pass every
gateway unchanged, so that each call of a test chooses its own behaviour.
"""

import json
from dataclasses import dataclass, fields, replace
from typing import Any

TOKENS_PER_MESSAGE = 4
TOKENS_PER_REQUEST = 3
COMPLETION_TOKENS = 25
FAULTS = ("", "reset", "cut", "hang", "garbage", "no_usage", "usage_early", "silent", "long_line")
LIES: dict[str, Any] = {"negative": -5, "text": "many", "null": None, "huge": 2**63, "fraction": 1.5}
"""What a provider may say of its completion tokens that can't be. It bills what it served all the same."""
MODELS = ("gpt-4o-mini", "gpt-4o")


@dataclass(frozen=True, slots=True)
class Wish:
    """How one answer behaves. ``at`` is how many bytes of the body go out before the fault; ``status`` above 299 is an error.

    ``reset`` ends with RST, ``cut`` with FIN, ``hang`` never ends, ``silent`` never begins; ``piece`` is how many bytes
    of a whole answer go out at once, ``gap_ms`` the time between two pieces or two stream events. ``long_line`` is an event
    that goes on for ``at`` bytes. ``lie`` is one of LIES. ``only`` is the model that the rest is meant for.
    """

    out: int = COMPLETION_TOKENS
    first_ms: int = 0
    gap_ms: int = 0
    piece: int = 0
    fault: str = ""
    at: int = 0
    status: int = 200
    retry_after: int = 0
    served: str = ""
    lie: str = ""
    only: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """A well-formed request: what was asked, and what it is going to cost."""

    model: str
    stream: bool
    include_usage: bool
    choices: int
    prompt_tokens: int
    completion_tokens: int
    cut_short: bool
    wish: Wish

    @property
    def usage(self) -> dict[str, Any]:
        said = LIES[self.wish.lie] if self.wish.lie else self.completion_tokens
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": said,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        }


def read_ask(body: bytes) -> Ask | str:
    """The request, or what is wrong with it."""
    try:
        request = json.loads(body)
        messages = [(message["role"], _text(message["content"])) for message in request["messages"]]
        model = str(request["model"])
    except (ValueError, KeyError, TypeError) as error:
        return f"not a chat completion request: {type(error).__name__} {error}"
    wish = _wish(messages[-1][1]) if messages else Wish()
    if wish.only and wish.only != model:
        wish = Wish()
    limit = request.get("max_completion_tokens") or request.get("max_tokens")
    choices = int(request.get("n") or 1)
    words = wish.out if limit is None else min(wish.out, int(limit))
    return Ask(
        model=model,
        stream=bool(request.get("stream")),
        include_usage=bool((request.get("stream_options") or {}).get("include_usage")),
        choices=choices,
        prompt_tokens=prompt_tokens([text for _, text in messages]),
        completion_tokens=words * choices,
        cut_short=words < wish.out,
        wish=wish,
    )


def prompt_tokens(texts: list[str]) -> int:
    """A token per word, a few per message and per request: never more than the prompt has bytes."""
    return TOKENS_PER_REQUEST + sum(TOKENS_PER_MESSAGE + len(text.split()) for text in texts)


def whole_answer(ask: Ask, answer_id: str) -> bytes:
    """The body of an answer that is not streamed."""
    text = "".join(_words(ask))
    message = {"role": "assistant", "content": text, "refusal": None}
    choices = [
        {"index": index, "message": message, "logprobs": None, "finish_reason": _finish(ask)}
        for index in range(ask.choices)
    ]
    answer = {**_head(ask, answer_id, "chat.completion"), "choices": choices}
    if ask.wish.fault != "no_usage":
        answer["usage"] = ask.usage
    return _compact(answer)


def stream_events(ask: Ask, answer_id: str) -> list[bytes]:
    """The events of a streamed answer, the end mark included; usage in a chunk of its own when it was asked for."""
    chunk = _head(ask, answer_id, "chat.completion.chunk")
    deltas = [[_choice(index, {"role": "assistant", "content": ""})] for index in range(ask.choices)]
    deltas += [[_choice(index, {"content": word})] for word in _words(ask) for index in range(ask.choices)]
    deltas += [[_choice(index, {}, _finish(ask))] for index in range(ask.choices)]
    early = ask.wish.fault == "usage_early"
    usage = {"usage": None} if ask.include_usage else {}
    events = [_event({**chunk, "choices": delta, **usage}) for delta in deltas]
    if early:
        events[-1] = _event({**chunk, "choices": deltas[-1], "usage": ask.usage})
    elif ask.include_usage and ask.wish.fault != "no_usage":
        events.append(_event({**chunk, "choices": [], "usage": ask.usage}))
    return [*events, b"data: [DONE]\n\n"]


def error_answer(status: int) -> bytes:
    """The body of an error, as OpenAI words its own."""
    return _compact(
        {"error": {"message": f"told to fail with {status}", "type": "mock_error", "param": None, "code": None}}
    )


def model_list() -> bytes:
    """What ``GET /v1/models`` says."""
    models = [{"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "truthful"} for name in MODELS]
    return _compact({"object": "list", "data": models})


def _text(content: Any) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return " ".join(part.get("text", "") for part in content)


def _wish(prompt: str) -> Wish:
    start, end = prompt.find("[["), prompt.find("]]")
    if start < 0 or end < start:
        return Wish()
    numbers = {field.name for field in fields(Wish) if field.type is int}
    wish = Wish()
    for word in prompt[start + 2 : end].split():
        name, _, value = word.partition("=")
        said: dict[str, Any] = {name: int(value) if name in numbers else value}
        wish = replace(wish, **said)
    return wish


def _words(ask: Ask) -> list[str]:
    return [f"word{number} " for number in range(ask.completion_tokens // ask.choices)]


def _finish(ask: Ask) -> str:
    return "length" if ask.cut_short else "stop"


def _head(ask: Ask, answer_id: str, kind: str) -> dict[str, Any]:
    return {"id": answer_id, "object": kind, "created": 1_767_225_600, "model": ask.wish.served or ask.model}


def _choice(index: int, delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + _compact(chunk) + b"\n\n"


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
