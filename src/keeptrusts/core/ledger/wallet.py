"""A wallet's account in one period: what people set, what is spent, what gateways hold; and the rule that guards it."""

from datetime import datetime

from msgspec import Struct

from keeptrusts.core.periods import PeriodKind


class Wallet(Struct, frozen=True):
    """A budget holder. ``scope`` is ``team`` until the tree is built; ``version`` rises with every change that nodes must hear."""

    wallet_id: str
    scope: str
    scope_id: str
    currency: str = "USD"
    zone: str = "UTC"
    version: int = 0


class WalletPeriod(Struct, frozen=True):
    """The account of one wallet in one period, all amounts in nano-USD.

    ``budget`` is what people set, and may be below what is used. ``posted`` is spend that came out of leases, ``overrun``
    the part of it that no lease covered, ``unleased`` spend that no enforcement held, ``suspense`` leases whose holder
    cannot prove what it spent, ``leased`` what nodes have at hand.
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

    @property
    def spent(self) -> int:
        """Everything that calls have cost in this period, whoever held it."""
        return self.posted + self.overrun + self.unleased

    @property
    def available(self) -> int:
        """What may still be leased; negative when the budget was lowered under what is used or leased."""
        return self.budget - self.spent - self.suspense - self.leased


def grantable(periods: list[WalletPeriod], block_percent: int) -> int:
    """The most that one lease may take: the least that any of the wallet's periods has free under its block threshold.

    ``block_percent`` makes that share of each budget the limit (100: the budget itself). 0 without any period.
    """
    if not periods:
        return 0
    return max(0, min(p.available - (p.budget - p.budget * block_percent // 100) for p in periods))
