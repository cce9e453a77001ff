"""Budgets: giving a team one, what is left of it, and its statement."""

from msgspec import Struct

from keeptrusts.control.accounts import Accounts, open_accounts, read_accounts
from keeptrusts.control.alerts import raise_alerts
from keeptrusts.control.audit import note
from keeptrusts.control.context import Actor, Control, NodeTerms
from keeptrusts.control.denial import conflict, invalid, not_found
from keeptrusts.control.teams import team_ids_called, team_names
from keeptrusts.core.ledger.entry import Entry, NumberedEntry
from keeptrusts.core.ledger.standing import key_of, leading
from keeptrusts.core.ledger.wallet import Wallet, WalletPeriod
from keeptrusts.core.periods import PeriodKind, period_at
from keeptrusts.store.books import Books


class Balance(Struct, frozen=True):
    """One wallet in one period. ``held_nanos`` is what calls under way hold; ``cap_nanos`` a spend control's hard cap."""

    wallet: Wallet
    team: str
    period: WalletPeriod
    held_nanos: int
    cap_nanos: int | None

    @property
    def balance_nanos(self) -> int:
        """What is not spent of the budget; negative when the budget was lowered under the spend."""
        return self.period.budget - self.period.spent

    @property
    def available_nanos(self) -> int:
        """What new calls may still use: never below zero. Money that gateways have at hand and do not hold counts."""
        return max(0, self.balance_nanos - self.held_nanos - self.period.suspense)


async def allocate(
    control: Control, actor: Actor, team_id: str, amount_nanos: int, kind: PeriodKind, description: str | None
) -> Balance:
    """Sets the team's budget for this period and those that follow; the first allocation makes the wallet.

    Lowering always succeeds: it binds new grants at once, and what gateways have at hand is called back.
    """
    tools = control.tools
    async with control.store.write() as books:
        wallet = await books.wallets.find("team", team_id)
        if wallet is None:
            wallet = Wallet(tools.new_id("wal"), "team", team_id)
            await books.wallets.add(wallet, tools.now_ms())
        alive = control.presence.alive(tools.clock.monotonic_s())
        before = await read_accounts(books.wallets, wallet, tools.now(), alive)
        old = before.budgets.get(kind)

        await books.wallets.set_budget(wallet.wallet_id, kind, amount_nanos)
        await open_accounts(books, wallet, tools.now(), alive)
        key = key_of(period_of(await read_accounts(books.wallets, wallet, tools.now(), alive), kind))
        await books.wallets.set_period_budget(key, amount_nanos)
        accounts = await read_accounts(books.wallets, wallet, tools.now(), alive)
        period = period_of(accounts, kind)

        await books.entries.add_all([_entry(control, actor, wallet, period, description)])
        version = await books.wallets.next_version(wallet.wallet_id)
        recall = bool(before.periods) if old is None else amount_nanos < old
        await books.changes.add("wallet", team_id, version, recall)
        await _alert(control, books, team_id, period, accounts)
        await note(books, tools, actor, "wallet.allocate", wallet.wallet_id, {kind: old}, {kind: amount_nanos})
        return await _balance(control, books, accounts, period)


def _entry(control: Control, actor: Actor, wallet: Wallet, period: WalletPeriod, description: str | None) -> Entry:
    return Entry(
        wallet_id=wallet.wallet_id,
        type="allocate",
        amount=period.budget,
        balance=period.budget - period.spent,
        period_key=period_at(period.kind, period.start, wallet.zone).key,
        event_id=None,
        actor=actor.actor_id,
        description=description,
        at_ns=control.tools.clock.unix_ns(),
    )


async def _alert(control: Control, books: Books, team_id: str, period: WalletPeriod, accounts: Accounts) -> None:
    """A lower budget can cross a threshold without a further call: by the rules of the gateway that registered last."""
    latest = await books.nodes.latest()
    if latest is not None:
        alive = control.presence.alive(control.tools.clock.monotonic_s())
        terms = NodeTerms("", latest.wallet_enforcement, latest.thresholds, alive)
        await raise_alerts(books, control.tools, terms, team_id, period, accounts.caps.get(period.kind))


async def balance(control: Control, team: str, kind: PeriodKind | None) -> Balance:
    """What is left of the team's budget: of the period of ``kind``, else of the one it is spoken of by."""
    async with control.store.read() as books:
        accounts = await _accounts(control, books, await wallet_called(books, team))
        if not accounts.periods:
            raise not_found(
                f"team {accounts.wallet.scope_id} has no budget yet: POST /v1/wallets/allocate", "wallet_not_found"
            )
        period = period_of(accounts, kind) if kind is not None else leading(list(accounts.periods))
        return await _balance(control, books, accounts, period)


async def balances(control: Control) -> list[Balance]:
    """Every wallet in every one of its current periods, by team."""
    async with control.store.read() as books:
        found = []
        for wallet in await books.wallets.every():
            accounts = await _accounts(control, books, wallet)
            found += [await _balance(control, books, accounts, period) for period in accounts.periods]
    return found


async def transactions(
    control: Control, team: str, since_ns: int, until_ns: int, before_number: int | None, limit: int
) -> list[NumberedEntry]:
    """The newest lines of the team's statement."""
    async with control.store.read() as books:
        wallet = await wallet_called(books, team)
        return await books.entries.latest(wallet.wallet_id, before_number, since_ns, until_ns, limit)


async def wallet_called(books: Books, team: str) -> Wallet:
    """The wallet of the team with this id, else of the one with this display name."""
    exact = await books.wallets.find("team", team)
    if exact is not None:
        return exact
    found = [
        w for name in await team_ids_called(books, team) if (w := await books.wallets.find("team", name)) is not None
    ]
    if len(found) > 1:
        raise conflict(
            f"several teams are called {team!r}: {', '.join(w.scope_id for w in found)}; say which by its id"
        )
    if not found:
        raise not_found(f"team {team!r} has no wallet yet: POST /v1/wallets/allocate makes one", "wallet_not_found")
    return found[0]


def period_of(accounts: Accounts, kind: PeriodKind) -> WalletPeriod:
    """The wallet's current period of this kind."""
    for period in accounts.periods:
        if period.kind == kind:
            return period
    kinds = ", ".join(period.kind for period in accounts.periods) or "none"
    raise invalid(f"this wallet has no {kind} budget: there is {kinds}")


async def _accounts(control: Control, books: Books, wallet: Wallet) -> Accounts:
    alive = control.presence.alive(control.tools.clock.monotonic_s())
    return await read_accounts(books.wallets, wallet, control.tools.now(), alive)


async def _balance(control: Control, books: Books, accounts: Accounts, period: WalletPeriod) -> Balance:
    team_id = accounts.wallet.scope_id
    held = control.presence.held(team_id, control.tools.clock.monotonic_s())
    cap = accounts.caps.get(period.kind)
    names = await team_names(books, [team_id])
    return Balance(accounts.wallet, names[team_id], period, held, cap.hard_nanos if cap else None)
