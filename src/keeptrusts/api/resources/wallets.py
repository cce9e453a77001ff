"""``/v1/wallets``: budgets, what is left of them, and their statements."""

from decimal import Decimal
from typing import Annotated, Any
from zoneinfo import available_timezones

from fastapi import Query
from pydantic import BaseModel, Field, model_validator
from starlette.responses import Response

from keeptrusts.api.access import TheActor, TheControl
from keeptrusts.api.errors import bad_request
from keeptrusts.api.exact_json import answer
from keeptrusts.api.instants import instant_ns
from keeptrusts.api.repeats import TheRepeat, once
from keeptrusts.api.shapes import PAGE_DEFAULT, PAGE_MAX, AmountNanos, Currency, Name, Shape, Text, Usd, rfc3339
from keeptrusts.control import wallet_moves, wallet_states, wallets
from keeptrusts.core.ids import base36
from keeptrusts.core.ledger.entry import EntryType, NumberedEntry
from keeptrusts.core.ledger.wallet import Fallback, OnHardCap, Scope, Wallet, WalletState
from keeptrusts.core.metering.rendering import timestamp
from keeptrusts.core.metering.selection import END_OF_TIME_NS
from keeptrusts.core.money import usd
from keeptrusts.core.periods import PeriodKind

ENTRY_DIGITS = 9


class Allocate(Shape):
    """Sets a budget for this period and those that follow; it replaces the one before. Options that are left out stay."""

    team_id: Name | None = Field(None, description="Short for scope: team, scope_id: X.")
    scope: Scope = "team"
    scope_id: Name | None = None
    amount: AmountNanos
    currency: Currency = "USD"
    period: PeriodKind = "monthly"
    description: Text | None = None
    note: Text | None = None
    parent: Name | None = Field(
        None, description="The wallet that it draws on: wal_..., or a name such as department:eng; none: on nothing."
    )
    overcommit: bool | None = Field(None, description="Whether its children's budgets may exceed its own.")
    carry_over: bool | None = Field(None, description="Whether what a period leaves goes to the next.")
    fallback: Fallback | None = Field(None, description="parent: calls go on with the parent's money when it is empty.")
    on_hard_cap: OnHardCap | None = Field(
        None, description="escalate: a call that does not fit is held for an approver."
    )
    time_zone: Name | None = Field(None, description="An IANA name: where its days begin.")
    fiscal_month: int | None = Field(None, ge=1, le=12, description="The month in which its years begin.")

    @model_validator(mode="after")
    def names_one_wallet(self) -> "Allocate":
        """One wallet, a time zone that exists."""
        if self.team_id is not None and (self.scope != "team" or self.scope_id not in (None, self.team_id)):
            raise ValueError("scope_id: names another wallet than team_id; give one of them")
        if self.team_id is None and self.scope_id is None:
            raise ValueError("team_id: is missing (or scope and scope_id)")
        if self.time_zone is not None and self.time_zone not in available_timezones():
            raise ValueError(f"time_zone: {self.time_zone!r} is not an IANA name such as Europe/Berlin")
        return self

    def asked(self) -> wallets.Allocation:
        """As the control plane takes it."""
        options = {
            "overcommit": self.overcommit,
            "carry_over": self.carry_over,
            "fallback": self.fallback,
            "on_hard_cap": self.on_hard_cap,
            "zone": self.time_zone,
            "fiscal_month": self.fiscal_month,
        }
        return wallets.Allocation(
            self.scope,
            self.team_id or self.scope_id or "",
            self.amount,
            self.period,
            self.description if self.description is not None else self.note,
            self.parent,
            {name: value for name, value in options.items() if value is not None},
        )


class Move(Shape):
    """An amount for a wallet's current period. ``wallet``: an id (wal_...), a name (project:search), or a team."""

    wallet: Name | None = None
    team_id: Name | None = Field(None, description="Short for wallet: team:X.")
    currency: Currency = "USD"
    period: PeriodKind = "monthly"
    description: Text | None = None

    def named(self) -> str:
        """Which wallet. Raises ApiError when nobody says."""
        return _named(self.wallet, self.team_id)


class Credit(Move):
    """Adds to the current period alone; the standing budget stays."""

    amount: AmountNanos


class Reclaim(Move):
    """Takes unused money back; all of it when no amount is given."""

    amount: AmountNanos | None = None


class Transfer(Shape):
    """Moves unused money of the current period from one wallet to another."""

    from_wallet: Name = Field(alias="from")
    to_wallet: Name = Field(alias="to")
    amount: AmountNanos
    currency: Currency = "USD"
    period: PeriodKind = "monthly"
    description: Text | None = None


