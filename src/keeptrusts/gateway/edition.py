"""One edition of everything that a call goes by: rules, prices, callers, targets; and the lanes made of them.

A call takes the edition that is in force when it enters and keeps it to its end.
"""

from collections.abc import Mapping

from keeptrusts.core.ledger.wallet import further_scopes
from keeptrusts.core.limits.gate import Gate
from keeptrusts.core.policies.judge import Judge, compile_policies
from keeptrusts.core.pricing.price_book import PriceBook
from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.core.routing.plan import Hop, plan
from keeptrusts.core.rulebook.rulebook import Rulebook
from keeptrusts.gateway.caller import Caller, Callers
from keeptrusts.gateway.client import Client
from keeptrusts.gateway.purse import Account, Purse
from keeptrusts.gateway.targets import ReadyTarget, usable_targets

MAX_LANES = 10_000
"""Names that clients make up must not fill the memory."""


class Lane:
    """All that a caller's calls to one model have in common: where they go, whose money they spend, and their limits."""

    __slots__ = ("account", "gate", "hops", "one_hop")

    def __init__(self, hops: tuple[Hop, ...], account: Account | None, gate: Gate) -> None:
        self.hops = hops
        self.account = account
        self.gate = gate
        self.one_hop = len(hops) == 1 and hops[0].fits_max_tokens is None


class Edition:
    """Immutable but for its lanes, which are made on demand, and the key index, which the control plane keeps current."""

    def __init__(
        self,
        rulebook: Rulebook,
        book: PriceBook,
        callers: Callers,
        targets: Mapping[str, ReadyTarget],
        environment: Mapping[str, str],
        purse: Purse,
        judge: Judge | None = None,
        budgeted: frozenset[str] = frozenset(),
    ) -> None:
        """``budgeted`` names the projects, keys, users and features that have a wallet of their own."""
        self.rulebook = rulebook
        self.book = book
        self.callers = callers
        self.targets = targets
        self.judge = judge if judge is not None else compile_policies(rulebook.policies)
        self.budgeted = budgeted
        self.enforced = rulebook.wallet_enforcement
        self.target_gates: Mapping[str, Gate] | None = None
        if rulebook.limits.targets:
            self.target_gates = {target.id: callers.scopes.target_gate(target.id) for target in rulebook.targets}
        self._environment = environment
        self._usable = usable_targets(rulebook.targets, environment)
        self._purse = purse
        self._lanes: dict[tuple[Caller, str], Lane] = {}

    def with_prices(self, book: PriceBook) -> "Edition":
        """The next edition, in which only the prices differ."""
        return self._next(book, self.budgeted)

    def with_budgeted(self, names: frozenset[str]) -> "Edition":
        """The next edition, in which only the wallets beside the teams' differ."""
        return self._next(self.book, names)

    def _next(self, book: PriceBook, budgeted: frozenset[str]) -> "Edition":
        return Edition(
            self.rulebook, book, self.callers, self.targets, self._environment, self._purse, self.judge, budgeted
        )

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
        if not caller.may_use(model):
            raise Refused(
                Reason.MODEL_NOT_ALLOWED,
                f"This key may not use the model {model!r}: GET /v1/models lists those that it may.",
                {"param": "model"},
            )
        if self.enforced:
            missing = caller.attribution.missing(self.rulebook.attribution_required)
            if missing:
                raise Refused(
                    Reason.ATTRIBUTION_REQUIRED,
                    f"This key is not bound to: {', '.join(missing)}. Calls without them are not served.",
                    {"missing": missing},
                )
        hops = plan(self._usable, self.rulebook.model_groups, self.book, model)
        if not hops:
            raise self._no_target(model)
        account = None
        if self.enforced and caller.attribution.team is not None:
            account = self._purse.account(caller.attribution.team, self._also(caller))
        listed = any(hop.price is not None or hop.target.model is not None for hop in hops)
        listed = listed or any(group.name == model for group in self.rulebook.model_groups)
        return Lane(hops, account, self.callers.scopes.gate(caller.meters, model if listed else None))

    def gate(self, lane: Lane, caller: Caller, client: Client) -> Gate:
        """All limits of one call of this lane."""
        scopes = self.callers.scopes
        if not scopes.made_up:
            return lane.gate
        return scopes.gate_of(lane.gate, caller.scope_id, caller.attribution.user is not None, client)

    def _also(self, caller: Caller) -> tuple[str, ...]:
        """The wallets beside the team's that the caller's calls spend from."""
        if not self.budgeted:
            return ()
        names = further_scopes(caller.attribution, caller.key_id)
        return tuple(name for name in names if name in self.budgeted)

    def _no_target(self, model: str) -> Refused:
        if plan(self.rulebook.targets, self.rulebook.model_groups, self.book, model):
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
        """Every model this caller may use, with who serves it, by name."""
        served = {group.name: "keeptrusts" for group in self.rulebook.model_groups}
        providers = {target.provider for target in self._usable}
        for price in self.book:
            if price.provider in providers or "simulated" in providers:
                served.setdefault(price.model, price.provider)
        fixed = {target.model: target.provider for target in self._usable if target.model is not None}
        if all(target.model is not None for target in self._usable):
            served = {model: owner for model, owner in served.items() if owner == "keeptrusts"}
        served.update(fixed)
        return sorted((model, owner) for model, owner in served.items() if caller.may_use(model))
