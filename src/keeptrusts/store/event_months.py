"""The event table's monthly partitions on PostgreSQL: made some months ahead, so that old months can be moved or dropped whole."""

import logging
from datetime import UTC, datetime

import asyncpg

from keeptrusts.clock import NANOS_PER_S
from keeptrusts.store.contracts import Database, StoreAway

MONTHS_AHEAD = 3

log = logging.getLogger("keeptrusts::api")


async def make_months(database: Database, now: datetime | None = None) -> list[str]:
    """Makes the partitions of this month and the next ones that are missing; returns their names.

    Once rows of a month stand in the default partition they stay there: the month gets none, and nothing is lost by it.
    """
    month = _start_of_month(now or datetime.now(UTC))
    made = []
    for _ in range(MONTHS_AHEAD + 1):
        following = _month_after(month)
        name = f"event_{month:%Y_%m}"
        try:
            if await _make(database, name, month, following):
                made.append(name)
        except asyncpg.PostgresError as error:
            log.warning("Events of %s stay in the default partition: %s", f"{month:%Y-%m}", error)
        except StoreAway as away:
            # Busy: another process makes it, or it is made the next time. Rows have the default partition until then.
            log.warning("The partition of %s is not made yet: %s", f"{month:%Y-%m}", away)
        month = following
    return made


async def _make(database: Database, name: str, start: datetime, end: datetime) -> bool:
    async with database.transaction() as sql:
        if await sql.fetch("SELECT 1 WHERE to_regclass($1) IS NOT NULL", name):
            return False
        await sql.fetch(database.alone)
        await sql.execute(
            f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF event FOR VALUES FROM ({_ns(start)}) TO ({_ns(end)})"
        )
    return True


def _start_of_month(now: datetime) -> datetime:
    return datetime(now.year, now.month, 1, tzinfo=UTC)


def _month_after(month: datetime) -> datetime:
    return datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=UTC)


def _ns(instant: datetime) -> int:
    return int(instant.timestamp()) * NANOS_PER_S
