"""Keys that are suspended when the budget of their calls is used up, and go on by themselves when there is money again.

Only keys with ``on_exhausted: suspend``. A key is suspended once a call of it was refused for want of money and some budget
that its calls spend from is nearly used up; it resumes when the tightest of them has more left than it had then, whether
people gave it or a new period began. What a person suspended no money resumes.
"""

import msgspec

from keeptrusts.control.access_keys import USABLE
from keeptrusts.control.accounts import read_accounts
from keeptrusts.control.context import Actor, Control
from keeptrusts.control.token_shapes import key_record
from keeptrusts.control.tokens import resumed_status, write
from keeptrusts.control.ways import wallets_of_way
from keeptrusts.core.ledger.alerts import block_percent
from keeptrusts.core.ledger.wallet import WalletPeriod, further_scopes
from keeptrusts.store.books import Books
from keeptrusts.store.tokens import TokenRow

BUDGET = Actor("system", "budget")
"""Who the audit trail says did it."""

NEARLY = 10
"""Of a budget that has less than one part in so many left, a call that it can't pay for says that it is used up."""

AT_ONCE = 100
"""Keys that are looked at in one transaction."""


async def look(control: Control) -> None:
    """Suspends and resumes what is due. Raises StoreAway."""
    async with control.store.read() as books:
        short = await books.tokens.short(AT_ONCE)
    for token_id in short:
        await _suspend(control, token_id)
    last_id = ""
    while True:
        async with control.store.read() as books:
            page = await books.tokens.exhausted(last_id, AT_ONCE)
            due = [row for row in page if await _is_funded(control, books, row)]
        for row in due:
            await _resume(control, row.token_id)
        if len(page) < AT_ONCE:
            return
        last_id = page[-1].token_id


async def _suspend(control: Control, token_id: str) -> None:
    async with control.store.write() as books:
        row = await books.tokens.kept(token_id)
        await books.tokens.forget_short(token_id)
        if row is None or row.status not in USABLE or row.on_exhausted != "suspend":
            return
        left = await _left(control, books, row)
        if left is None or not left[1]:
            return
        after = msgspec.structs.replace(
            row, status="suspended", suspended_reason="budget_exhausted", left_nanos=left[0]
        )
        await write(control, books, BUDGET, "token.suspend", row, after)


async def _resume(control: Control, token_id: str) -> None:
    async with control.store.write() as books:
        row = await books.tokens.kept(token_id)
        if row is None or row.suspended_reason != "budget_exhausted" or not await _is_funded(control, books, row):
            return
        after = msgspec.structs.replace(row, status=resumed_status(row), suspended_reason=None, left_nanos=None)
        await write(control, books, BUDGET, "token.resume", row, after)


async def _is_funded(control: Control, books: Books, row: TokenRow) -> bool:
    left = await _left(control, books, row)
    # Without any budget in its way, or once it is not to be suspended any more, nothing keeps the key.
    return row.on_exhausted != "suspend" or left is None or left[0] > (row.left_nanos or 0)


async def _left(control: Control, books: Books, row: TokenRow) -> tuple[int, bool] | None:
    """What the tightest budget of the key's calls has left, in nano-USD, and whether that is nearly nothing; None where none
    bounds them. Money that gateways have at hand is not spent."""
    record, tools = key_record(row), control.tools
    latest = await books.nodes.latest()
    percent = 100 if latest is None else block_percent(latest.thresholds)
    alive = control.presence.alive(tools.clock.monotonic_s())
    team = await _team_of(books, row)
    rooms: list[tuple[int, bool]] = []
    for wallet in await wallets_of_way(books.wallets, team, further_scopes(record.attribution, row.token_id)):
        if wallet.fallback == "parent" and wallet.parent_id is not None:
            continue  # when it is empty, its parent pays
        accounts = await read_accounts(books.wallets, wallet, tools.now(), alive)
        for period in accounts.periods:
            limit = accounts.limit(period, True, percent)
            if limit is not None:
                rooms.append(_room(period, limit))
    return (min(left for left, _ in rooms), any(nearly for _, nearly in rooms)) if rooms else None


async def _team_of(books: Books, row: TokenRow) -> str | None:
    """The team whose money the key spends: its own, else that of its group."""
    if row.team_id is not None or row.consumer_group is None:
        return row.team_id
    return await books.groups.team_of(row.consumer_group)


def _room(period: WalletPeriod, limit: int) -> tuple[int, bool]:
    left = limit - period.spent - period.suspense
    return left, left * NEARLY < limit or left <= 0
