"""Limits that several hosts share: every call is charged in one step in the store, and here too, for when that is away.

While it is away each host lets its part through. What a host let through then is counted in the store when that is back, and
all that it remembers where the store has forgotten.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from keeptrusts.core.calls.request import TextRequest
from keeptrusts.core.limits.gate import Exceeded, Gate, Permit
from keeptrusts.core.limits.quotas import Quota
from keeptrusts.core.limits.window import SlidingWindow, bucket_s_of, buckets_of
from keeptrusts.gateway.limiting import NO_GATE, NO_LIMITS, estimate, refusal
from keeptrusts.gateway.scopes import Meters
from keeptrusts.gateway.store_link import LEASE_MS, PREFIX, StoreLink, Trip

MAX_PLANS = 10_000
PRUNE_MIN = 10_000


class Row(Struct, frozen=True):
    """A window in the store."""

    key: str
    bucket_s: int
    size: int
    quota: Quota
    scope: str

    def amount(self, tokens: int) -> int:
        """What a call of so many tokens takes of it."""
        return 1 if self.quota.counts == "requests" else min(tokens, self.quota.allowed)


class Plan:
    """What a gate's calls ask of the store; and the gate of this host's part, for ``parts`` hosts, once it is needed."""

    __slots__ = ("keys", "part", "parts", "place_keys", "places", "rows", "token_keys", "token_rows")

    def __init__(self, gate: Gate) -> None:
        self.rows = [
            Row(
                f"{PREFIX}{quota.counts}:{quota.window_s}:{meter.scope}",
                bucket_s_of(quota.window_s),
                buckets_of(quota.window_s, bucket_s_of(quota.window_s)),
                quota,
                meter.scope,
            )
            for counts in ("requests", "tokens")
            for meter in gate.meters
            for quota in meter.quotas.windows
            if quota.counts == counts
        ]
        limited = [(meter.quotas.concurrent, meter.scope) for meter in gate.meters]
        self.places = [(allowed, scope) for allowed, scope in limited if allowed is not None]
        self.place_keys = tuple(f"{PREFIX}places:{scope}" for _, scope in self.places)
        self.keys = tuple(row.key for row in self.rows) + self.place_keys
        self.token_rows = [row for row in self.rows if row.quota.counts == "tokens"]
        self.token_keys = tuple(row.key for row in self.token_rows) + self.place_keys
        self.parts = 0
        self.part: Gate | None = None


class StorePermit(Permit):
    """A call that was let through while limits are shared. ``member`` names it in the store."""

    __slots__ = ("_member", "_own", "_plan", "_store", "_store_s")

    def __init__(self, store: "LimitStore", plan: Plan, own: Permit, member: str, tokens: int, taken_s: int) -> None:
        self._store = store
        self._plan = plan
        self._own = own
        self._member = member
        self._tokens = tokens
        self._taken_s = taken_s
        self._store_s = 0
        self.least_requests = own.least_requests
        self.least_tokens = own.least_tokens

    def told(self, answer: list[int], shown: bool) -> None:
        """What the store said of the call: its time, and what each window has left."""
        self._store_s = answer[1]
        self.least_requests = self.least_tokens = None
        if not shown:
            return
        for row, left in zip(self._plan.rows, answer[2:], strict=True):
            if row.quota.counts == "requests":
                if self.least_requests is None or left < self.least_requests[0]:
                    self.least_requests = left, row.quota
            elif self.least_tokens is None or left < self.least_tokens[0]:
                self.least_tokens = left, row.quota

    def leave(self, used_tokens: int | None, now_s: int) -> None:
        """See Permit."""
        self._own.leave(used_tokens, now_s)
        self._store.leave(self._plan, self._member, self._tokens, used_tokens, self._store_s, self._taken_s, now_s)

    def step_aside(self) -> None:
        """See Permit."""
        self._own.step_aside()
        self._store.step_aside(self._plan, self._member)

    def step_back(self) -> None:
        """See Permit."""
        self._own.step_back()
        self._store.step_back(self._plan, self._member)


class LimitStore:
    """The limits of one process, counted in the store, from ``start`` to ``stop``."""

    _task: asyncio.Task[None] | None = None

    def __init__(self, nodes: Callable[[], int], link: StoreLink, meters: Meters) -> None:
        """``nodes``: how many hosts there are at least, by the rules in force."""
        self._nodes = nodes
        self._meters = meters
        self._loop = asyncio.get_running_loop()
        self.link = link
        self._tag = os.urandom(6).hex()
        self._calls = 0
        self._plans: dict[Gate, Plan] = {}
        self._running: dict[str, tuple[str, ...]] = {}
        self._counted: dict[str, tuple[SlidingWindow, SlidingWindow]] = {}
        self._prune_at = PRUNE_MIN

    def start(self) -> None:
        """Begins to keep in touch with the store."""
        running = self.link.run(self._meters.name, self._returned, self._tick)
        self._task = asyncio.get_running_loop().create_task(running)

    async def stop(self) -> None:
        """Lets go of it."""
        self.link.end()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    @property
    def away(self) -> bool:
        """Whether the store does not answer now."""
        return self.link.away

    @property
    def falls(self) -> int:
        """How often it fell away."""
        return self.link.failures

    @property
    def hosts(self) -> int:
        """How many hosts it counted last."""
        return self.link.nodes

    @property
    def parts(self) -> int:
        """Into how many parts limits are divided while the store is away."""
        return max(self._nodes(), self.link.nodes)

    async def admit(self, gate: Gate, request: TextRequest, default_output_tokens: int, now_s: int) -> Permit:
        """Charges every limit of the call, or none. Raises Refused(RATE_LIMIT_EXCEEDED), naming the limit and its scope."""
        if gate is NO_GATE:
            return NO_LIMITS
        tokens = estimate(request, default_output_tokens) if gate.counts_tokens else 0
        plan = self._plans.get(gate) or self._plan(gate)
        self._calls += 1
        member = f"{self._tag}{self._calls:x}"
        answer = None if self.link.away else await self._ask(plan, member, tokens)
        if answer is None:
            passed = self._part(plan, gate).enter(tokens, now_s)
            if isinstance(passed, Exceeded):
                raise refusal(passed, gate.shown)
        elif answer[0] == 0:
            raise refusal(_exceeded(plan, answer), gate.shown)
        else:
            passed = gate.note(tokens, now_s)
        self._count(plan, tokens, now_s, missed=answer is None)
        if plan.place_keys:
            self._running[member] = plan.place_keys
        permit = StorePermit(self, plan, passed, member, tokens, now_s)
        if answer is not None:
            permit.told(answer, gate.shown)
        return permit

    async def _ask(self, plan: Plan, member: str, tokens: int) -> list[int] | None:
        """The store's answer; None when it gives none in time."""
        arguments: list[Any] = [member, LEASE_MS, len(plan.rows)]
        for row in plan.rows:
            arguments += [row.bucket_s, row.size, row.quota.allowed, row.amount(tokens)]
        arguments += [allowed for allowed, _ in plan.places]
        answer: asyncio.Future[list[int] | None] = self._loop.create_future()
        self.link.send(Trip("enter", plan.keys, tuple(arguments), answer))
        try:
            return await answer
        except asyncio.CancelledError:
            if plan.place_keys:
                self.link.send(Trip("leave", plan.place_keys, (member, 0, 0)))
            raise

    def leave(
        self, plan: Plan, member: str, tokens: int, used: int | None, store_s: int, taken_s: int, now_s: int
    ) -> None:
        """A call ended. ``store_s`` is when it was charged by the store's clock, 0 if it was not charged there."""
        self._running.pop(member, None)
        arguments: list[Any] = []
        for row in plan.token_rows:
            by = 0 if used is None else used - row.amount(tokens)
            arguments += [row.bucket_s, row.size, by]
            for window in self._counted.get(row.key, ()):
                window.correct(by, taken_s, now_s)
        if plan.token_keys:
            self.link.send(Trip("leave", plan.token_keys, (member, store_s, len(plan.token_rows), *arguments)))

    def step_aside(self, plan: Plan, member: str) -> None:
        """A call is held: its place is another's meanwhile."""
        if plan.place_keys:
            self._running.pop(member, None)
            self.link.send(Trip("leave", plan.place_keys, (member, 0, 0)))

    def step_back(self, plan: Plan, member: str) -> None:
        """It goes on, whoever runs now."""
        if plan.place_keys:
            self._running[member] = plan.place_keys
            self.link.send(Trip("stay", plan.place_keys, (member, LEASE_MS)))

    def _plan(self, gate: Gate) -> Plan:
        if len(self._plans) >= MAX_PLANS:
            self._plans.clear()
        plan = self._plans[gate] = Plan(gate)
        return plan

    def _part(self, plan: Plan, gate: Gate) -> Gate:
        if plan.part is None or plan.parts != self.parts:
            plan.parts = self.parts
            plan.part = self._meters.gate(gate.meters, gate.shown, plan.parts)
        return plan.part

    def _count(self, plan: Plan, tokens: int, now_s: int, *, missed: bool) -> None:
        """Remembers what this process let through, and what of that the store does not know."""
        for row in plan.rows:
            windows = self._counted.get(row.key)
            if windows is None:
                windows = SlidingWindow(row.quota.window_s), SlidingWindow(row.quota.window_s)
                self._counted[row.key] = windows
            for window in windows if missed else windows[:1]:
                window.add(row.amount(tokens), now_s)
        if len(self._counted) > self._prune_at:
            self._prune(now_s)

    def _prune(self, now_s: int) -> None:
        self._counted = {key: windows for key, windows in self._counted.items() if windows[0].used(now_s)}
        self._prune_at = max(PRUNE_MIN, 2 * len(self._counted))

    def _returned(self, lost: bool) -> None:
        now_s = int(self._loop.time())
        for key, (all_taken, missed) in self._counted.items():
            amount = (all_taken if lost else missed).used(now_s)
            if amount > 0:
                self.link.send(Trip("add", (key,), (missed.bucket_s, missed.size, amount)))
            self._counted[key] = all_taken, SlidingWindow(missed.length_s)
        self._tick()

    def _tick(self) -> None:
        """Calls under way keep their places."""
        for member, keys in self._running.items():
            self.link.send(Trip("stay", keys, (member, LEASE_MS)))
        self._prune(int(self._loop.time()))


def _exceeded(plan: Plan, answer: list[int]) -> Exceeded:
    _, number, wait_s, left = answer
    if number > len(plan.rows):
        allowed, scope = plan.places[number - len(plan.rows) - 1]
        return Exceeded(scope, "concurrent_requests", allowed, wait_s)
    row = plan.rows[number - 1]
    return Exceeded(row.scope, row.quota.name, row.quota.allowed, wait_s, row.quota, left)
