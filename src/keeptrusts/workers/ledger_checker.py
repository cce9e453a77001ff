"""Holds the ledger against its invariants while the API serves: in small steps, with pauses, for as long as it runs."""

import asyncio
import logging

from keeptrusts.control.chain import chain_verdicts
from keeptrusts.control.context import Control
from keeptrusts.control.inspecting import Witness, inspect
from keeptrusts.core.ledger.invariants.findings import Verdicts
from keeptrusts.store.contracts import StoreAway

INTERVAL_S = 30.0
SHARE = 20
"""An examination is followed by a pause of at least so many times its own length."""
BREATH_S = 0.02
"""The pause between two steps of a reading, in which the API answers."""
AGAIN_S = 6 * 3_600.0
"""How often everything is read from the first row again."""
CHAIN_ROWS_MAX = 100_000
"""Up to how many events the checkpoints are recomputed here; `kt audit verify` does it for any number."""

log = logging.getLogger("keeptrusts::ledger")


async def watch_ledger(control: Control, interval_s: float = INTERVAL_S) -> None:
    """Examines for as long as it is let."""
    clock = control.tools.clock
    began_s = clock.monotonic_s()
    while True:
        if clock.monotonic_s() - began_s > AGAIN_S:
            began_s = clock.monotonic_s()
            control.watch.begin_again()
            control.watch.chain = None
        try:
            took_s = await look(control)
        except StoreAway as error:
            log.warning("The ledger could not be examined: %s", error)
            took_s = 0.0
        except Exception:
            # Whatever stands in the rows, an examination that fails must not end the watch.
            log.exception("The ledger could not be examined.")
            took_s = 0.0
        await asyncio.sleep(max(interval_s, SHARE * took_s))


async def look(control: Control) -> float:
    """Reads on to the last fact, examines the books once, and returns how many seconds that took. Raises StoreAway."""
    watch, clock = control.watch, control.tools.clock
    more = True
    while more:
        more = await watch.read_on(control.store, clock.unix_ns())
        await asyncio.sleep(BREATH_S)
    if watch.chain is None and watch.facts.events_to <= CHAIN_ROWS_MAX:
        seen = control.seal.witness
        witnesses = [] if seen is None else [Witness(*seen, "this process")]
        watch.chain = chain_verdicts(await inspect(control.store, None, witnesses))
    began_s = clock.monotonic_s()
    verdicts = await watch.examine(control.store)
    took_s = clock.monotonic_s() - began_s
    _tell(watch.last.verdicts if watch.last else Verdicts(), verdicts)
    watch.found(verdicts, clock.unix_ns(), took_s)
    return took_s


def _tell(before: Verdicts, now: Verdicts) -> None:
    """One line for each invariant that breaks otherwise than before, and for each that holds again."""
    for verdict in now.all:
        was = before[verdict.invariant]
        if verdict.broken and (verdict.broken, verdict.findings) != (was.broken, was.findings):
            log.error("%s is violated by %d rows, first: %s", verdict.invariant, verdict.broken, verdict.findings[0])
        elif was.broken and not verdict.broken:
            log.warning("%s holds again.", verdict.invariant)
