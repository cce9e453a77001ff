"""What the layers above ask of a store: a database that runs SQL in transactions, and the ledger's nouns on top of it.

``Database`` and ``Connection`` are the seam between SQL and its engine. ``Ledger`` is what money needs, noun by noun; the
SQL store and the in-memory one keep the same promises (``tests/store``).
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct

from keeptrusts.core.ledger.entry import Entry, NumberedEntry
from keeptrusts.core.ledger.posting import LeaseBook, PeriodMovement
from keeptrusts.core.ledger.recovery import NodeMark, Recovery
from keeptrusts.core.ledger.standing import Cap, PeriodKey
from keeptrusts.core.ledger.wallet import Wallet, WalletPeriod
from keeptrusts.core.metering.event_row import EventRow
from keeptrusts.core.periods import PeriodKind
from keeptrusts.store.many_contract import Many

DEFAULT_ORG = "org_default"


class StoreAway(Exception):
    """The store can't answer now (locked, full, gone); trying again later may work. The message says why."""


class StoreConflict(StoreAway):
    """Another writer was there first and nothing was changed: the same work, done again, may succeed at once."""


class OutcomeUnknown(StoreAway):
    """The store was lost while it was told to commit: everything happened or nothing did. Only what is idempotent by an id
    may be done again without looking."""


