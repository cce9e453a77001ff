"""The API process's own jobs: what has to be done before it serves, and what goes on beside it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from keeptrusts.control.context import Control
from keeptrusts.control.prices import turn
from keeptrusts.store.contracts import StoreAway
from keeptrusts.workers.checkpoints import keep_checkpoints, last_checkpoint
from keeptrusts.workers.key_keeper import keep_keys
from keeptrusts.workers.ledger_checker import watch_ledger
from keeptrusts.workers.seed_prices import seed_prices

TURN_INTERVAL_S = 1.0

log = logging.getLogger("keeptrusts::api")


@asynccontextmanager
async def running_workers(control: Control) -> AsyncIterator[None]:
    """Seeds the prices, then runs the jobs for as long as the block lasts."""
    seeded = await seed_prices(control)
    if seeded:
        log.info("Price catalogue: %d versions added.", seeded)
    loop = asyncio.get_running_loop()
    work = (_turn_prices(control), keep_checkpoints(control), watch_ledger(control), keep_keys(control))
    jobs = [loop.create_task(job) for job in work]
    try:
        yield
    finally:
        for job in jobs:
            job.cancel()
            with suppress(asyncio.CancelledError):
                await job
        await last_checkpoint(control)


async def _turn_prices(control: Control) -> None:
    """A price that was announced holds from its instant on: gateways hear of it within a second."""
    while True:
        await asyncio.sleep(TURN_INTERVAL_S)
        try:
            await turn(control)
        except StoreAway as error:
            log.warning("Prices that begin now could not be announced yet: %s", error)
