"""How the gateway says no: one table from Reason to HTTP status and error type, and the one envelope that clients parse."""

from collections.abc import Mapping
from typing import Any

import msgspec

from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.gateway.limiting import limit_format

REFUSALS: Mapping[Reason, tuple[int, str]] = {
    Reason.MISSING_KEY: (401, "authentication_error"),
    Reason.INVALID_KEY: (401, "authentication_error"),
    Reason.KEY_REVOKED: (403, "permission_error"),
    Reason.KEY_SUSPENDED: (403, "permission_error"),
    Reason.KEY_EXPIRED: (403, "permission_error"),
    Reason.AMBIGUOUS_KEY: (401, "authentication_error"),
    Reason.IP_NOT_ALLOWED: (403, "permission_error"),
    Reason.BUDGET_EXHAUSTED: (402, "budget_exceeded"),
    Reason.ATTRIBUTION_REQUIRED: (403, "permission_error"),
    Reason.ADMIN_ONLY: (403, "permission_error"),
    Reason.CONFIG_REJECTED: (422, "invalid_request_error"),
    Reason.ATTRIBUTION_NOT_ALLOWED: (403, "permission_error"),
    Reason.INVALID_JSON: (400, "invalid_request_error"),
    Reason.INVALID_REQUEST: (400, "invalid_request_error"),
    Reason.BODY_TOO_LARGE: (413, "invalid_request_error"),
    Reason.BODY_TOO_SLOW: (408, "invalid_request_error"),
    Reason.MODEL_NOT_FOUND: (404, "invalid_request_error"),
    Reason.MODEL_NOT_ALLOWED: (403, "permission_error"),
    Reason.ROUTE_NOT_FOUND: (404, "invalid_request_error"),
    Reason.METHOD_NOT_ALLOWED: (405, "invalid_request_error"),
    Reason.POLICY_VIOLATION: (409, "policy_violation"),
    Reason.POLICY_UNAVAILABLE: (503, "service_unavailable"),
    Reason.IDEMPOTENCY_CONFLICT: (422, "invalid_request_error"),
    Reason.RATE_LIMIT_EXCEEDED: (429, "rate_limit_error"),
    Reason.INSUFFICIENT_BALANCE: (402, "budget_exceeded"),
    Reason.WALLET_STOPPED: (402, "budget_exceeded"),
    Reason.COST_DENIED: (402, "budget_exceeded"),
    Reason.UNPRICED_MODEL: (402, "budget_exceeded"),
    Reason.UNBOUNDED_COST: (400, "invalid_request_error"),
    Reason.BUDGET_UNVERIFIABLE: (503, "service_unavailable"),
    Reason.NOT_READY: (503, "service_unavailable"),
    Reason.JOURNAL_FAILED: (503, "service_unavailable"),
    Reason.JOURNAL_FULL: (503, "service_unavailable"),
    Reason.TARGET_UNAVAILABLE: (503, "service_unavailable"),
    Reason.UPSTREAM_ERROR: (502, "upstream_error"),
    Reason.UPSTREAM_TIMEOUT: (504, "upstream_error"),
    Reason.UPSTREAM_RATE_LIMITED: (429, "rate_limit_error"),
    Reason.UPSTREAM_REJECTED_KEY: (502, "upstream_error"),
    Reason.RESPONSE_TOO_LARGE: (502, "upstream_error"),
    Reason.INTERNAL: (500, "internal_error"),
}

FINAL = frozenset(
    {
        Reason.INSUFFICIENT_BALANCE,
        Reason.BUDGET_EXHAUSTED,
        Reason.WALLET_STOPPED,
        Reason.COST_DENIED,
        Reason.UNPRICED_MODEL,
        Reason.POLICY_VIOLATION,
        Reason.POLICY_UNAVAILABLE,
        Reason.RESPONSE_TOO_LARGE,
    }
)
"""Refusals that official SDKs must not retry by themselves: they are told so in a header."""

BLOCKED = frozenset(
    {
        Reason.INSUFFICIENT_BALANCE,
        Reason.BUDGET_EXHAUSTED,
        Reason.WALLET_STOPPED,
        Reason.COST_DENIED,
        Reason.UNPRICED_MODEL,
        Reason.POLICY_VIOLATION,
        Reason.POLICY_UNAVAILABLE,
        Reason.UNBOUNDED_COST,
    }
)
"""Refusals by budget or policy: their events say ``blocked``."""

UPSTREAM = frozenset(
    {
        Reason.UPSTREAM_ERROR,
        Reason.UPSTREAM_TIMEOUT,
        Reason.UPSTREAM_RATE_LIMITED,
        Reason.UPSTREAM_REJECTED_KEY,
        Reason.RESPONSE_TOO_LARGE,
    }
)
"""Refusals that a provider caused: their events say ``upstream_error``."""

RETRY_SOON_S = 1
JSON_LINE = b"content-type: application/json\r\n"

_encode = msgspec.json.Encoder(decimal_format="number").encode


def unwritten() -> Refused:
    """The journal can't be written, so nothing may be sent and nothing can be told as done. The log says why."""
    return Refused(
        Reason.JOURNAL_FAILED, "This gateway can't record calls now: its operators find the cause in its log."
    )


def full() -> Refused:
    """Too much of the journal waits for the store: what can't be brought there in time must not grow without bound."""
    return Refused(
        Reason.JOURNAL_FULL,
        "This gateway has recorded as much as it may without the control plane: it goes on when that has caught up.",
    )


def response_too_large(max_bytes: int) -> Refused:
    """The provider's answer was paid for and is not passed on: asked again, it may well be as long."""
    return Refused(
        Reason.RESPONSE_TOO_LARGE,
        f"The provider's answer is larger than {max_bytes} bytes (size_limits.max_response_bytes): ask for a shorter one.",
        {"max_bytes": max_bytes},
    )


def status_of(refused: Refused) -> int:
    """The HTTP status of a refusal."""
    return REFUSALS[refused.reason][0]


def error_body(refused: Refused) -> bytes:
    """The error envelope: message, type, code, and details where there are any."""
    error: dict[str, Any] = {
        "message": refused.message,
        "type": REFUSALS[refused.reason][1],
        "code": refused.reason.value,
    }
    if refused.details:
        error["details"] = dict(refused.details)
    return _encode({"error": error})


def error_lines(refused: Refused) -> bytes:
    """Header lines that SDKs go by: when to try again, and whether at all."""
    lines = JSON_LINE
    retry_after = refused.retry_after_s
    if retry_after is None and status_of(refused) == 503:
        retry_after = RETRY_SOON_S
    if retry_after is not None:
        lines += b"retry-after: %d\r\n" % retry_after
    if "remaining" in refused.details:
        details = refused.details
        lines += limit_format(details["counts"], details["allowed"], details["window_s"]) % details["remaining"]
    if refused.reason in FINAL:
        lines += b"x-should-retry: false\r\n"
    return lines
