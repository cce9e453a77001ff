"""A wallet, its place in the tree, and its account in one period: what people set, what is spent, what gateways hold."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, get_args

from msgspec import Struct

from keeptrusts.core.identity.attribution import Attribution
from keeptrusts.core.periods import PeriodKind

Scope = Literal["organization", "department", "team", "project", "key", "user", "feature"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
TREE: tuple[Scope, ...] = ("organization", "department", "team", "project")
"""Scopes that can draw on one another: a wallet's parent is of a scope farther left."""

FURTHER: tuple[Scope, ...] = ("project", "key", "user", "feature")
"""Scopes whose wallets bind a call beside its team's."""

WalletState = Literal["active", "frozen", "closed"]
Fallback = Literal["none", "parent"]
OnHardCap = Literal["block", "escalate"]


class Wallet(Struct, frozen=True):
    """A budget holder. ``version`` rises with every change that nodes must hear.

    ``parent_id`` is the wallet that it draws on. ``overcommit`` lets the budgets of its children exceed its own.
    ``carry_over``: what a period leaves goes to the next. ``fallback`` ``parent``: when it is empty, calls go on with the
    parent's money. ``frozen`` wallets pay for nothing for now, ``closed`` ones for good. Years begin in ``fiscal_month``.
    """

    wallet_id: str
    scope: Scope
    scope_id: str
    currency: str = "USD"
    zone: str = "UTC"
    version: int = 0
    parent_id: str | None = None
    state: WalletState = "active"
    overcommit: bool = False
    carry_over: bool = False
    fallback: Fallback = "none"
    on_hard_cap: OnHardCap = "block"
    fiscal_month: int = 1

    @property
    def name(self) -> str:
        """How people and nodes speak of it: ``team:team_search``."""
        return scope_name(self.scope, self.scope_id)


def scope_name(scope: str, scope_id: str) -> str:
    """A scope and its id in one word."""
    return f"{scope}:{scope_id}"


def further_scopes(attribution: Attribution, key_id: str | None) -> tuple[str, ...]:
    """Every budget beside the team's that a call could spend from, whether a wallet is there or not."""
    values: Mapping[Scope, str | None] = {
        "project": attribution.project,
        "key": key_id,
        "user": attribution.user,
        "feature": attribution.feature,
    }
    return tuple(scope_name(scope, value) for scope in FURTHER if (value := values[scope]))


class WalletPeriod(Struct, frozen=True):
    """The account of one wallet in one period, all amounts in nano-USD.

    ``budget`` is what people set, and may be below what is used. ``posted`` is spend that came out of leases, ``overrun``
    the part of it that no lease covered, ``unleased`` spend that no enforcement held, ``suspense`` leases whose holder
    cannot prove what it spent, ``leased`` what nodes have at hand. ``carried`` came over from the period before and
    ``carried_out`` went to the one after; ``approved`` is what people let through above budget and caps.
    """

    wallet_id: str
    kind: PeriodKind
    start: datetime
    end: datetime
    budget: int
    posted: int = 0
    leased: int = 0
    suspense: int = 0
    overrun: int = 0
    unleased: int = 0
    carried: int = 0
    carried_out: int = 0
    approved: int = 0

    @property
    def funds(self) -> int:
        """What the period may spend without anybody's leave."""
        return self.budget + self.carried - self.carried_out

    @property
    def spent(self) -> int:
        """Everything that calls have cost in this period, whoever held it."""
        return self.posted + self.overrun + self.unleased

    @property
    def used(self) -> int:
        """What can't be leased any more: spent, in doubt, or in nodes' hands."""
        return self.spent + self.suspense + self.leased

    @property
    def available(self) -> int:
        """What may still be leased; negative when the budget was lowered under what is used."""
        return self.funds + self.approved - self.used

    @property
    def left(self) -> int:
        """What nothing can claim any more of its funds: this is carried over once the period has ended. What was approved
        is not taken from them."""
        return max(0, self.available)
