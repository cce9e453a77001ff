"""Model prices: people post versions, the catalogue seeds the rest, and people's always win."""

from datetime import datetime

import msgspec

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


async def seed(control: Control, catalogue: str, prices: list[Price]) -> int:
    """Adds what is new or different in a release of the catalogue; returns how many versions that were."""
    async with control.store.write() as books:
        known = {(p.provider, p.model): p for p in await books.prices.of_catalogue()}
        first = not known
        fresh = [price for price in prices if not _same(price, known.get((price.provider, price.model)))]
        starts_ms = control.tools.now_ms()
        versioned = [
            msgspec.structs.replace(price, version=control.tools.new_id("prc"), source=catalogue) for price in fresh
        ]
        await books.prices.add_all(versioned, True, starts_ms, starts_ms)
        if not first:
            for price in versioned:
                await tell_gateways(books, price.provider, price.model)
        await books.meta.put(CATALOGUE_VERSION, catalogue)
    return len(versioned)


def _same(price: Price, known: Price | None) -> bool:
    return known is not None and price == msgspec.structs.replace(
        known, version=price.version, source=price.source, effective_from=price.effective_from
    )


async def turn(control: Control) -> None:
    """Tells gateways of the prices whose announced time has come since this was last called."""
    now_ms = control.tools.now_ms()
    async with control.store.read() as books:
        since = int(await books.meta.get(TURNED_UNTIL) or 0)
        due = await books.prices.starting(since, now_ms)
    if not due:
        return
    async with control.store.write() as books:
        for provider, model in due:
            await tell_gateways(books, provider, model)
        await books.meta.put(TURNED_UNTIL, str(now_ms))
