"""What ``/v1/wallets`` takes and answers."""

from zoneinfo import available_timezones

from pydantic import BaseModel, Field, model_validator

from keeptrusts.api.errors import bad_request
from keeptrusts.api.shapes import AmountNanos, Currency, Name, Shape, Text, Usd, rfc3339
from keeptrusts.control import balances, wallets
from keeptrusts.core.ledger.entry import EntryType
from keeptrusts.core.ledger.wallet import Fallback, OnHardCap, Scope, WalletState
from keeptrusts.core.money import usd
from keeptrusts.core.periods import PeriodKind


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
        return named(self.wallet, self.team_id)


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


def told(found: balances.Balance) -> BalanceShape:
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


def named(wallet: str | None, team_id: str | None) -> str:
    """Which wallet a request means. Raises ApiError when it says none, or two."""
    if not wallet and not team_id:
        raise bad_request("team_id: is missing (or wallet)")
    if wallet and team_id:
        raise bad_request("wallet: give it or team_id, not both")
    return wallet or team_id or ""
