"""One call's itinerary: the targets that may serve it, where there is a choice: which is next, after what, and how soon."""

from collections.abc import Sequence

from keeptrusts.core.calls.request import TextRequest
from keeptrusts.core.providers.wires import WIRES
from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.core.routing.ordering import Circumstances, in_order
from keeptrusts.core.routing.plan import Hop, fitting
from keeptrusts.core.routing.retry_budget import delay_s
from keeptrusts.core.routing.rules import CAUSE_OF
from keeptrusts.core.routing.target import FIXED_ORDER
from keeptrusts.gateway.edition import Edition, Lane
from keeptrusts.gateway.target_state import TargetState

BYTES_PER_TOKEN = 4
"""About: to compare prices by."""

OF_ANSWERS = frozenset({Reason.POLICY_VIOLATION, Reason.POLICY_UNAVAILABLE, Reason.RESPONSE_TOO_LARGE})
"""Why an answer that was paid for is not handed on."""

MAX_NAMED = 5
"""Targets that an attempt's reason names at most."""


class Itinerary:
    """Made for a call, used once. ``chosen`` says why the hop at hand was taken, for the ledger."""

    def __init__(self, edition: Edition, lane: Lane, request: TextRequest, came_at: float, now: float) -> None:
        self._edition = edition
        self._rules = edition.rulebook.routing.failover
        self._came_at = came_at
        self._tries = 1
        self._fallbacks = 0
        self._first_failure: Refused | None = None
        self._passed_over: list[str] = []
        self.chosen: str | None = None
        self._rest = self._ordered(lane, request, now)
        self._strategy = lane.choices[0].strategy

    def first(self, now: float) -> Hop:
        """The hop to begin with. When every target rests, the one that has rested longest is tried all the same: to refuse
        for certain is worse than to fail perhaps."""
        only = len(self._rest) == 1
        hop = self._next_admitted(now)
        if hop is None:
            hop = min(self._all, key=self._free_at)
            self._rest = []
            self.chosen = "all targets rest"
        elif not only:
            self.chosen = self._said(hop.why or self._strategy)
        return self._take(hop)

    def after(self, hop: Hop, refused: Refused, sent: bool, now: float) -> tuple[Hop, float] | None:
        """What follows an attempt that was refused: a hop, and how many seconds to wait before it; None: the refusal stands.

        ``sent`` False: our own side could not send it, for what the provider can't be asked.
        """
        cause = CAUSE_OF.get(refused.reason)
        if cause is None and (sent or refused.reason is not Reason.INVALID_REQUEST):
            return None
        if cause is not None:
            self._first_failure = self._first_failure or refused
            if not self._rules.enabled or cause not in self._rules.triggers:
                return None
            wait_s = self._retry_wait_s(hop, refused, now)
            if wait_s is not None:
                self._tries += 1
                self.chosen = f"retry {self._tries - 1} of {self._rules.retry.max_attempts - 1}"
                return hop, wait_s
        if self._fallbacks >= self._rules.max_fallbacks:
            return None
        following = self._next_admitted(now)
        if following is None:
            return None
        self._fallbacks += 1
        self._tries = 1
        self.chosen = self._said(f"fallback, {following.why}" if following.why else "fallback")
        return self._take(following), 0.0

    def instead_of(self, hop: Hop, now: float) -> Hop | None:
        """What is taken in place of a hop whose target is at its limit; None: nothing is left."""
        self._passed_over.append(f"{hop.target.id} is at its limit")
        following = self._next_admitted(now)
        if following is None:
            return None
        self.chosen = self._said(following.why or self._strategy)
        return self._take(following)

    def verdict(self, refused: Refused) -> Refused:
        """What the client is told when nothing follows: a provider's failure says more than that another can't be asked, and
        less than why the other's answer is kept back."""
        said = refused.reason in CAUSE_OF or refused.reason in OF_ANSWERS
        return refused if said else self._first_failure or refused

    def _ordered(self, lane: Lane, request: TextRequest, now: float) -> list[Hop]:
        served, asked = WIRES[request.door], request.max_tokens
        circumstances: Circumstances | None = None
        hops: list[Hop] = []
        for choice in lane.choices:
            able = [hop for hop in fitting(choice.hops, asked) if hop.target.provider in served]
            if len(able) > 1 and choice.strategy not in FIXED_ORDER:
                circumstances = circumstances or self._circumstances(lane, request, now)
                able = in_order(choice, able, circumstances)
            hops += able
        if not hops:
            raise _no_hop(lane, request)
        self._all: Sequence[Hop] = tuple(hops)
        return hops

    def _circumstances(self, lane: Lane, request: TextRequest, now: float) -> Circumstances:
        return Circumstances(
            in_flight=lambda hop: self._state(hop).in_flight,
            latency_s=lambda hop: self._state(hop).latency_s(request.stream, now),
            tokens_per_s=lambda hop: self._state(hop).tokens_per_s(now),
            draw=self._edition.draw,
            turn=lane.next_turn(),
            input_tokens=request.size_bytes // BYTES_PER_TOKEN,
            output_tokens=request.max_tokens or self._edition.rulebook.default_output_tokens,
        )

    def _state(self, hop: Hop) -> TargetState:
        return self._edition.targets[hop.target.id].state

    def _free_at(self, hop: Hop) -> tuple[bool, float]:
        return self._state(hop).free_at(hop.model)

    def _next_admitted(self, now: float) -> Hop | None:
        while self._rest:
            hop = self._rest.pop(0)
            bar = self._state(hop).bar(hop.model, now)
            if bar is None:
                return hop
            self._passed_over.append(f"{hop.target.id} {bar}")
        return None

    def _take(self, hop: Hop) -> Hop:
        self._passed_over.clear()
        return hop

    def _said(self, why: str) -> str:
        passed = self._passed_over[:MAX_NAMED]
        return f"{why}; {', '.join(passed)}" if passed else why

    def _retry_wait_s(self, hop: Hop, refused: Refused, now: float) -> float | None:
        """How long to wait before this target is tried again; None: it is not."""
        retry = self._rules.retry
        if self._tries >= retry.max_attempts or refused.reason is Reason.UPSTREAM_REJECTED_KEY:
            return None
        asked_s = refused.retry_after_s or 0
        state = self._state(hop)
        if asked_s > retry.max_delay_s:
            return None
        wait_s = asked_s + delay_s(self._tries, retry.base_delay_s, retry.max_delay_s, self._edition.draw())
        if state.bar(hop.model, now + wait_s) is not None:
            return None
        if now + wait_s - self._came_at > retry.timeout_s or not state.budget.take(state.begun):
            return None
        return wait_s


def _no_hop(lane: Lane, request: TextRequest) -> Refused:
    if not any(fitting(choice.hops, request.max_tokens) for choice in lane.choices):
        return Refused(
            Reason.INVALID_REQUEST,
            f"No model of the group {request.model!r} takes max_tokens {request.max_tokens}.",
            {"param": "max_tokens"},
        )
    providers = ", ".join(sorted({hop.target.provider for hop in lane.hops}))
    return Refused(
        Reason.INVALID_REQUEST,
        f"The model {request.model!r} is served by {providers}, which has no {request.door} here.",
        {"param": "model"},
    )
