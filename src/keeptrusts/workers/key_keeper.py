"""Suspends keys whose budget is used up, and resumes them when there is money again: a look each second."""

import asyncio
import logging

from keeptrusts.control.context import Control
from keeptrusts.control.exhaustion import look
from keeptrusts.store.contracts import StoreAway

INTERVAL_S = 1.0

log = logging.getLogger("keeptrusts::api")


async def keep_keys(control: Control, interval_s: float = INTERVAL_S) -> None:
    """Looks for as long as it is let."""
    away = False
    while True:
        await asyncio.sleep(interval_s)
        try:
            await look(control)
            away = False
        except StoreAway as error:
            if not away:
                log.warning("Keys can't be suspended or resumed by their budgets now: %s", error)
            away = True
        except Exception:
            # Whatever stands in one row, the other keys must not wait for it for ever.
            log.exception("Keys could not be suspended or resumed by their budgets.")
