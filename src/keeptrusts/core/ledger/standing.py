"""Standing budgets: what people set for this and later periods, and the accounts that they open when a period is first used."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from msgspec import Struct

from keeptrusts.core.ledger.wallet import Wallet, WalletPeriod
from keeptrusts.core.money import percent_of
from keeptrusts.core.periods import PeriodKind, period_at

LEADING: tuple[PeriodKind, ...] = ("monthly", "quarterly", "yearly", "weekly", "daily", "once")
"""Which of several periods a wallet is spoken of by when nobody names one, first match first."""


class PeriodKey(Struct, frozen=True, order=True, gc=False):
    """Names one wallet period; sorts in the one order in which transactions touch them."""

    wallet_id: str
    kind: PeriodKind
    start: datetime


class Cap(Struct, frozen=True):
    """The strictest spend control of one period kind, in nano-USD. ``soft_nanos`` only tells people.

    ``escalates``: a call that it stops is held for an approver.
    """

    kind: PeriodKind
    hard_nanos: int
    soft_nanos: int | None = None
    escalates: bool = False


AnyPeriod = TypeVar("AnyPeriod", PeriodKey, WalletPeriod)


def key_of(period: WalletPeriod) -> PeriodKey:
    """The period's name."""
    return PeriodKey(period.wallet_id, period.kind, period.start)


def opening_accounts(
    wallet: Wallet, budgets: Mapping[PeriodKind, int], caps: Iterable[Cap], now: datetime
) -> list[WalletPeriod]:
    """The accounts that bound the wallet at ``now``, as they stand before anything was spent, in their fixed order.

    A kind that only a spend control bounds has the control's cap as its budget.
    """
    opening = {cap.kind: cap.hard_nanos for cap in caps} | dict(budgets)
    accounts = []
    for kind in sorted(opening):
        period = period_at(kind, now, wallet.zone, wallet.fiscal_month)
        accounts.append(WalletPeriod(wallet.wallet_id, kind, period.start, period.end, opening[kind]))
    return accounts


def limit_nanos(
    period: WalletPeriod,
    budgets: Mapping[PeriodKind, int],
    caps: Mapping[PeriodKind, Cap],
    enforced: bool,
    block_percent: int,
) -> int | None:
    """The most that may be used in the period: its funds where wallets are enforced, its spend control's cap, the lower;
    and what people approved on top.

    None when nothing bounds it (a wallet that is only watched).
    """
    limits = []
    if enforced and period.kind in budgets:
        limits.append(percent_of(period.funds, block_percent))
    if period.kind in caps:
        limits.append(caps[period.kind].hard_nanos)
    return min(limits) + period.approved if limits else None


def strictest(caps: Iterable[Cap]) -> dict[PeriodKind, Cap]:
    """The lowest hard and soft cap of each kind; of equal hard caps, the one that blocks."""
    lowest: dict[PeriodKind, Cap] = {}
    for cap in caps:
        known = lowest.get(cap.kind, cap)
        hard = min(known, cap, key=lambda each: (each.hard_nanos, each.escalates))
        softs = [each.soft_nanos for each in (cap, known) if each.soft_nanos is not None]
        lowest[cap.kind] = Cap(cap.kind, hard.hard_nanos, min(softs) if softs else None, hard.escalates)
    return lowest


def leading(periods: Sequence[AnyPeriod]) -> AnyPeriod:
    """The period that a wallet is spoken of by: the month if there is one."""
    return min(periods, key=lambda p: LEADING.index(p.kind))
