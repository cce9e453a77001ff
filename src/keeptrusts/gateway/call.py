"""One call's facts while it is under way: filled in step by step, and at the end turned into its one event."""

import os
from typing import TYPE_CHECKING

from keeptrusts.core.calls.usage import NO_USAGE, UsageSource
from keeptrusts.core.identity.attribution import Attribution
from keeptrusts.core.ids import base36
from keeptrusts.core.ledger.records import Attempt, CallStatus, Event
from keeptrusts.core.limits.gate import Permit
from keeptrusts.core.refusal import Refused
from keeptrusts.gateway.caller import Caller
from keeptrusts.gateway.refusals import BLOCKED, UPSTREAM, status_of
from keeptrusts.gateway.trace_context import TraceContext

if TYPE_CHECKING:
    from keeptrusts.gateway.watching import Watch

NOBODY = Attribution()


class CallIds:
    """Ids for this process's calls: they sort by time, and the process's drawn tag keeps nodes apart."""

    __slots__ = ("_count", "_ms", "_prefix", "_tag")

    def __init__(self) -> None:
        self._tag = base36(int.from_bytes(os.urandom(5), "big"), 8)
        self._count = 0
        self._ms = 0
        self._prefix = ""

    def next(self, now_ns: int) -> str:
        """``evt_`` and hex milliseconds, the process's tag, and a counter."""
        self._count += 1
        ms = now_ns // 1_000_000
        if ms != self._ms:
            self._ms, self._prefix = ms, f"evt_{ms:012x}{self._tag}"
        return f"{self._prefix}{self._count:06x}"


class Call:
    """What is known of the call so far. ``cost_nanos`` stays None until something was sent or served.

    ``upstream_ns`` is how long it waited for providers, ``first_byte_ns`` when its client got a stream's first bytes.
    ``earlier_waits`` says of each attempt that another followed when it ended and how long it waited. ``trace`` None: nobody traces.
    ``escalated`` names each policy that leaves the call to a person, with its action; ``ticket`` is the last it was held with.
    """

    asked_model = ""
    model = ""
    provider: str | None = None
    served_model: str | None = None
    status: CallStatus = "ok"
    reason: str | None = None
    cost_nanos: int | None = None
    usage = NO_USAGE
    usage_source = UsageSource.NONE
    price_version: str | None = None
    unpriced = False
    cache_hit = False
    saved_nanos = 0
    policy_actions: tuple[str, ...] = ()
    watch: "Watch | None" = None
    attempts: tuple[Attempt, ...] = ()
    settles = 0
    stream = False
    http_status = 200
    recorded = False
    at_target: Permit | None = None
    upstream_ns = 0
    first_byte_ns = 0
    earlier_waits: tuple[tuple[int, int], ...] = ()
    trace: TraceContext | None = None
    escalated: tuple[tuple[str, str], ...] = ()
    ticket: str | None = None

    def __init__(self, call_id: str, at_ns: int, started: float, caller: Caller, request_id: str) -> None:
        self.call_id = call_id
        self.at_ns = at_ns
        self.started = started
        self.caller = caller
        self.request_id = request_id

    def refused(self, refused: Refused) -> None:
        """The call was not served, for this reason."""
        self.http_status = status_of(refused)
        self.reason = refused.reason.value
        if refused.reason in BLOCKED:
            self.status = "blocked"
        elif refused.reason in UPSTREAM:
            self.status = "upstream_error"
        else:
            self.status = "refused"

    def held_as(self, ticket_id: str) -> None:
        """The call is held for an approver, with this ticket."""
        self.ticket = ticket_id

    @property
    def used_tokens(self) -> int | None:
        """What its latest attempt takes from token limits; None when its provider served it and nobody can know."""
        return None if self.usage_source is UsageSource.WORST_CASE else self.usage.total_tokens

    @property
    def all_used_tokens(self) -> int | None:
        """As ``used_tokens``, of all attempts as far as they are known: a vector's, and one that was billed before another."""
        used = self.used_tokens
        if used is None or len(self.attempts) < 2:
            return used
        return sum(attempt.usage.total_tokens for attempt in self.attempts)

    def event(self, now: float) -> Event:
        """The ledger row, for the journal: a call has one. ``now`` is on the clock of ``started``."""
        self.recorded = True
        caller = self.caller
        return Event(
            self.call_id,
            self.at_ns,
            int((now - self.started) * 1000),
            caller.key_id,
            caller.group,
            caller.attribution,
            self.provider,
            self.model or self.asked_model,
            self.asked_model,
            self.served_model,
            self.status,
            self.reason,
            self.cost_nanos,
            self.usage,
            self.usage_source,
            self.price_version,
            self.unpriced,
            self.cache_hit,
            self.saved_nanos,
            self.policy_actions,
            self.attempts,
            self.settles,
            self.request_id,
            self.stream,
            self.http_status,
            self.ticket,
        )

    def __repr__(self) -> str:
        return f"Call({self.call_id}, {self.asked_model!r}, {self.status})"
