"""Model prices: people post versions, the catalogue seeds the rest, and people's always win."""

from datetime import datetime

import msgspec
from msgspec import Struct

from keeptrusts.clock import instant_at_ms, unix_ms
from keeptrusts.control.audit import note
from keeptrusts.control.context import Actor, Control
from keeptrusts.core.pricing.price import Price
from keeptrusts.store.books import Books

CATALOGUE_VERSION = "catalogue_version"
TURNED_UNTIL = "prices_turned_until_ms"


async def post(control: Control, actor: Actor, price: Price, effective_from: datetime | None) -> Price:
    """Adds a version of a model's price and returns it with its id; gateways use it from its time on."""
    tools = control.tools
    starts_ms = tools.now_ms() if effective_from is None else unix_ms(effective_from)
    price = msgspec.structs.replace(
        price, version=tools.new_id("prc"), source="manual", effective_from=instant_at_ms(starts_ms)
    )
    async with control.store.write() as books:
        await books.prices.add_all([price], False, starts_ms, tools.now_ms())
        if starts_ms <= tools.now_ms():
            await tell_gateways(books, price.provider, price.model)
        await note(books, tools, actor, "price.post", price.version, None, msgspec.to_builtins(price))
    return price


async def in_force(control: Control) -> list[Price]:
    """The prices in force: people's first, then the catalogue's, each by provider and model."""
    async with control.store.read() as books:
        prices = await books.prices.in_force(control.tools.now_ms())
    return sorted(prices, key=lambda price: price.source != "manual")


async def tell_gateways(books: Books, provider: str, model: str) -> None:
    """Puts the price of a model into the change feed."""
    await books.changes.add("price", msgspec.json.encode((provider, model)).decode())


class Seed(Struct, frozen=True):
    """A price from the catalogue; ``starts_ms`` None: it holds from now on."""

    price: Price
    starts_ms: int | None


async def catalogue_seeded(control: Control) -> str | None:
    """The release of the catalogue that was seeded last."""
    async with control.store.read() as books:
        return await books.meta.get(CATALOGUE_VERSION)


async def seed(control: Control, catalogue: str, seeds: list[Seed]) -> int:
    """Adds what is new or different in a release of the catalogue; returns how many versions that were."""
    now_ms = control.tools.now_ms()
    async with control.store.write() as books:
        if await books.meta.claim(CATALOGUE_VERSION, "") == catalogue:
            return 0  # another process was faster
        known = await books.prices.of_catalogue()
        fresh = [
            (msgspec.structs.replace(it.price, version=control.tools.new_id("prc"), source=catalogue), it.starts_ms)
            for it in seeds
            if _bare(it.price) not in known.get((it.price.provider, it.price.model), ())
        ]
        for starts_ms in sorted({starts_ms or now_ms for _, starts_ms in fresh}):
            prices = [price for price, starts in fresh if (starts or now_ms) == starts_ms]
            await books.prices.add_all(prices, True, starts_ms, now_ms)
            if known and starts_ms == now_ms:
                for price in prices:
                    await tell_gateways(books, price.provider, price.model)
        await books.meta.put(CATALOGUE_VERSION, catalogue)
    return len(fresh)


def _bare(price: Price) -> Price:
    """The price without what tells versions apart."""
    return msgspec.structs.replace(price, version="", source="", effective_from=None)


async def turn(control: Control) -> None:
    """Tells gateways of the prices whose announced time has come since this was last called."""
    now_ms = control.tools.now_ms()
    async with control.store.read() as books:
        since = int(await books.meta.get(TURNED_UNTIL) or 0)
        due = await books.prices.starting(since, now_ms)
    if not due:
        return
    async with control.store.write() as books:
        if int(await books.meta.claim(TURNED_UNTIL, "0")) > since:
            return  # another process was faster
        for provider, model in due:
            await tell_gateways(books, provider, model)
        await books.meta.put(TURNED_UNTIL, str(now_ms))
