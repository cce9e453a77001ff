"""Errors of the Messages API, both ways: the envelope, and the type that goes with an HTTP status.

Source: "Errors" in Anthropic's API reference, ``ErrorResponse`` and ``ErrorType`` of its SDK, which takes the exception's
class from the status and its ``error_code`` from ``error.details``.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

KINDS: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Other statuses below 500 are ``invalid_request_error``, others above ``api_error``."""

_KNOWN = frozenset(KINDS.values())


class _Error(Struct, frozen=True):
    message: str
    type: str | None = None


class _Envelope(Struct, frozen=True):
    error: _Error


_decode = msgspec.json.Decoder(_Envelope).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


def write_error(status: int, kind: str, message: str, code: str, details: Mapping[str, Any]) -> bytes:
    """The body of an error. Its type goes by the status alone, for the dialect's types are few: ``kind`` is not told,
    ``code`` says exactly what is wrong. ``details["request_id"]``, if there, stands where SDKs read it."""
    told = {name: value for name, value in details.items() if name != "request_id"}
    error = {"type": _kind_of(status), "message": message, "details": {**told, "error_code": code}}
    return _encode({"type": "error", "error": error, "request_id": details.get("request_id")})


def _kind_of(status: int) -> str:
    return KINDS.get(status, "invalid_request_error" if status < 500 else "api_error")


def broken_body(message: str, kind: str | None) -> bytes:
    """The data of an ``error`` event, which ends a stream; ``kind`` is a provider's word and told if it is known here."""
    return _encode({"type": "error", "error": {"type": kind if kind in _KNOWN else "api_error", "message": message}})


def read_error(body: bytes) -> tuple[str | None, str | None]:
    """An error body's type and message; two Nones when it is none."""
    try:
        error = _decode(body).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, None
    return error.type, error.message
