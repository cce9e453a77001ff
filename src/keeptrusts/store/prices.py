"""SQL of model prices: versions that are only ever added; the one in force is chosen when asked."""

from collections.abc import Sequence

import msgspec

from keeptrusts.core.pricing.price import Price
from keeptrusts.store.contracts import DEFAULT_ORG, Connection

# People's prices come before the catalogue's, then the later start, then the later posting.
IN_FORCE = """
    SELECT body FROM (
        SELECT body, provider, model, ROW_NUMBER() OVER (
            PARTITION BY provider, model ORDER BY catalogue, effective_from_ms DESC, price_no DESC) AS place
        FROM price WHERE org_id = $1 AND effective_from_ms <= $2 {narrowed}) AS ranked
    WHERE place = 1 ORDER BY provider, model"""

decode = msgspec.json.Decoder(Price).decode


class SqlPrices:
    """Price versions of one organization."""

    def __init__(self, connection: Connection, org_id: str = DEFAULT_ORG) -> None:
        self._sql = connection
        self._org = org_id

    async def in_force(self, now_ms: int, providers: Sequence[str] | None = None) -> list[Price]:
        """One price per provider and model, of these providers (None: all), by provider and model."""
        places = ", ".join(f"${place}" for place in range(3, 3 + len(providers or ())))
        narrowed = "" if providers is None else f"AND provider IN ({places})"
        rows = await self._sql.fetch(IN_FORCE.format(narrowed=narrowed), self._org, now_ms, *(providers or ()))
        return [decode(row[0]) for row in rows]

    async def of_model(self, provider: str, model: str, now_ms: int) -> Price | None:
        """The price in force of one model."""
        rows = await self._sql.fetch(
            IN_FORCE.format(narrowed="AND provider = $3 AND model = $4"), self._org, now_ms, provider, model
        )
        return decode(rows[0][0]) if rows else None

    async def of_catalogue(self) -> dict[tuple[str, str], list[Price]]:
        """The catalogue's versions that hold last or are still to come, by provider and model, whatever people set."""
        rows = await self._sql.fetch(
            """
            SELECT body FROM price AS p WHERE org_id = $1 AND catalogue = 1 AND created_at_ms = (
                SELECT MAX(created_at_ms) FROM price WHERE org_id = p.org_id AND provider = p.provider AND model = p.model
                    AND catalogue = 1)""",
            self._org,
        )
        found: dict[tuple[str, str], list[Price]] = {}
        for row in rows:
            price = decode(row[0])
            bare = msgspec.structs.replace(price, version="", source="", effective_from=None)
            found.setdefault((price.provider, price.model), []).append(bare)
        return found

    async def add_all(self, prices: Sequence[Price], catalogue: bool, effective_from_ms: int, now_ms: int) -> None:
        """New versions, all in force from the same instant."""
        await self._sql.executemany(
            """
            INSERT INTO price (org_id, price_id, provider, model, catalogue, effective_from_ms, created_at_ms, body)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)""",
            [
                (
                    self._org,
                    price.version,
                    price.provider,
                    price.model,
                    int(catalogue),
                    effective_from_ms,
                    now_ms,
                    msgspec.json.encode(price).decode(),
                )
                for price in prices
            ],
        )

    async def starting(self, after_ms: int, until_ms: int) -> list[tuple[str, str]]:
        """Provider and model of every version whose time begins after ``after_ms`` and not after ``until_ms``."""
        rows = await self._sql.fetch(
            """
            SELECT DISTINCT provider, model FROM price
            WHERE org_id = $1 AND effective_from_ms > $2 AND effective_from_ms <= $3 AND created_at_ms < effective_from_ms
            ORDER BY provider, model""",
            self._org,
            after_ms,
            until_ms,
        )
        return [(provider, model) for provider, model in rows]
