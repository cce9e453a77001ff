"""One edition of everything that a call goes by: rules, prices, callers, targets; and the lanes made of them.

A call takes the edition that is in force when it enters and keeps it to its end.
"""

import os
import random
from collections.abc import Mapping

from keeptrusts.core.ledger.wallet import further_scopes
from keeptrusts.core.limits.gate import Gate
from keeptrusts.core.link import Snapshot
from keeptrusts.core.pricing.price_book import PriceBook
from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.core.routing.plan import NOT_ALLOWED, Choice, Hop, Plan, group_named, plan
from keeptrusts.core.routing.target import Target
from keeptrusts.core.rulebook.rulebook import Rulebook
from keeptrusts.gateway.caller import Caller, Callers
from keeptrusts.gateway.client import Client
from keeptrusts.gateway.policing import LanePolicies, PolicyBook
from keeptrusts.gateway.purse import Account, Purse
from keeptrusts.gateway.target_shelf import TargetShelf
from keeptrusts.gateway.targets import usable_targets

MAX_LANES = 10_000
"""Names that clients make up must not fill the memory."""


class Turn:
    """How many calls of a name have come: whose turn it is goes by that."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Lane:
    """All that a caller's calls to one model have in common: where they go, whose money they spend, and their limits. ``only``
    is the one hop that there is, when a call has no choice at all."""

    __slots__ = ("account", "choices", "gate", "hops", "only", "policies", "turn")

    def __init__(
        self,
        choices: tuple[Choice, ...],
        account: Account | None,
        gate: Gate,
        turn: Turn,
        retries: bool,
        policies: LanePolicies | None,
    ) -> None:
        self.choices = choices
        self.policies = policies
        self.hops = tuple(hop for choice in choices for hop in choice.hops)
        self.account = account
        self.gate = gate
        self.turn = turn
        one = len(self.hops) == 1 and self.hops[0].fits_max_tokens is None and not retries
        self.only: Hop | None = self.hops[0] if one else None

    def next_turn(self) -> int:
        """The number of this call among those of its name."""
        self.turn.count += 1
        return self.turn.count - 1


class Edition:
    """Immutable but for its lanes, which are made on demand, and the key index, which the control plane keeps current."""

    def __init__(
        self,
        rulebook: Rulebook,
        book: PriceBook,
        callers: Callers,
        shelf: TargetShelf,
        environment: Mapping[str, str],
        purse: Purse,
        policies: PolicyBook | None = None,
        budgeted: frozenset[str] = frozenset(),
        turns: dict[str, Turn] | None = None,
    ) -> None:
        """``policies`` None: they are made of the rulebook's. ``budgeted`` names the projects, keys, users and features that have
        a wallet of their own; ``turns`` are those of the edition before."""
        self.rulebook = rulebook
        self.book = book
        self.callers = callers
        self.targets = shelf.ready
        self.policies = PolicyBook(rulebook, environment, shelf.services) if policies is None else policies
        self.budgeted = budgeted
        self.enforced = rulebook.wallet_enforcement
        self.target_gates: Mapping[str, Gate] | None = None
        if rulebook.limits.targets:
            self.target_gates = {target.id: callers.scopes.target_gate(target.id) for target in rulebook.targets}
        self._environment = environment
        self._usable = usable_targets(rulebook.targets, environment)
        self._purse = purse
        self._shelf = shelf
        self._lanes: dict[tuple[Caller, str], Lane] = {}
        self._turns = {} if turns is None else turns
        self.draw = random.Random(os.urandom(8)).random  # noqa: S311 - it spreads load and guards nothing

    def with_prices(self, book: PriceBook) -> "Edition":
        """The next edition, in which only the prices differ."""
        return self._next(book, self.budgeted)

    def with_budgeted(self, names: frozenset[str]) -> "Edition":
        """The next edition, in which only the wallets beside the teams' differ."""
        return self._next(self.book, names)

    def _next(self, book: PriceBook, budgeted: frozenset[str]) -> "Edition":
        return Edition(
            self.rulebook,
            book,
            self.callers,
            self._shelf,
            self._environment,
            self._purse,
            self.policies,
            budgeted,
            self._turns,
        )

    def as_snapshot(self, seq: int) -> Snapshot:
        """What the control plane has said up to change number ``seq``."""
        return Snapshot(seq, tuple(self.callers.records.values()), tuple(self.book), tuple(sorted(self.budgeted)))

    def lane(self, caller: Caller, model: str) -> Lane:
        """The lane of this caller to this model. Raises Refused: not found, not allowed, no target, no attribution."""
        lane = self._lanes.get((caller, model))
        if lane is None:
            lane = self._make(caller, model)
            if len(self._lanes) >= MAX_LANES:
                self._lanes.clear()
            self._lanes[caller, model] = lane
        return lane

    def _make(self, caller: Caller, model: str) -> Lane:
        rulebook = self.rulebook
        if not caller.may_use(model) and group_named(rulebook.model_groups, model) is None:
            raise _not_allowed(model)
        if self.enforced:
            missing = caller.attribution.missing(rulebook.attribution_required)
            if missing:
                raise Refused(
                    Reason.ATTRIBUTION_REQUIRED,
                    f"This key is not bound to: {', '.join(missing)}. Calls without them are not served.",
                    {"missing": missing},
                )
        found = self.plan(caller, model)
        if not found.choices:
            raise self._no_hop(caller, model, found)
        account = None
        if self.enforced and caller.attribution.team is not None:
            account = self._purse.account(caller.attribution.team, self._also(caller))
        listed = any(hop.price is not None or hop.target.model is not None for hop in found.hops)
        listed = listed or group_named(rulebook.model_groups, model) is not None
        gate = self.callers.scopes.gate(caller.meters, model if listed else None)
        if len(self._turns) >= MAX_LANES:
            self._turns.clear()
        turn = self._turns.setdefault(model, Turn())
        failover = rulebook.routing.failover
        retries = failover.enabled and failover.retry.max_attempts > 1
        policing = self.policies.of(caller.group)
        if policing is None:
            return Lane(found.choices, account, gate, turn, retries, None)
        policies = LanePolicies(policing, model, found.choices)
        return Lane(policies.choices, account, gate, turn, retries, policies)

    def gate(self, lane: Lane, caller: Caller, client: Client) -> Gate:
        """All limits of one call of this lane."""
        scopes = self.callers.scopes
        if not scopes.made_up:
            return lane.gate
        added_user = caller.added_user
        has_user = added_user is None and caller.attribution.user is not None
        return scopes.gate_of(lane.gate, caller.scope_id, has_user, client, added_user)

    def plan(self, caller: Caller, model: str, targets: tuple[Target, ...] | None = None) -> Plan:
        """Where this caller's calls to the model can go, and where not. ``targets`` None: the usable ones."""
        rulebook = self.rulebook
        return plan(
            self._usable if targets is None else targets,
            rulebook.model_groups,
            self.book,
            model,
            rulebook.routing,
            caller.may_use_any,
            self.enforced and rulebook.unpriced_ceiling is None,
        )

    def _also(self, caller: Caller) -> tuple[str, ...]:
        """The wallets beside the team's that the caller's calls spend from."""
        if not self.budgeted:
            return ()
        names = further_scopes(caller.attribution, caller.key_id)
        return tuple(name for name in names if name in self.budgeted)

    def _no_hop(self, caller: Caller, model: str, found: Plan) -> Refused:
        why = {left.why for left in found.left_out}
        if why == {NOT_ALLOWED}:
            return _not_allowed(model)
        if why:
            told = "; ".join(
                sorted({f"{left.target}: {left.why}" for left in found.left_out if left.why != NOT_ALLOWED})
            )
            return Refused(Reason.TARGET_UNAVAILABLE, f"No target may serve the model {model!r} now: {told}.")
        if self.plan(caller, model, self.rulebook.targets).choices:
            return Refused(
                Reason.TARGET_UNAVAILABLE,
                f"No target for the model {model!r} has its secret: the gateway's environment lacks it.",
            )
        return Refused(
            Reason.MODEL_NOT_FOUND,
            f"The model {model!r} is not served here: GET /v1/models lists those that are.",
            {"param": "model"},
        )

    def models_for(self, caller: Caller) -> list[tuple[str, str]]:
        """Every model this caller may use, with who serves it, by name; groups under all their names."""
        providers = {target.provider for target in self._usable}
        served: dict[str, str] = {}
        if any(target.model is None for target in self._usable):
            for price in self.book:
                if price.provider in providers or "simulated" in providers:
                    served.setdefault(price.model, price.provider)
        served.update({target.model: target.provider for target in self._usable if target.model is not None})
        served = {model: owner for model, owner in served.items() if caller.may_use(model)}
        for group in self.rulebook.model_groups:
            served |= {name: "keeptrusts" for name in group.names if self.plan(caller, name).choices}
        return sorted(served.items())


def _not_allowed(model: str) -> Refused:
    return Refused(
        Reason.MODEL_NOT_ALLOWED,
        f"This key may not use the model {model!r}: GET /v1/models lists those that it may.",
        {"param": "model"},
    )
