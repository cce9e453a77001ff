"""The committed ledger, read from outside with plain SQL, so that a mistake in the store's own code can't hide itself; and what
must hold in it after every commit."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import apsw

from keeptrusts.gateway.purse_refill import Treasury

PERIODS = """
    SELECT wallet_id, kind, start_ms,
        CASE WHEN EXISTS (SELECT 1 FROM wallet_budget AS b WHERE b.wallet_id = p.wallet_id AND b.kind = p.kind)
            THEN budget_nanos + carried_nanos - carried_out_nanos
            ELSE (SELECT MIN(hard_cap_nanos) FROM spend_control AS c WHERE c.wallet_id = p.wallet_id AND c.kind = p.kind)
        END + approved_nanos,
        posted_nanos, leased_nanos, suspense_nanos, overrun_nanos, unleased_nanos FROM wallet_period AS p"""
"""Each account with the most that may be used of it: its money, or the cap of the spend control that alone made it."""

LEASED = """
    SELECT n.wallet_id, n.kind, n.start_ms, SUM(l.granted_nanos - l.settled_nanos - l.returned_nanos),
        SUM(l.settled_nanos), SUM(l.closed AND l.granted_nanos <> l.settled_nanos + l.returned_nanos)
    FROM lease AS l JOIN lease_line AS n ON n.org_id = l.org_id AND n.lease_id = l.lease_id GROUP BY 1, 2, 3"""

CONNECT = apsw.Connection
"""As it is before any machine is simulated: the checker's own connection belongs to no process."""

Key = tuple[str, str, int]


class Violation(AssertionError):
    """An invariant does not hold."""


def must(holds: bool, what: str) -> None:
    """Raises Violation unless it holds."""
    if not holds:
        raise Violation(what)


def check_purses(treasury: Treasury, overbilled: bool) -> None:
    """L3, L4: every lease balances, and holds are within it."""
    for account in treasury.purse.accounts.values():
        if account.lease is None and not account.draining:
            continue
        for lease in (account.lease, *account.draining.values()):
            if lease is None:
                continue
            if lease.free + lease.held + lease.settled + lease.returned != lease.granted or lease.held < 0:
                raise Violation(f"lease {lease.lease_id} does not balance")
            if lease.free < 0 and not overbilled:
                raise Violation(f"lease {lease.lease_id} holds more than it was granted")


class Books:
    """The committed ledger, read from outside. Remembers the highest limit that each period ever had."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: apsw.Connection | None = None
        self._leased: dict[Key, int] = {}
        self._other: dict[Key, tuple[int, ...]] = {}
        self.highest: dict[Key, int] = {}
        self._wallets: dict[str, str] = {}
        self.checks = 0

    def rows(self, sql: str, *args: Any) -> list[tuple[Any, ...]]:
        """What is committed."""
        if self._connection is None:
            if not self._path.exists():
                return []
            self._connection = CONNECT(str(self._path), flags=apsw.SQLITE_OPEN_READONLY)
        return self._connection.execute(sql, args).fetchall()

    def close(self) -> None:
        """Lets go of the file."""
        if self._connection is not None:
            self._connection.close()

    def team_of(self, wallet_id: str) -> str:
        """The scope id of a wallet."""
        if wallet_id not in self._wallets:
            self._wallets = dict(self.rows("SELECT wallet_id, scope_id FROM wallet"))
        return self._wallets[wallet_id]

    def check(self, overbilled: bool) -> None:
        """L1 and L2 on every account."""
        self.checks += 1
        leased = {(row[0], row[1], row[2]): row[3:] for row in self.rows(LEASED)}
        for wallet, kind, start, limit, posted, lent, suspense, overrun, unleased in self.rows(PERIODS):
            key = (wallet, kind, start)
            self.highest[key] = max(limit, self.highest.get(key, 0))
            remainder, settled, closed_open = leased.get(key, (0, 0, 0))
            must(lent == remainder, f"L1: {key} has {lent} leased, its leases {remainder}")
            must(posted == settled, f"L1: {key} has {posted} posted, its leases {settled}")
            must(not closed_open, f"L1: a closed lease of {key} still has money")
            other = (limit, posted, suspense, overrun, unleased)
            if lent > self._leased.get(key, 0) and other == self._other.get(key, other):
                used = posted + suspense + overrun + unleased + lent
                must(used <= limit or overbilled, f"L2: {key} leases {lent} past its limit {limit} ({used})")
            self._leased[key], self._other[key] = lent, other

    def room(self, team: str) -> int | None:
        """The most that the team may ever have used, over all its periods of the narrowest kind; None: not known yet."""
        sums: dict[str, int] = defaultdict(int)
        for (wallet, kind, _), limit in self.highest.items():
            if self.team_of(wallet) == team:
                sums[kind] += limit
        return min(sums.values()) if sums else None

    def standing(self, team: str, kind: str) -> int:
        """The team's standing budget."""
        found = self.rows(
            """SELECT amount_nanos FROM wallet_budget AS b JOIN wallet AS w ON w.wallet_id = b.wallet_id
            WHERE w.scope_id = ? AND b.kind = ?""",
            *(team, kind),
        )
        return int(found[0][0]) if found else 0

    def standing_kinds(self, name: str) -> list[str]:
        """The kinds of budget that this scope id has."""
        sql = "SELECT b.kind FROM wallet_budget AS b JOIN wallet AS w ON w.wallet_id = b.wallet_id WHERE w.scope_id = ?"
        return [kind for (kind,) in self.rows(sql, name)]

    def spent(self, team: str, kind: str) -> tuple[int, int]:
        """What is spent in the team's newest period of this kind, and what is in suspense there."""
        found = self.rows(
            """SELECT posted_nanos + overrun_nanos + unleased_nanos, suspense_nanos FROM wallet_period AS p
            JOIN wallet AS w ON w.wallet_id = p.wallet_id WHERE w.scope_id = ? AND p.kind = ? ORDER BY start_ms DESC""",
            *(team, kind),
        )
        return (int(found[0][0]), int(found[0][1])) if found else (0, 0)