class Connection(Protocol):
    """SQL with ``$1`` placeholders, one statement a call. Inside a transaction unless it came from ``Database.read``.

    ``for_update`` ends a SELECT whose rows decide what the transaction writes: it keeps other writers from them until the
    commit, where the engine has more than one. ``listed`` stands after FROM: the texts of the JSON array ``$2``, a row each
    whose column is ``value``.
    """

    for_update: str
    listed: str

    async def fetch(self, sql: str, *args: Any) -> list[tuple[Any, ...]]:
        """All rows of a query."""

    async def fetch_each(self, sql: str, rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        """All rows of a query that is run once per row of arguments, in their order, in one trip."""

    async def execute(self, sql: str, *args: Any) -> int:
        """Runs a statement and returns how many rows it changed."""

    async def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Runs a statement once per row."""

    async def add_rows(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Inserts rows as fast as the engine can."""

    async def numbers(self, table: str, count: int) -> Sequence[int | None]:
        """The next row numbers of ``event`` or ``change``, which rise in the order of the commits and have no gaps.

        None stands for a number that the engine gives by itself when the row is inserted. Whoever takes numbers holds up all
        others who want some until the commit, so they are taken last (``store/numbered.py``).
        """


class Database(Protocol):
    """An engine. Commits are durable when ``transaction`` has ended; an exception inside rolls everything back.

    ``alone`` is SQL that keeps other processes' migrations out until the end of the transaction; empty where every
    transaction does.
    """

    alone: str

    def transaction(self) -> AbstractAsyncContextManager[Connection]: ...

    def read(self) -> AbstractAsyncContextManager[Connection]:
        """A consistent view that runs beside the writer and changes nothing."""

    async def close(self) -> None: ...


class Change(Struct, frozen=True):
    """One line of the feed that nodes follow. ``version`` and ``recall`` speak of wallets only, which go by their id."""

    seq: int
    kind: str
    subject_id: str
    version: int
    recall: bool
    except_node_id: str | None


class Claims(Struct, frozen=True):
    """What a wallet's children have been given in one period kind, in nano-USD: their budgets, and what of those is unused."""

    budget_nanos: int
    unused_nanos: int


class Unapplied(Struct, frozen=True):
    """A journal record in quarantine, whole, and why it could not be applied."""

    seq: int
    record: bytes
    reason: str


class Wallets(Protocol):
    """Wallets, their standing budgets and spend controls, and their accounts per period."""

    async def find(self, scope: str, scope_id: str) -> Wallet | None: ...

    async def by_id(self, wallet_id: str) -> Wallet | None: ...

    async def children(self, wallet_id: str) -> list[Wallet]:
        """The wallets that draw on it, by id."""

    async def claims(self, wallet_id: str, kind: PeriodKind, now: datetime) -> Claims:
        """The sum over its children that are not closed, in their periods at ``now``."""

    async def add(self, wallet: Wallet, at_ms: int) -> None: ...

    async def update(self, wallet: Wallet) -> None:
        """Writes what people may change of a wallet: its parent, its state and its options. Not its version."""

    async def budgets(self, wallet_id: str) -> dict[PeriodKind, int]:
        """What people set, in nano-USD, by period kind."""

    async def set_budget(self, wallet_id: str, kind: PeriodKind, amount_nanos: int) -> None: ...

    async def caps(self, wallet_id: str) -> list[tuple[str, Cap]]:
        """Spend controls on the wallet, each with the node that registered it."""

    async def add_cap(self, wallet_id: str, node_id: str, cap: Cap) -> None: ...

    async def drop_caps(self, node_id: str) -> None:
        """The spend controls that the node registered are none any more."""

    async def period(self, key: PeriodKey) -> WalletPeriod | None:
        """The account; in a transaction it is kept from other writers. Ask in the order of the keys."""

    async def add_period(self, period: WalletPeriod) -> None: ...

    async def period_before(self, key: PeriodKey) -> WalletPeriod | None:
        """The latest account of the wallet and kind that starts before ``key``, kept from other writers."""

    async def period_after(self, key: PeriodKey) -> WalletPeriod | None:
        """The earliest account of the wallet and kind that starts after ``key``, kept from other writers."""

    async def set_period_budget(self, key: PeriodKey, budget_nanos: int) -> None: ...

    async def carry(self, key: PeriodKey, into: PeriodKey, nanos: int) -> None:
        """Moves funds from one period to a later one."""

    async def approve(self, key: PeriodKey, nanos: int) -> None:
        """People let so much through above the budget."""

    async def lease_out(self, key: PeriodKey, nanos: int, limit_nanos: int | None) -> bool:
        """Raises ``leased`` if everything used and leased then still fits ``limit_nanos``; False, and no change, if not."""

    async def post(self, key: PeriodKey, movement: PeriodMovement) -> None:
        """Adds what a batch moved."""

    async def next_version(self, wallet_id: str) -> int:
        """Raises the wallet's version and returns it."""

    async def set_short(self, wallet_id: str, at_ms: int) -> None:
        """Remembers since when a node waits for this wallet's money; 0: nobody does."""

    async def short_since(self, wallet_id: str) -> int: ...

    async def claim_recall(self, wallet_id: str, now_ms: int, unless_since_ms: int) -> bool:
        """True for the one caller who may recall leases now: none has after ``unless_since_ms``."""


class Leases(Protocol):
    """Slices of wallets that nodes hold, and the wallet periods that each debits.

    Whatever moves money locks the node's journal first, then its leases by id, then wallet periods by their keys.
    """

    async def find(self, lease_id: str) -> LeaseBook | None:
        """The lease; in a transaction it is kept from other writers. Ask in the order of the ids, before the periods."""

    async def lines(self, lease_id: str) -> list[PeriodKey]:
        """The periods that it debits, in their fixed order."""

    async def add(self, lease: LeaseBook, lines: Sequence[PeriodKey], at_ms: int) -> None: ...

    async def update(self, lease: LeaseBook) -> None: ...

    async def open_of(self, node_id: str) -> list[LeaseBook]:
        """The node's leases that are not closed, by id, kept from other writers in a transaction."""

    async def granted(self, grant_id: str) -> tuple[str, int] | None:
        """Which lease a grant raised, and by how much; None when it moved nothing."""

    async def add_grant(self, grant_id: str, lease_id: str, nanos: int, at_ms: int) -> None:
        """A grant was made: one more that the lease's node has had. Whatever hands money to a node comes by here, so that a
        store that loses it can be told by its count."""


class Journals(Protocol):
    """How far each node's journal is applied, and the records that could not be."""

    async def position(self, node_id: str) -> tuple[int, bytes] | None:
        """The last applied record and the chain value there; None for a journal that never came.

        In a transaction the journal is kept from other writers from here on, one that never came too.
        """

    async def advance(self, node_id: str, last_seq: int, chain: bytes) -> None: ...

    async def end(self, node_id: str) -> None:
        """The last record of the node's journal is applied: nothing is awaited of it any more."""

    async def retired(self, node_id: str) -> bool:
        """Whether somebody retired the node: it gets no more money. In a transaction that is kept from changing."""

    async def retire(self, node_id: str) -> None:
        """The node is given up for lost."""

    async def quarantine(self, node_id: str, seq: int, record: bytes, reason: str, at_ms: int) -> None: ...

    async def quarantined(self, node_id: str) -> list[Unapplied]:
        """The node's records in quarantine, in their order."""


class Entries(Protocol):
    """The lines of wallets' statements; only ever added to."""

    async def add_all(self, entries: Sequence[Entry]) -> None: ...

    async def latest(
        self, wallet_id: str, before_number: int | None, since_ns: int, until_ns: int, limit: int
    ) -> list[NumberedEntry]:
        """The newest entries first, numbered below ``before_number`` where given, ``since_ns <= at < until_ns``."""


class Events(Protocol):
    """The event ledger; only ever added to."""

    async def known(self, event_ids: Sequence[str]) -> set[str]:
        """Which of these ids have a row already."""

    async def add_all(self, rows: Sequence[EventRow]) -> None: ...


class Alerts(Protocol):
    """Which thresholds have fired: each once per wallet period."""

    async def fired(self, key: PeriodKey) -> frozenset[str]: ...

    async def add(self, key: PeriodKey, threshold: str, event_id: str, at_ns: int) -> None: ...


class Changes(Protocol):
    """The feed that nodes follow."""

    async def add(
        self, kind: str, subject_id: str, version: int = 0, recall: bool = False, except_node_id: str | None = None
    ) -> None: ...

    async def last_seq(self) -> int:
        """The number of the newest change, 0 before the first."""

    async def after(self, seq: int, limit: int) -> list[Change]:
        """The next changes after ``seq``, oldest first."""


class Recoveries(Protocol):
    """Whether the store lost commits that nodes had answers to, and grants nothing until they have brought them back."""

    async def state(self) -> Recovery | None:
        """The recovery that goes on; None: there is none."""

    async def begin(self, since_ms: int, reason: str) -> bool:
        """Enters recovery mode; False when the store is in it already."""

    async def standing(self, node_id: str) -> tuple[Recovery | None, NodeMark]:
        """The recovery that goes on, and what the store knows of the node: all that a grant must know of both."""


class KeyUse(Protocol):
    """When issued keys were last used; the first use activates a key."""

    async def mark_used(self, at_ns_by_key: dict[str, int]) -> None: ...

    async def mark_short(self, at_ns_by_key: dict[str, int]) -> None:
        """Calls of these keys were refused for want of money: of keys that are to be suspended then, that is remembered."""


class Ledger(Protocol):
    """The nouns of money inside one transaction."""

    @property
    def wallets(self) -> Wallets: ...

    @property
    def leases(self) -> Leases: ...

    @property
    def journals(self) -> Journals: ...

    @property
    def entries(self) -> Entries: ...

    @property
    def events(self) -> Events: ...

    @property
    def alerts(self) -> Alerts: ...

    @property
    def many(self) -> Many: ...

    @property
    def changes(self) -> Changes: ...

    @property
    def key_use(self) -> KeyUse: ...

    @property
    def recovery(self) -> Recoveries: ...


class LedgerStore(Protocol):
    """Opens the ledger for one unit of work: all of it happens or none of it."""

    def ledger(self) -> AbstractAsyncContextManager[Ledger]: ...
