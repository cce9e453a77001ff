"""PostgreSQL through asyncpg: a pool of connections to the primary, which may be shared with other API processes."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from operator import itemgetter
from typing import Any, TypeAlias, TypeVar

import asyncpg
import msgspec
from asyncpg.connect_utils import SessionAttribute

from keeptrusts.store.contracts import OutcomeUnknown, StoreAway
from keeptrusts.store.postgres_errors import AWAY, as_store_errors

POOL_SIZE = 10
CONNECT_TIMEOUT_S = 10.0
ACQUIRE_TIMEOUT_S = 10.0
STATEMENT_TIMEOUT_S = 30.0
IDLE_CONNECTION_S = 300.0
STATEMENTS_KEPT = 500
SERVER_SETTINGS = {
    "application_name": "keeptrusts",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
    # A plan that is kept from when a table was empty may read all of it later: plan for the table as it is.
    "plan_cache_mode": "force_custom_plan",
    "random_page_cost": "1.1",
}

WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED"
READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
MIGRATION_LOCK = 0x6B656570
"""Any number that other programs on the same database are unlikely to lock: "keep" in ASCII."""

SCHEMES = ("postgresql://", "postgres://")
UNREADABLE = (
    "KEEPTRUSTS_DATABASE_URL can't be read: it is postgresql://USER:PASSWORD@HOST:PORT/DATABASE, "
    "with special characters of the password percent-encoded"
)
UNKNOWN = "the ledger's PostgreSQL was lost while it was told to commit: whether it did is unknown"

JSON_TEXTS = frozenset({"attempts", "policy_actions", "details"})
"""Columns that are written as JSON, in which a NUL is an escape."""

encode = msgspec.json.Encoder().encode

Raw: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
T = TypeVar("T")


class DatabaseUrlInvalid(Exception):
    """KEEPTRUSTS_DATABASE_URL can't be used; the message is one line that says why, without the password."""


class Session:
    """One transaction on one connection; satisfies contracts.Connection."""

    listed = "json_array_elements_text(CAST($2 AS JSON)) AS listed (value)"

    def __init__(self, raw: Raw, for_update: str) -> None:
        self._raw = raw
        self.for_update = for_update

    async def fetch(self, sql: str, *args: Any) -> list[tuple[Any, ...]]:
        """See Connection."""
        with as_store_errors():
            return [tuple(row) for row in await self._raw.fetch(sql, *storable(args))]

    async def fetch_each(self, sql: str, rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        """See Connection."""
        if not rows:
            return []
        with as_store_errors():
            return [tuple(row) for row in await self._raw.fetchmany(sql, [storable(row) for row in rows])]

    async def execute(self, sql: str, *args: Any) -> int:
        """See Connection."""
        with as_store_errors():
            last = (await self._raw.execute(sql, *storable(args))).rpartition(" ")[2]
        return int(last) if last.isdigit() else 0

    async def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """See Connection."""
        with as_store_errors():
            await self._raw.executemany(sql, [storable(row) for row in rows])

    async def add_rows(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """See Connection."""
        if rows:
            with as_store_errors():
                await self._raw.copy_records_to_table(table, records=all_storable(columns, rows), columns=list(columns))

    async def numbers(self, table: str, count: int) -> Sequence[int | None]:
        """See Connection. Whoever takes numbers keeps the others waiting until its commit."""
        rows = await self.fetch("UPDATE counter SET value = value + $2 WHERE name = $1 RETURNING value", table, count)
        last: int = rows[0][0]
        return range(last - count + 1, last + 1)


class PostgresDatabase:
    """The primary of a PostgreSQL, or of what speaks its protocol. ``open_postgres`` makes it."""

    alone = f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Session]:
        """See Database. Raises StoreConflict when another writer was first, OutcomeUnknown for a commit without an answer."""
        async with self._lent(WRITE) as raw:
            if getattr(raw.get_settings(), "in_hot_standby", "off") == "on":
                raise StoreAway("the ledger's PostgreSQL is a standby now: money is decided on the primary alone")
            yield Session(raw, " FOR UPDATE")
            await _to_its_end(_commit(raw))

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Session]:
        """See Database."""
        async with self._lent(READ) as raw:
            yield Session(raw, "")

    @asynccontextmanager
    async def _lent(self, begin: str) -> AsyncIterator[Raw]:
        """A connection in a transaction. It goes back without one, or is closed when it can't be brought to that."""
        with as_store_errors():
            raw = await self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S)
        try:
            with as_store_errors():
                await raw.execute(begin)
            yield raw
        finally:
            await _to_its_end(self._give_back(raw))

    async def _give_back(self, raw: Raw) -> None:
        try:
            if raw.is_in_transaction():
                await raw.execute("ROLLBACK")
        except (asyncpg.PostgresError, *AWAY):
            with suppress(asyncpg.InterfaceError):  # a lost connection has left the pool by itself
                raw.terminate()
        await self._pool.release(raw)

    async def close(self) -> None:
        """Closes every connection; what still runs is given a moment and then broken off."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()


async def open_postgres(url: str) -> PostgresDatabase:
    """Connects to the primary. Raises DatabaseUrlInvalid, and StoreAway when it can't be reached or is a standby."""
    where = told_without_password(url)
    try:
        with as_store_errors():
            pool = await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=POOL_SIZE,
                max_inactive_connection_lifetime=IDLE_CONNECTION_S,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=STATEMENT_TIMEOUT_S,
                statement_cache_size=STATEMENTS_KEPT,
                max_cached_statement_lifetime=0,
                server_settings=SERVER_SETTINGS,
                target_session_attrs=SessionAttribute.primary,
                init=_commit_to_the_disk,
                reset=_nothing_to_reset,
            )
    except StoreAway as away:
        raise StoreAway(f"{where}: {away}") from None
    except (ValueError, TypeError, asyncpg.ClientConfigurationError):
        # Their messages quote parts of the URL, and a password that is not percent-encoded may be such a part.
        raise DatabaseUrlInvalid(UNREADABLE) from None
    assert pool is not None
    return PostgresDatabase(pool)


