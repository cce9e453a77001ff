"""``/v1/wallets``: budgets, what is left of them, and their statements."""

from decimal import Decimal
from typing import Annotated, Any

from fastapi import Query
from starlette.responses import Response

from keeptrusts.api.access import TheActor, TheControl
from keeptrusts.api.exact_json import answer
from keeptrusts.api.instants import Instant, instant_ns
from keeptrusts.api.repeats import TheRepeat, once
from keeptrusts.api.resources.wallet_shapes import (
    Allocate,
    Credit,
    Reclaim,
    Transaction,
    Transfer,
    WalletShape,
    named,
    told,
)
from keeptrusts.api.shapes import PAGE_DEFAULT, PAGE_MAX
from keeptrusts.control import balances, wallet_moves, wallet_states, wallets
from keeptrusts.core.ids import base36
from keeptrusts.core.ledger.entry import NumberedEntry
from keeptrusts.core.ledger.wallet import Wallet
from keeptrusts.core.metering.rendering import timestamp
from keeptrusts.core.metering.selection import END_OF_TIME_NS
from keeptrusts.core.money import usd
from keeptrusts.core.periods import PeriodKind

ENTRY_DIGITS = 9


WalletName = Annotated[
    str | None, Query(max_length=250, description="A wallet's id (wal_...), or a scope and an id: project:search.")
]
TeamId = Annotated[str | None, Query(max_length=200, description="A team's id, or its name.")]


async def allocate(control: TheControl, actor: TheActor, repeat: TheRepeat, body: Allocate) -> Response:
    """Set a wallet's budget, its place in the tree and its options. The first allocation makes the wallet."""
    found = await once(repeat, lambda: wallets.allocate(control, actor, body.asked(), repeat))
    return answer(told(found))


async def credit(control: TheControl, actor: TheActor, repeat: TheRepeat, body: Credit) -> Response:
    """Add money to a wallet's current period."""
    wallet, amount, period, why = body.named(), body.amount, body.period, body.description
    found = await once(repeat, lambda: wallet_moves.credit(control, actor, wallet, amount, period, why, repeat))
    return answer(told(found))


async def reclaim(control: TheControl, actor: TheActor, repeat: TheRepeat, body: Reclaim) -> Response:
    """Take unused money back from a wallet's current period."""
    wallet, amount, period, why = body.named(), body.amount, body.period, body.description
    found = await once(repeat, lambda: wallet_moves.reclaim(control, actor, wallet, amount, period, why, repeat))
    return answer(told(found))


async def transfer(control: TheControl, actor: TheActor, repeat: TheRepeat, body: Transfer) -> Response:
    """Move unused money from one wallet to another."""
    giving, taking = await once(
        repeat,
        lambda: wallet_moves.transfer(
            control, actor, body.from_wallet, body.to_wallet, body.amount, body.period, body.description, repeat
        ),
    )
    return answer({"from": told(giving).model_dump(), "to": told(taking).model_dump()})


async def freeze(control: TheControl, actor: TheActor, wallet_id: str) -> Response:
    """Stop all spending from a wallet and from those below it, until it is unfrozen."""
    return answer(_shown(await wallet_states.set_state(control, actor, wallet_id, "frozen")))


async def unfreeze(control: TheControl, actor: TheActor, wallet_id: str) -> Response:
    """Let a frozen wallet pay again."""
    return answer(_shown(await wallet_states.set_state(control, actor, wallet_id, "active")))


async def close(control: TheControl, actor: TheActor, wallet_id: str) -> Response:
    """End a wallet for good. Nothing may draw on it any more."""
    return answer(_shown(await wallet_states.set_state(control, actor, wallet_id, "closed")))


async def balance(
    control: TheControl, team_id: TeamId = None, wallet: WalletName = None, period: PeriodKind | None = None
) -> Response:
    """What is left of a wallet's budget in the current period."""
    return answer(told(await balances.balance(control, named(wallet, team_id), period)))


async def list_wallets(
    control: TheControl,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT,
    cursor: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """Every wallet, by scope and id, a row for each of its current periods."""
    found = await balances.every(control)
    page = found[cursor : cursor + limit]
    more = str(cursor + limit) if len(found) > cursor + limit else None
    return answer({"data": [told(each).model_dump() for each in page], "next_cursor": more})


async def transactions(
    control: TheControl,
    team_id: TeamId = None,
    wallet: WalletName = None,
    since: Instant = None,
    until: Instant = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT,
    cursor: Annotated[int | None, Query(ge=0)] = None,
) -> Response:
    """A wallet's statement, the newest lines first. Calls stand in the statement of the wallet that they spent from directly."""
    since_ns = instant_ns(control, "since", since, 0)
    until_ns = instant_ns(control, "until", until, END_OF_TIME_NS)
    found = await balances.transactions(control, named(wallet, team_id), since_ns, until_ns, cursor, limit + 1)
    page = found[:limit]
    more = str(page[-1].number) if len(found) > limit else None
    return answer({"transactions": [_line(entry) for entry in page], "next_cursor": more})


def _line(numbered: NumberedEntry) -> dict[str, str | Decimal | None]:
    entry = numbered.entry
    line: dict[str, Any] = Transaction(
        id=f"txn_{base36(numbered.number, ENTRY_DIGITS)}",
        type=entry.type,
        amount=usd(entry.amount),
        balance_after=usd(entry.balance),
        period=entry.period_key,
        event_id=entry.event_id,
        actor=entry.actor,
        description=entry.description,
        created_at=timestamp(entry.at_ns),
    ).model_dump()
    return line


def _shown(wallet: Wallet) -> WalletShape:
    return WalletShape(
        wallet_id=wallet.wallet_id,
        scope=wallet.scope,
        scope_id=wallet.scope_id,
        parent=wallet.parent_id,
        state=wallet.state,
    )
