"""L1 of statements: each line's balance follows from the one before it, and the last is what the wallet period says."""

from collections.abc import Collection, Iterator, Mapping

import msgspec
from msgspec import Struct

from keeptrusts.core.ledger.invariants.findings import Finding
from keeptrusts.core.ledger.invariants.rows import AccountRow, Line, WalletRow, period_key
from keeptrusts.core.ledger.standing import LEADING

ADDED = frozenset({"credit", "transfer", "reclaim"})
"""Entries whose amount is what the budget gained."""

SPENT = frozenset({"settle", "adjust"})
"""Entries whose amount is what was spent."""

MOVES_NOTHING = frozenset({"void"})


class EntryRow(Struct, frozen=True):
    """A statement's line."""

    number: int
    wallet_id: str
    type: str
    amount: int
    balance: int
    period_key: str
    at_ns: int


class Running(Struct):
    """A statement while it is read. ``budget`` None: no entry has said it. ``broken`` is the first line that does not follow."""

    balance: int
    last_no: int
    budget: int | None = None
    broken: Finding | None = None


class Statements:
    """Every statement, read in the order of its lines."""

    def __init__(self) -> None:
        self.running: dict[tuple[str, str], Running] = {}
        self.bound_since_ms: dict[str, dict[str, int]] = {}
        self._allocated: dict[tuple[str, str], int] = {}
        self._added: dict[tuple[str, str], int] = {}

    def copy(self) -> "Statements":
        """The same, to be read on without changing this one."""
        twin = Statements()
        twin.running = {key: msgspec.structs.replace(running) for key, running in self.running.items()}
        twin.bound_since_ms = {wallet_id: dict(since) for wallet_id, since in self.bound_since_ms.items()}
        twin._allocated, twin._added = dict(self._allocated), dict(self._added)
        return twin

    def add(self, entry: EntryRow) -> None:
        """The next line of its statement."""
        kind = entry.period_key.partition(":")[0]
        held = (entry.wallet_id, kind)
        if entry.type == "allocate":
            self.bound_since_ms.setdefault(entry.wallet_id, {}).setdefault(kind, entry.at_ns // 1_000_000)
            self._allocated[held] = max(entry.amount, self._allocated.get(held, 0))
        elif entry.type in ADDED and entry.amount > 0:
            self._added[held] = self._added.get(held, 0) + entry.amount
        key = (entry.wallet_id, entry.period_key)
        known = self.running.get(key)
        if known is None:
            budget = entry.amount if entry.type == "allocate" else None
            self.running[key] = Running(entry.balance, entry.number, budget)
            return
        expected = _after(known, entry)
        if expected is not None and expected != entry.balance and known.broken is None:
            known.broken = Finding("L1", f"ledger_entry {entry.number}", "balance", expected, entry.balance)
        known.balance, known.last_no = entry.balance, entry.number
        if entry.type == "allocate":
            known.budget = entry.amount
        elif entry.type in ADDED and known.budget is not None:
            known.budget += entry.amount

    def highest_budget(self, wallet_id: str, kind: str) -> int:
        """What a period of the wallet may have had at most, as far as people set it: the highest allocation, and everything
        that was ever added."""
        held = (wallet_id, kind)
        return self._allocated.get(held, 0) + self._added.get(held, 0)

    def findings(
        self, accounts: Mapping[Line, AccountRow], wallets: Mapping[str, WalletRow], unlisted: Collection[str]
    ) -> Iterator[Finding]:
        """The lines that don't follow, of statements that list everything.

        That is not so for a wallet that others draw on (``unlisted``: their calls stand in their own statements), for one
        whose money carries over, and for a period beside the one that the wallet is spoken of by.
        """
        lines = {(line[0], period_key(line, wallets)): line for line in accounts}
        kinds: dict[str, set[str]] = {}
        silent = set(unlisted)
        for account in accounts.values():
            kinds.setdefault(account.wallet_id, set()).add(account.kind)
            if account.carried or account.carried_out:
                silent.add(account.wallet_id)
        for (wallet_id, key), running in self.running.items():
            if wallet_id in silent or key.partition(":")[0] != leading_kind(kinds.get(wallet_id, ())):
                continue
            if running.broken is not None:
                yield running.broken
                continue
            line = lines.get((wallet_id, key))
            if line is None:
                yield Finding("L1", f"ledger_entry {running.last_no}", f"its wallet has no period {key}")
            elif running.balance != accounts[line].balance:
                what = "balance of the last entry, by the wallet period"
                yield Finding("L1", f"ledger_entry {running.last_no}", what, accounts[line].balance, running.balance)


def leading_kind(kinds: Collection[str]) -> str | None:
    """The kind that a wallet with these is spoken of by."""
    return next((kind for kind in LEADING if kind in kinds), None)


def _after(known: Running, entry: EntryRow) -> int | None:
    """The balance that the line must leave; None when it can't be known."""
    if entry.type in SPENT:
        return known.balance - entry.amount
    if entry.type in MOVES_NOTHING:
        return known.balance
    if entry.type in ADDED:
        return known.balance + entry.amount
    if entry.type == "allocate" and known.budget is not None:
        return known.balance + entry.amount - known.budget
    return None
