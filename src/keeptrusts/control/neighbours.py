"""Several API processes on one store hear of each other's nodes and changes through it: by asking, a few times a second."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from keeptrusts.control.context import Control
from keeptrusts.control.presence import ALIVE_S
from keeptrusts.store.contracts import Database, StoreAway
from keeptrusts.store.event_months import make_months

BELL_INTERVAL_S = 0.2
"""How much later than the commit, at most, a node that waits at another process hears of a change."""

SIGNS_INTERVAL_S = 1.0
"""How often signs of life are written and read; a node is forgotten ten times later."""

MONTHS_INTERVAL_S = 6 * 3_600.0

log = logging.getLogger("keeptrusts::api")


@asynccontextmanager
async def keeping_in_touch(control: Control, database: Database) -> AsyncIterator[None]:
    """Knows the other processes' nodes from the start on, and keeps asking for as long as the block lasts."""
    await exchange_signs(control)
    asking = asyncio.get_running_loop().create_task(_keep_asking(control, database))
    try:
        yield
    finally:
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking


async def listen(control: Control) -> None:
    """Rings the bell when another process has added to the change feed."""
    async with control.store.read() as books:
        control.bell.ring(await books.changes.last_seq())


async def exchange_signs(control: Control) -> None:
    """Tells the store which nodes speak to this process, and learns which speak to the others."""
    signs = control.presence.take_news()
    if signs:
        async with control.store.write() as books:
            await books.signs.note(signs)
    # A node may have introduced itself anew to another process.
    control.registrations.clear()
    now_s = control.tools.clock.monotonic_s()
    own = control.presence.own(now_s)
    async with control.store.read() as books:
        others = await books.signs.of_others(sorted(own), int(ALIVE_S * 1_000))
    for node_id, (ago_s, held_nanos) in others.items():
        control.presence.heard_elsewhere(node_id, now_s - ago_s, held_nanos)


async def _keep_asking(control: Control, database: Database) -> None:
    loop = asyncio.get_running_loop()
    next_signs_s = loop.time() + SIGNS_INTERVAL_S
    next_months_s = loop.time() + MONTHS_INTERVAL_S
    away = False
    while True:
        await asyncio.sleep(BELL_INTERVAL_S)
        try:
            if control.bell.awaited:
                await listen(control)
            if loop.time() >= next_signs_s:
                next_signs_s = loop.time() + SIGNS_INTERVAL_S
                await exchange_signs(control)
            if loop.time() >= next_months_s:
                next_months_s = loop.time() + MONTHS_INTERVAL_S
                await make_months(database)
            away = False
        except StoreAway as error:
            if not away:
                log.warning("Other API processes' news have to wait: %s", error)
            away = True
