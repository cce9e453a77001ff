"""Opens the control plane on a data directory, and closes it again: one call makes everything an API process needs."""

import hmac
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from keeptrusts.clock import Clock, SystemClock
from keeptrusts.control.bell import Bell
from keeptrusts.control.context import Control, Tools
from keeptrusts.control.ledger_watch import LedgerWatch
from keeptrusts.control.neighbours import keeping_in_touch
from keeptrusts.control.presence import Presence
from keeptrusts.control.recovery import compare_tally
from keeptrusts.core.identity.gateway_key import ACCESS_PREFIX, SECRET_BYTES, issue_key, key_digest
from keeptrusts.store.books import SqlStore
from keeptrusts.store.contracts import Database
from keeptrusts.store.data_dir import ADMIN_TOKEN, DATABASE, PEPPER_BYTES, TALLY, DataDir, DataDirUnusable
from keeptrusts.store.event_months import make_months
from keeptrusts.store.grant_tally import GrantTally
from keeptrusts.store.migrate import migrate, migrations
from keeptrusts.store.postgres import PostgresDatabase, open_postgres
from keeptrusts.store.seal import Seal
from keeptrusts.store.sqlite import open_sqlite

PEPPER_CHECK = "key_pepper_check"
CHECKED_TEXT = b"keeptrusts: whoever can make this value has the right pepper"


def admin_token(data_dir: DataDir, given: str | None) -> str:
    """The token of the first administrator: the one given (``KEEPTRUSTS_API_TOKEN``), else the data directory's own."""
    return given or data_dir.secret(ADMIN_TOKEN, lambda: issue_key(ACCESS_PREFIX, secrets.token_bytes(SECRET_BYTES)))


@asynccontextmanager
async def open_control(
    data_dir: Path,
    api_token: str | None,
    clock: Clock | None = None,
    database_url: str | None = None,
    key_pepper: str | None = None,
    strict_teams: bool = False,
) -> AsyncIterator[Control]:
    """The control plane on ``data_dir``, which is made when it does not exist. ``api_token`` None: its own admin token.

    ``database_url``: the ledger is in that PostgreSQL, which other API processes may share; None: in the directory.
    ``key_pepper``: in hexadecimal, the same for all of them; None: the directory's own. ``strict_teams``: see Control.
    Raises DataDirUnusable, DatabaseUrlInvalid, UnknownSchema or StoreAway, each with one line that says what is wrong.
    """
    directory = DataDir(data_dir)
    try:
        pepper = directory.pepper() if key_pepper is None else _pepper(key_pepper)
        database = await _open_database(directory, database_url)
        try:
            store = SqlStore(database)
            async with store.write() as books:
                _check_pepper(pepper, await books.meta.claim(PEPPER_CHECK, _check_value(pepper)))
                await books.changes.forget_old()
                bell = Bell(await books.changes.last_seq())
            store.on_change = bell.ring
            control = Control(
                store=store,
                tools=Tools(clock or SystemClock()),
                pepper=pepper,
                admin_digest=key_digest(pepper, admin_token(directory, api_token)),
                seal=Seal(directory),
                presence=Presence(),
                bell=bell,
                watch=LedgerWatch(),
                tally=None if database_url is not None else GrantTally(directory.path / TALLY),
                registrations={},
                strict_teams=strict_teams,
            )
            await compare_tally(control)
            if isinstance(database, PostgresDatabase):
                async with keeping_in_touch(control, database):
                    yield control
            else:
                yield control
        finally:
            await database.close()
    finally:
        directory.close()


async def _open_database(directory: DataDir, url: str | None) -> Database:
    """The engine with this release's schema."""
    if url is None:
        database: Database = await open_sqlite(directory.path / DATABASE)
        engine = "sqlite"
    else:
        database = await open_postgres(url)
        engine = "postgres"
    try:
        await migrate(database, migrations(engine))
        if url is not None:
            await make_months(database)
    except BaseException:
        await database.close()
        raise
    return database


def _pepper(text: str) -> bytes:
    try:
        pepper = bytes.fromhex(text)
    except ValueError:
        pepper = b""
    if len(pepper) < PEPPER_BYTES:
        raise DataDirUnusable(f"KEEPTRUSTS_KEY_PEPPER must be at least {PEPPER_BYTES} bytes in hexadecimal")
    return pepper


def _check_value(pepper: bytes) -> str:
    return hmac.digest(pepper, CHECKED_TEXT, "sha256").hex()


def _check_pepper(pepper: bytes, kept: str) -> None:
    if not hmac.compare_digest(kept, _check_value(pepper)):
        raise DataDirUnusable(
            "the ledger was made with another key pepper, so that no key or token would be known: set KEEPTRUSTS_KEY_PEPPER "
            "to the one in the file key-pepper of the data directory that made it, or restore that file"
        )
