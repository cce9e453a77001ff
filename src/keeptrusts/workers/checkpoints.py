"""Makes checkpoints while rows come: at the start, once a minute, and a last one at a clean stop."""

import asyncio
import logging

from keeptrusts.control.checkpoints import Broken, make_checkpoint
from keeptrusts.control.context import Control
from keeptrusts.store.contracts import StoreAway

INTERVAL_S = 60.0
BREATH_S = 0.05
"""The pause between two full checkpoints, in which the API answers: a long backlog takes a while, not the process."""
LAST_S = 3.0
"""How long a stop waits for its checkpoint; what is not covered then, the next start covers."""

log = logging.getLogger("keeptrusts::audit")


async def keep_checkpoints(control: Control) -> None:
    """Makes them for as long as it is let."""
    while True:
        await cover_new_rows(control)
        await asyncio.sleep(INTERVAL_S)


async def last_checkpoint(control: Control) -> None:
    """Covers what came since, within ``LAST_S``."""
    try:
        async with asyncio.timeout(LAST_S):
            await cover_new_rows(control)
    except TimeoutError:
        log.warning("The last rows have no checkpoint yet: the next start makes it.")


async def cover_new_rows(control: Control) -> None:
    """Checkpoints until nothing new is left. What hinders it is logged: calls and money go on without."""
    try:
        while (made := await make_checkpoint(control)) is not None:
            log.info(
                "Checkpoint %d: %d rows, root %s, hash %s",
                made.sealed.number,
                sum(cover.rows for cover in made.statement.tables.values()),
                made.statement.root,
                made.sealed.hash,
            )
            if not made.full:
                return
            await asyncio.sleep(BREATH_S)
    except Broken as error:
        log.error("No checkpoint can be made: %s", error)
    except (StoreAway, OSError) as error:
        log.warning("No checkpoint could be made yet: %s", error)
