"""``/v1/wallets``: budgets, what is left of them, and their statements."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel, Field, model_validator
from starlette.responses import Response

from keeptrusts.api.access import TheActor, TheControl
from keeptrusts.api.errors import bad_request
from keeptrusts.api.exact_json import answer
from keeptrusts.api.shapes import PAGE_DEFAULT, PAGE_MAX, AmountNanos, Name, Shape, Text, Usd, rfc3339
from keeptrusts.clock import NANOS_PER_MS, unix_ms
from keeptrusts.control import wallets
from keeptrusts.control.context import Control
from keeptrusts.core.ids import base36
from keeptrusts.core.ledger.entry import NumberedEntry
from keeptrusts.core.metering.instants import BadInstant, instant_of
from keeptrusts.core.metering.rendering import timestamp
from keeptrusts.core.metering.selection import END_OF_TIME_NS
from keeptrusts.core.money import usd
from keeptrusts.core.periods import PeriodKind

ENTRY_DIGITS = 9


class Allocate(Shape):
    """Sets a team's budget for this period and those that follow; it replaces the one before."""

    team_id: Name | None = Field(None, description="Short for scope: team, scope_id: X.")
    scope: str = "team"
    scope_id: Name | None = None
    amount: AmountNanos
    currency: str = "USD"
    period: PeriodKind = "monthly"
    description: Text | None = None
    note: Text | None = None

    @model_validator(mode="after")
    def names_one_team(self) -> "Allocate":
        """One team, in USD."""
        if self.scope != "team":
            raise ValueError(f"scope: this release has wallets of teams only, not of {self.scope!r}")
        if self.currency != "USD":
            raise ValueError(f"currency: this ledger is kept in USD, not in {self.currency!r}")
        if (self.team_id is None) == (self.scope_id is None) and self.team_id != self.scope_id:
            raise ValueError("scope_id: names another team than team_id; give one of them")
        if self.team_id is None and self.scope_id is None:
            raise ValueError("team_id: is missing")
        return self


class PeriodShape(BaseModel):
    """Half-open: ``start`` belongs to it, ``end`` does not."""

    name: PeriodKind
    start: str
    end: str


class BalanceShape(BaseModel):
    """A wallet in one period. ``balance = allocated - spent``; ``available = balance - reserved - suspense``, at least 0.

    ``reserved`` is what calls under way hold, as gateways last said; ``leased`` what gateways have at hand, which their
    calls may use. ``hard_cap`` is that of a gateway's spend control.
    """

    team_id: str
    team: str
    wallet_id: str
    currency: str
    period: PeriodShape
    allocated: Usd
    spent: Usd
    reserved: Usd
    suspense: Usd
    available: Usd
    balance: Usd
    leased: Usd
    hard_cap: Usd | None


class WalletPage(BaseModel):
    """Every team's wallet in each of its current periods."""

    data: list[BalanceShape]
    next_cursor: str | None


class Transaction(BaseModel):
    """A line of the statement. ``amount``: the new budget (allocate), the cost (settle), the hold that went back (void)."""

    id: str
    type: Literal["allocate", "settle", "void", "adjust"]
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


TeamId = Annotated[str | None, Query(max_length=200, description="A team's id, or its name.")]


async def allocate(control: TheControl, actor: TheActor, body: Allocate) -> Response:
    """Set a team's budget. The first allocation makes its wallet."""
    team_id = body.team_id or body.scope_id or ""
    description = body.description if body.description is not None else body.note
    found = await wallets.allocate(control, actor, team_id, body.amount, body.period, description)
    return answer(told(found))


async def balance(control: TheControl, team_id: TeamId = None, period: PeriodKind | None = None) -> Response:
    """What is left of a team's budget in the current period."""
    return answer(told(await wallets.balance(control, _team(team_id), period)))


async def list_wallets(
    control: TheControl,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT,
    cursor: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """Every team's wallet, by team id, a row for each of its current periods."""
    found = await wallets.balances(control)
    page = found[cursor : cursor + limit]
    more = str(cursor + limit) if len(found) > cursor + limit else None
    return answer({"data": [told(each).model_dump() for each in page], "next_cursor": more})


async def transactions(
    control: TheControl,
    team_id: TeamId = None,
    since: str | None = None,
    until: str | None = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT,
    cursor: Annotated[int | None, Query(ge=0)] = None,
) -> Response:
    """A team's statement, the newest lines first."""
    since_ns = _instant(control, "since", since, 0)
    until_ns = _instant(control, "until", until, END_OF_TIME_NS)
    found = await wallets.transactions(control, _team(team_id), since_ns, until_ns, cursor, limit + 1)
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
        currency=found.wallet.currency,
        period=PeriodShape(name=period.kind, start=rfc3339(period.start), end=rfc3339(period.end)),
        allocated=usd(period.budget),
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


def _team(team_id: str | None) -> str:
    if not team_id:
        raise bad_request("team_id: is missing")
    return team_id


def _instant(control: Control, name: str, text: str | None, default_ns: int) -> int:
    if text is None:
        return default_ns
    try:
        return min(max(0, unix_ms(instant_of(text, control.tools.now()))) * NANOS_PER_MS, END_OF_TIME_NS)
    except BadInstant as error:
        raise bad_request(f"{name}: {error}") from None
