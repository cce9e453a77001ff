"""What the in-memory store remembers, as dictionaries of immutable values, and the rules that every store keeps."""

from dataclasses import dataclass, field, fields

from keeptrusts.core.ledger.entry import Entry
from keeptrusts.core.ledger.posting import LeaseBook
from keeptrusts.core.ledger.recovery import Recovery
from keeptrusts.core.ledger.standing import Cap, PeriodKey
from keeptrusts.core.ledger.wallet import Wallet, WalletPeriod
from keeptrusts.core.metering.event_row import EventRow
from keeptrusts.core.periods import PeriodKind
from keeptrusts.store.contracts import Change, Unapplied


class BrokenRule(Exception):
    """What was asked would break a rule that every store keeps: a double id, a negative amount, a row without its parent."""


@dataclass(slots=True)
class State:
    """Everything that the store remembers. Values are immutable, so that a copy of the dictionaries is a snapshot."""

    wallets: dict[str, Wallet] = field(default_factory=dict)
    budgets: dict[tuple[str, PeriodKind], int] = field(default_factory=dict)
    caps: dict[tuple[str, str, PeriodKind], Cap] = field(default_factory=dict)
    periods: dict[PeriodKey, WalletPeriod] = field(default_factory=dict)
    short_at_ms: dict[str, int] = field(default_factory=dict)
    recalled_at_ms: dict[str, int] = field(default_factory=dict)
    leases: dict[str, LeaseBook] = field(default_factory=dict)
    lines: dict[str, tuple[PeriodKey, ...]] = field(default_factory=dict)
    grants: dict[str, tuple[str, int]] = field(default_factory=dict)
    journals: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    retired: dict[str, bool] = field(default_factory=dict)
    quarantine: dict[tuple[str, int], Unapplied] = field(default_factory=dict)
    entries: dict[int, Entry] = field(default_factory=dict)
    events: dict[str, EventRow] = field(default_factory=dict)
    alerts: dict[tuple[PeriodKey, str], str] = field(default_factory=dict)
    changes: dict[int, Change] = field(default_factory=dict)
    recovery: dict[str, Recovery] = field(default_factory=dict)
    used_at_ns: dict[str, int] = field(default_factory=dict)

    def copy(self) -> "State":
        """A snapshot that changes without this one."""
        return State(**{each.name: dict(getattr(self, each.name)) for each in fields(self)})


def not_negative(amount: int) -> int:
    """The amount; raises BrokenRule for one below zero."""
    if amount < 0:
        raise BrokenRule(f"{amount} is negative")
    return amount