class PeriodShape(BaseModel):
    """Half-open: ``start`` belongs to it, ``end`` does not."""

    name: PeriodKind
    start: str
    end: str


class BalanceShape(BaseModel):
    """A wallet in one period. ``balance = allocated + carried - spent``; ``available = balance + approved - reserved -
    suspense``, at least 0.

    ``team_id`` is the scope's id, whatever the scope. ``carried`` came over from the period before, less what went on to the
    next; ``approved`` is what people let through above the budget. ``reserved`` is what calls under way hold, as gateways last said; ``leased`` what gateways have at hand, which their
    calls may use. ``hard_cap`` is that of a gateway's spend control.
    """

    team_id: str
    team: str
    wallet_id: str
    scope: Scope
    parent: str | None
    state: WalletState
    currency: str
    period: PeriodShape
    allocated: Usd
    carried: Usd
    approved: Usd
    spent: Usd
    reserved: Usd
    suspense: Usd
    available: Usd
    balance: Usd
    leased: Usd
    hard_cap: Usd | None


class TransferShape(BaseModel):
    """Both wallets after a transfer."""

    from_wallet: BalanceShape = Field(alias="from")
    to_wallet: BalanceShape = Field(alias="to")


class WalletShape(BaseModel):
    """A wallet and its place in the tree."""

    wallet_id: str
    scope: Scope
    scope_id: str
    parent: str | None
    state: WalletState


class WalletPage(BaseModel):
    """Every wallet in each of its current periods."""

    data: list[BalanceShape]
    next_cursor: str | None


class Transaction(BaseModel):
    """A line of the statement. ``amount``: the new budget (allocate), what was added to it or, below zero, taken from it
    (credit, transfer, reclaim), the cost (settle), the hold that went back (void)."""

    id: str
    type: EntryType
    amount: Usd
    balance_after: Usd
    period: str
    event_id: str | None
    actor: str
    description: str | None
    created_at: str


class TransactionPage(BaseModel):
    """The newest lines first."""

    transactions: list[Transaction]
    next_cursor: str | None


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
    return answer(told(await wallets.balance(control, _named(wallet, team_id), period)))


async def list_wallets(
    control: TheControl,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT,
    cursor: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """Every wallet, by scope and id, a row for each of its current periods."""
    found = await wallets.balances(control)
    page = found[cursor : cursor + limit]
    more = str(cursor + limit) if len(found) > cursor + limit else None
    return answer({"data": [told(each).model_dump() for each in page], "next_cursor": more})


async def transactions(
    control: TheControl,
    team_id: TeamId = None,
    wallet: WalletName = None,
    since: str | None = None,
    until: str | None = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT,
    cursor: Annotated[int | None, Query(ge=0)] = None,
) -> Response:
    """A wallet's statement, the newest lines first. Calls stand in the statement of the wallet that they spent from directly."""
    since_ns = instant_ns(control, "since", since, 0)
    until_ns = instant_ns(control, "until", until, END_OF_TIME_NS)
    found = await wallets.transactions(control, _named(wallet, team_id), since_ns, until_ns, cursor, limit + 1)
    page = found[:limit]
    more = str(page[-1].number) if len(found) > limit else None
    return answer({"transactions": [_line(entry) for entry in page], "next_cursor": more})


def told(found: wallets.Balance) -> BalanceShape:
    """The balance as it is shown."""
    period = found.period
    return BalanceShape(
        team_id=found.wallet.scope_id,
        team=found.team,
        wallet_id=found.wallet.wallet_id,
        scope=found.wallet.scope,
        parent=found.wallet.parent_id,
        state=found.wallet.state,
        currency=found.wallet.currency,
        period=PeriodShape(name=period.kind, start=rfc3339(period.start), end=rfc3339(period.end)),
        allocated=usd(period.budget),
        carried=usd(period.carried - period.carried_out),
        approved=usd(period.approved),
        spent=usd(period.spent),
        reserved=usd(found.held_nanos),
        suspense=usd(period.suspense),
        available=usd(found.available_nanos),
        balance=usd(found.balance_nanos),
        leased=usd(period.leased),
        hard_cap=None if found.cap_nanos is None else usd(found.cap_nanos),
    )


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


def _named(wallet: str | None, team_id: str | None) -> str:
    if not wallet and not team_id:
        raise bad_request("team_id: is missing (or wallet)")
    if wallet and team_id:
        raise bad_request("wallet: give it or team_id, not both")
    return wallet or team_id or ""
