"""What is left of a wallet, its statement, and which wallet a name means."""

from msgspec import Struct

from keeptrusts.control.accounts import Accounts, read_accounts
from keeptrusts.control.context import Control
from keeptrusts.control.denial import conflict, invalid, not_found
from keeptrusts.control.teams import team_ids_called, team_names
from keeptrusts.core.ledger.entry import NumberedEntry
from keeptrusts.core.ledger.standing import leading
from keeptrusts.core.ledger.wallet import SCOPES, Wallet, WalletPeriod
from keeptrusts.core.periods import PeriodKind
from keeptrusts.store.books import Books


class Balance(Struct, frozen=True):
    """One wallet in one period. ``held_nanos`` is what calls under way hold; ``cap_nanos`` a spend control's hard cap.

    ``team`` is the team's display name; for another scope its id.
    """

    wallet: Wallet
    team: str
    period: WalletPeriod
    held_nanos: int
    cap_nanos: int | None

    @property
    def balance_nanos(self) -> int:
        """What is not spent of the period's funds; negative when they were lowered under the spend."""
        return self.period.funds - self.period.spent

    @property
    def available_nanos(self) -> int:
        """What new calls may still use: never below zero. Money that gateways have at hand and do not hold counts."""
        return max(0, self.balance_nanos + self.period.approved - self.held_nanos - self.period.suspense)


async def balance(control: Control, named: str, kind: PeriodKind | None) -> Balance:
    """What is left of the wallet that ``named`` means (see wallet_named): of the period of ``kind``, else of the one it is
    spoken of by."""
    async with control.store.read() as books:
        accounts = await accounts_of(control, books, await wallet_named(books, named))
        if not accounts.periods:
            raise not_found(f"{accounts.wallet.name} has no budget yet: POST /v1/wallets/allocate", "wallet_not_found")
        period = period_of(accounts, kind) if kind is not None else leading(list(accounts.periods))
        return await balance_of(control, books, accounts, period)


async def every(control: Control) -> list[Balance]:
    """Every wallet in every one of its current periods, by scope and id."""
    async with control.store.read() as books:
        found = []
        for wallet in await books.wallets.every():
            accounts = await accounts_of(control, books, wallet)
            found += [await balance_of(control, books, accounts, period) for period in accounts.periods]
    return found


async def transactions(
    control: Control, named: str, since_ns: int, until_ns: int, before_number: int | None, limit: int
) -> list[NumberedEntry]:
    """The newest lines of the wallet's statement."""
    async with control.store.read() as books:
        wallet = await wallet_named(books, named)
        return await books.entries.latest(wallet.wallet_id, before_number, since_ns, until_ns, limit)


async def wallet_named(books: Books, named: str) -> Wallet:
    """The wallet with this id (``wal_...``), of this scope (``project:search``), or of the team with this id or display
    name. Raises Denial when there is none, or more than one."""
    exact = await books.wallets.by_id(named) if named.startswith("wal_") else await books.wallets.find("team", named)
    scope, colon, scope_id = named.partition(":")
    if exact is None and colon and scope in SCOPES:
        exact = await books.wallets.find(scope, scope_id)
    if exact is not None:
        return exact
    found = [
        w for name in await team_ids_called(books, named) if (w := await books.wallets.find("team", name)) is not None
    ]
    if len(found) > 1:
        raise conflict(
            f"several teams are called {named!r}: {', '.join(w.scope_id for w in found)}; say which by its id"
        )
    if not found:
        raise not_found(f"{named!r} has no wallet yet: POST /v1/wallets/allocate makes one", "wallet_not_found")
    return found[0]


def period_of(accounts: Accounts, kind: PeriodKind) -> WalletPeriod:
    """The wallet's current period of this kind."""
    for period in accounts.periods:
        if period.kind == kind:
            return period
    kinds = ", ".join(period.kind for period in accounts.periods) or "none"
    raise invalid(f"this wallet has no {kind} budget: there is {kinds}")


async def accounts_of(control: Control, books: Books, wallet: Wallet) -> Accounts:
    """The wallet's accounts now, read only."""
    alive = control.presence.alive(control.tools.clock.monotonic_s())
    return await read_accounts(books.wallets, wallet, control.tools.now(), alive)


async def balance_of(control: Control, books: Books, accounts: Accounts, period: WalletPeriod) -> Balance:
    """One account as it is shown."""
    wallet = accounts.wallet
    held = control.presence.held(wallet.wallet_id, control.tools.clock.monotonic_s())
    cap = accounts.caps.get(period.kind)
    name = wallet.scope_id
    if wallet.scope == "team":
        name = (await team_names(books, [name]))[name]
    return Balance(wallet, name, period, held, cap.hard_nanos if cap else None)