def told_without_password(url: str) -> str:
    """Where the URL leads, to be shown: hosts and database alone. Raises DatabaseUrlInvalid."""
    if not url.startswith(SCHEMES):
        raise DatabaseUrlInvalid(f"KEEPTRUSTS_DATABASE_URL must begin with {SCHEMES[0]}")
    authority, _, rest = url.partition("://")[2].partition("/")
    if "@" in rest or any(mark in authority.rpartition("@")[2] for mark in "?#"):
        # A password with a bare / ? or # in it: whatever we would show could be a part of it.
        raise DatabaseUrlInvalid(UNREADABLE)
    hosts = authority.rpartition("@")[2]
    return f"PostgreSQL at {hosts or 'a local socket'}, database {rest.partition('?')[0] or '(default)'}"


async def _commit_to_the_disk(raw: Any) -> None:
    """A commit that is answered is on the disk, also where the server's default is to answer before."""
    if await raw.fetchval("SELECT current_setting('synchronous_commit')") == "off":
        await raw.execute("SET synchronous_commit = on")


def storable(row: Sequence[Any]) -> Sequence[Any]:
    """PostgreSQL's texts can't hold NUL, which a caller may have put into an attribution: it is stored as U+2400."""
    if "\0" in "".join([value for value in row if type(value) is str]):
        return [value.replace("\0", "\u2400") if type(value) is str else value for value in row]
    return row


def all_storable(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
    """The same for many rows, looked through at once: hardly ever does one hold a NUL, which JSON writes with a backslash."""
    suspects = itemgetter(*[place for place, name in enumerate(columns) if name not in JSON_TEXTS])
    return [storable(row) for row in rows] if b"\\" in encode([*map(suspects, rows)]) else rows


async def _nothing_to_reset(_connection: object) -> None:
    """Every transaction ends before its connection goes back, and nobody sets anything for longer."""


async def _commit(raw: Raw) -> None:
    try:
        told = await raw.execute("COMMIT")
    except AWAY as error:
        raise OutcomeUnknown(UNKNOWN) from error
    except asyncpg.PostgresError:
        with as_store_errors():
            raise
    if told != "COMMIT":
        raise StoreAway("the ledger's PostgreSQL rolled the transaction back")


async def _to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Waits for it even when the caller is cancelled: a connection in the middle of something is of no use to the next."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
        raise
