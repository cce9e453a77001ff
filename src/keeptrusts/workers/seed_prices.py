"""Seeds the price catalogue when it is new to this store: on the first start, and after an upgrade of genai-prices."""

from datetime import UTC, datetime
from importlib.metadata import version

from keeptrusts.clock import unix_ms
from keeptrusts.control.context import Control
from keeptrusts.control.prices import Seed, catalogue_seeded, seed
from keeptrusts.workers.own_prices import EDITION, OWN_PRICES

PACKAGE = "genai-prices"


async def seed_prices(control: Control) -> int:
    """Adds what is new in the installed catalogue and returns how many price versions that were.

    The catalogue is only read when its release is not the one seeded last: it takes over half a second.
    """
    catalogue = f"{PACKAGE} {version(PACKAGE)} with our own {EDITION}"
    if await catalogue_seeded(control) == catalogue:
        return 0
    from genai_prices.data import providers

    from keeptrusts.workers.catalogue import compile_catalogue

    now = control.tools.now()
    seeds = [
        Seed(
            entry.price,
            None if entry.starts is None else unix_ms(datetime.combine(entry.starts, datetime.min.time(), UTC)),
        )
        for entry in compile_catalogue(providers, now.date())
    ]
    known = {(each.price.provider, each.price.model) for each in seeds}
    seeds += [Seed(price, None) for price in OWN_PRICES if (price.provider, price.model) not in known]
    return await seed(control, catalogue, seeds)
