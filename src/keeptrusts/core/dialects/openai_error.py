"""Errors in OpenAI's dialects: the envelope that its SDKs make exceptions of, and what providers say that speak them.

Source: OpenAI's API reference ("Error codes") and openai-python, which reads ``message``, ``type``, ``param``, ``code``.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from keeptrusts.core.dialects.sse import sse_event

_decode = msgspec.json.decode
_encode = msgspec.json.Encoder(decimal_format="number").encode

MOST_MESSAGE = 2_000
MOST_KIND = 100
"""Characters of a provider's message, and of its word for the error, that are handed on."""

_KEYS = re.compile(r"\b(?:sk|pk|rk|gsk|xai|csk|nvapi|pplx|fw|AIza)[-_]?[\w*.\-]{6,}|\bBearer\s+\S+")
"""Keys of providers, whole or in part: OpenAI's own message on a wrong key quotes it."""


def write_error(status: int, kind: str, message: str, code: str, details: Mapping[str, Any]) -> bytes:
    """The error envelope. SDKs choose the exception by ``status``, which is the answer's own; ``param`` is in ``details``."""
    error: dict[str, Any] = {"message": message, "type": kind, "param": details.get("param"), "code": code}
    if details:
        error["details"] = dict(details)
    return _encode({"error": error})


def error_event(message: str, kind: str | None) -> bytes:
    """The event by which a stream says that it is broken: SDKs raise an ``APIError`` for it."""
    return sse_event(
        _encode({"error": {"message": message, "type": kind or "upstream_error", "param": None, "code": kind}})
    )


def read_error(body: bytes) -> tuple[str | None, str | None]:
    """A provider's word for what is wrong, and its message without keys; (None, None) when the body is no error."""
    try:
        return error_of(_decode(body))
    except (ValueError, RecursionError):
        return None, None


def error_of(answer: Any) -> tuple[str | None, str | None]:
    """The same of a decoded answer. Known shapes: OpenAI's object, a mere string (Ollama), no envelope (Mistral, vLLM)."""
    if not isinstance(answer, dict):
        return None, None
    error = answer.get("error")
    if isinstance(error, str):
        return None, _message(error)
    if not isinstance(error, dict):
        error = answer if answer.get("object") == "error" else {}
    return _kind(error), _message(error.get("message"))


def _kind(error: Mapping[str, Any]) -> str | None:
    """The ``code`` says more than the ``type``, but for those that repeat the status."""
    words = [word for word in (error.get("code"), error.get("type")) if isinstance(word, str) and word]
    return next((word[:MOST_KIND] for word in words if not word.isdigit()), None)


def _message(told: Any) -> str | None:
    return _KEYS.sub("[key]", told)[:MOST_MESSAGE] if isinstance(told, str) and told else None
