"""What of a request a similar one may differ in: the words of its last message, where it is nothing but words."""

from typing import Any

import msgspec
from msgspec import Struct

from keeptrusts.core.calls.request import NOTHING, TextRequest
from keeptrusts.core.refusal import Refused

MAX_QUESTION_CHARS = 1_000
"""In longer texts a difference that matters is too small a part to be seen."""

_TOOLS = frozenset({"tools", "tool_choice", "functions", "function_call", "mcp_servers", "web_search_options"})
_SHAPES = frozenset({"response_format", "text", "output_config", "audio", "modalities", "logprobs", "prediction"})
EXACT_FIELDS = _TOOLS | _SHAPES
"""Fields with which an answer is more than words: such calls are answered by equal ones alone."""

_DIALOGUES = {"chat": "messages", "messages": "messages", "responses": "input"}
"""Where each door's messages stand."""

_WORDS = frozenset({"text", "input_text", "output_text"})

encode = msgspec.json.Encoder(order="deterministic").encode


class Question(Struct, frozen=True):
    """``words``: what may be said otherwise. ``rest``: everything else that the answer depends on."""

    words: str
    rest: bytes


def question_of(request: TextRequest) -> Question | None:
    """The request as a question that may be asked in other words; None when only an equal one can be answered alike."""
    field = _DIALOGUES.get(request.door)
    if field is None:
        return None
    if any(bytes(request.fields[name]) not in NOTHING for name in request.fields.keys() & EXACT_FIELDS):
        return None
    try:
        turns = request.value(field)
        fields = {n: request.value(n) for n in request.fields if n != field and n not in request.beside_the_answer}
    except Refused:
        return None
    if isinstance(turns, str):
        turns = [{"role": "user", "content": turns}]
    if not isinstance(turns, list) or not turns or not all(map(_is_words, turns)):
        return None
    last = turns[-1]
    words = _words(last["content"])
    if last.get("role") != "user" or words is None or not 0 < len(words) <= MAX_QUESTION_CHARS:
        return None
    frame = {name: value for name, value in last.items() if name != "content"}
    return Question(words, encode([request.door, fields, turns[:-1], frame]))


def _is_words(turn: Any) -> bool:
    """Whether a message is nothing but words that somebody said."""
    if not isinstance(turn, dict) or turn.get("role") == "tool" or turn.get("type", "message") != "message":
        return False
    return not turn.keys() & {"tool_calls", "function_call", "audio"} and _words(turn.get("content")) is not None


def _words(content: Any) -> str | None:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    texts = [part.get("text") if isinstance(part, dict) and part.get("type") in _WORDS else None for part in content]
    return "\n".join(texts) if texts and all(isinstance(text, str) for text in texts) else None  # type: ignore[arg-type]
