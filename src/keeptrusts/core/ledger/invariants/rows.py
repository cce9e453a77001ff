"""What an examination reads of wallets, leases and nodes: rows as they are stored, with nothing worked out yet."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

Line = tuple[str, str, int]
"""A wallet period: the wallet's id, the period's kind, and its start in Unix milliseconds."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class WalletRow(Struct, frozen=True):
    """A wallet's place in the tree. ``placed_at_ms`` is when that, or its fallback, was last changed; ``placements`` how
    often it was set."""

    wallet_id: str
    scope: str
    zone: str
    parent_id: str | None
    fallback: str
    placed_at_ms: int = 0
    placements: int = 0


class AccountRow(Struct, frozen=True):
    """A wallet period, in nano-USD."""

    wallet_id: str
    kind: str
    start_ms: int
    end_ms: int
    budget: int
    posted: int
    leased: int
    suspense: int
    overrun: int
    unleased: int
    carried: int
    carried_out: int
    approved: int

    @property
    def line(self) -> Line:
        """Its name."""
        return self.wallet_id, self.kind, self.start_ms

    @property
    def balance(self) -> int:
        """What its statement must end with: funds less spend."""
        return self.budget + self.carried - self.carried_out - self.posted - self.overrun - self.unleased


class LeaseRow(Struct, frozen=True):
    """A lease, in nano-USD, with the wallet periods that it debits."""

    lease_id: str
    node_id: str
    wallet_id: str
    granted: int
    settled: int
    returned: int
    closed: bool
    suspended: int
    resolved: int
    created_at_ms: int
    lines: tuple[Line, ...]

    @property
    def remainder(self) -> int:
        """What its wallet periods count as leased because of it."""
        return self.granted - self.settled - self.returned


class NodeRow(Struct, frozen=True):
    """A node: ``live``, ``ended`` (its journal is finished) or ``retired`` (by a person); and whether wallets bind it."""

    node_id: str
    state: str
    enforced: bool


class JournalRow(Struct, frozen=True):
    """How far a node's journal is applied."""

    node_id: str
    last_seq: int


def named(line: Line) -> str:
    """A wallet period as people read it: ``wal_1 monthly from 2026-04-01T00:00Z``."""
    wallet_id, kind, start_ms = line
    if kind == "once":
        return f"{wallet_id} once"
    return f"{wallet_id} {kind} from {EPOCH + timedelta(milliseconds=start_ms):%Y-%m-%dT%H:%MZ}"


def period_key(line: Line, wallets: Mapping[str, WalletRow]) -> str:
    """The period's name in its wallet's statement: ``monthly:2026-04-01``, by the wallet's own days."""
    wallet_id, kind, start_ms = line
    if kind == "once":
        return kind
    wallet = wallets.get(wallet_id)
    start = EPOCH + timedelta(milliseconds=start_ms)
    return f"{kind}:{start.astimezone(ZoneInfo(wallet.zone if wallet else 'UTC')).date().isoformat()}"
