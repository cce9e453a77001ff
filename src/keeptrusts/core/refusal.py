"""Every way to say no, as values. The core knows no HTTP: ``gateway/refusals.py`` maps a Reason to status and body."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any

NO_DETAILS: Mapping[str, Any] = MappingProxyType({})


class Reason(StrEnum):
    """Why a call was not served. The value is the error's ``code`` and the event's ``reason``."""

    # who
    MISSING_KEY = "missing_key"
    INVALID_KEY = "invalid_key"
    KEY_REVOKED = "key_revoked"
    KEY_SUSPENDED = "key_suspended"
    KEY_EXPIRED = "key_expired"
    AMBIGUOUS_KEY = "ambiguous_key"
    IP_NOT_ALLOWED = "ip_not_allowed"
    BUDGET_EXHAUSTED = "budget_exhausted"
    ATTRIBUTION_REQUIRED = "attribution_required"
    ADMIN_ONLY = "admin_only"
    CONFIG_REJECTED = "config_rejected"
    ATTRIBUTION_NOT_ALLOWED = "attribution_not_allowed"
    # what
    INVALID_JSON = "invalid_json"
    INVALID_REQUEST = "invalid_request"
    BODY_TOO_LARGE = "body_too_large"
    BODY_TOO_SLOW = "body_too_slow"
    MODEL_NOT_FOUND = "model_not_found"
    MODEL_NOT_ALLOWED = "model_not_allowed"
    ROUTE_NOT_FOUND = "route_not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    POLICY_VIOLATION = "policy_violation"
    POLICY_UNAVAILABLE = "policy_unavailable"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    # how much
    RATE_LIMIT_EXCEEDED = "rate_limit_exceeded"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    WALLET_STOPPED = "wallet_stopped"
    COST_DENIED = "cost_denied"
    UNPRICED_MODEL = "unpriced_model"
    UNBOUNDED_COST = "unbounded_cost"
    BUDGET_UNVERIFIABLE = "budget_unverifiable"
    # the way there
    NOT_READY = "not_ready"
    JOURNAL_FAILED = "journal_failed"
    JOURNAL_FULL = "journal_full"
    TARGET_UNAVAILABLE = "target_unavailable"
    UPSTREAM_ERROR = "upstream_error"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    UPSTREAM_RATE_LIMITED = "upstream_rate_limited"
    UPSTREAM_REJECTED_KEY = "upstream_rejected_key"
    RESPONSE_TOO_LARGE = "response_too_large"
    INTERNAL = "internal_error"


class Refused(Exception):
    """A call, or an operation, that is not served. ``message`` speaks to whoever must act and holds no secret.

    ``retry_after_s`` is set when the same call may be served after so many seconds.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        details: Mapping[str, Any] = NO_DETAILS,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.details = details
        self.retry_after_s = retry_after_s

    def again(self) -> "Refused":
        """A fresh exception that says the same: one that is raised more than once would grow its traceback for ever."""
        return Refused(self.reason, self.message, self.details, self.retry_after_s)
