"""Explaining one call: its row, and what the row names, read together."""

from typing import Any

import msgspec

from keeptrusts.control.accounts import name_of
from keeptrusts.control.call_story import explain
from keeptrusts.control.context import Control
from keeptrusts.control.denial import not_found
from keeptrusts.control.teams import team_names
from keeptrusts.core.ledger.attempt_row import decode_attempts
from keeptrusts.core.metering.event_row import EventRow
from keeptrusts.core.metering.rendering import Names
from keeptrusts.core.metering.selection import Selection
from keeptrusts.store.books import Books


async def explain_call(control: Control, asked: str) -> dict[str, Any]:
    """Why the call of this event id, or of this request id, went as it did. Of several the latest. Raises Denial."""
    async with control.store.read() as books:
        row = await _find(books, asked)
        teams = await team_names(books, [] if row.team_id is None else [row.team_id])
        keys = await books.tokens.names([] if row.key_id is None else [row.key_id])
        attempts = decode_attempts(row.attempts)
        prices = await books.inspection.prices({a.price_version for a in attempts if a.price_version is not None})
        leases = {attempt.lease_id for attempt in attempts if attempt.lease_id is not None}
        wallets = {lease_id: await _debited(books, lease_id) for lease_id in sorted(leases)}
        held_with = msgspec.json.decode(row.details).get("ticket") if row.details is not None else None
        ticket = None if held_with is None else await books.tickets.find(held_with)
    return explain(row, Names(teams, keys), prices, wallets, ticket)


async def _find(books: Books, asked: str) -> EventRow:
    for name in ("id", "request_id"):
        found = await books.events.page(Selection({name: (asked,)}), 1)
        if found:
            return found[0].row
    raise not_found(
        f"no call has the event id or the request id {asked!r}: a call is here about a second after its end"
    )


async def _debited(books: Books, lease_id: str) -> list[str]:
    """The wallet periods that a lease debits, as people read them: ``team:search monthly:2026-04-01``."""
    told = []
    for line in await books.leases.lines(lease_id):
        wallet = await books.wallets.by_id(line.wallet_id)
        if wallet is not None:
            told.append(f"{wallet.name} {name_of(wallet, line)}")
    return told
