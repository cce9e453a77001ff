"""Opens the control plane on a data directory, and closes it again: one call makes everything an API process needs."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from keeptrusts.clock import Clock, SystemClock
from keeptrusts.control.bell import Bell
from keeptrusts.control.context import Control, Tools
from keeptrusts.control.presence import Presence
from keeptrusts.core.identity.gateway_key import ACCESS_PREFIX, SECRET_BYTES, issue_key, key_digest
from keeptrusts.store.books import SqlStore
from keeptrusts.store.data_dir import ADMIN_TOKEN, DATABASE, DataDir
from keeptrusts.store.migrate import migrate, migrations
from keeptrusts.store.sqlite import open_sqlite


def admin_token(data_dir: DataDir, given: str | None) -> str:
    """The token of the first administrator: the one given (``KEEPTRUSTS_API_TOKEN``), else the data directory's own."""
    return given or data_dir.secret(ADMIN_TOKEN, lambda: issue_key(ACCESS_PREFIX, secrets.token_bytes(SECRET_BYTES)))


@asynccontextmanager
async def open_control(data_dir: Path, api_token: str | None, clock: Clock | None = None) -> AsyncIterator[Control]:
    """The control plane on ``data_dir``, which is made when it does not exist. ``api_token`` None: its own admin token.

    Raises DataDirUnusable, UnknownSchema or StoreAway, each with one line that says what is wrong.
    """
    directory = DataDir(data_dir)
    try:
        database = await open_sqlite(directory.path / DATABASE)
        try:
            await migrate(database, migrations())
            store = SqlStore(database)
            async with store.write() as books:
                await books.changes.forget_old()
                bell = Bell(await books.changes.last_seq())
            store.on_change = bell.ring
            pepper = directory.pepper()
            yield Control(
                store=store,
                tools=Tools(clock or SystemClock()),
                pepper=pepper,
                admin_digest=key_digest(pepper, admin_token(directory, api_token)),
                presence=Presence(),
                bell=bell,
                registrations={},
            )
        finally:
            await database.close()
    finally:
        directory.close()
