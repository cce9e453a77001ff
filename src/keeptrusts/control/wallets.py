"""Budgets: giving a wallet one, and a place in the tree."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from keeptrusts.control.accounts import Accounts, name_of, open_accounts, read_accounts
from keeptrusts.control.alerts import raise_alerts
from keeptrusts.control.audit import note
from keeptrusts.control.balances import Balance, balance_of, period_of, wallet_named
from keeptrusts.control.context import Actor, Control, NodeTerms
from keeptrusts.control.denial import conflict, invalid
from keeptrusts.control.directory import must_be_known
from keeptrusts.control.repeats import Repeat, answered, remember
from keeptrusts.core.ledger.entry import Entry, EntryType
from keeptrusts.core.ledger.standing import key_of
from keeptrusts.core.ledger.wallet import SCOPES, TREE, Scope, Wallet, WalletPeriod
from keeptrusts.core.money import MAX_NANOS, usd_text
from keeptrusts.core.periods import PeriodKind
from keeptrusts.store.books import Books

NO_OPTIONS: Mapping[str, Any] = {}


class Allocation(Struct, frozen=True):
    """A budget for this period and those that follow. ``parent`` is a wallet id or a name (``department:eng``); None leaves
    the wallet where it is. ``options`` are fields of Wallet that people may set."""

    scope: Scope
    scope_id: str
    amount_nanos: int
    kind: PeriodKind = "monthly"
    description: str | None = None
    parent: str | None = None
    options: Mapping[str, Any] = NO_OPTIONS


async def allocate(control: Control, actor: Actor, asked: Allocation, repeat: Repeat | None = None) -> Balance:
    """Sets the wallet's budget for this period and those that follow; the first allocation makes the wallet.

    Lowering always succeeds: it binds new grants at once, and what gateways have at hand is called back. Raises Denial
    when the parent has not got that much to give, or the wallet can't be what is asked.
    """
    tools, kind = control.tools, asked.kind
    async with control.store.write() as books:
        if (told := await answered(books, actor, repeat, Balance)) is not None:
            return told
        wallet, was = await _placed(control, books, asked)
        alive = control.presence.alive(tools.clock.monotonic_s())
        before = await read_accounts(books.wallets, wallet, tools.now(), alive)
        old = before.budgets.get(kind)
        given = before.budgets | {p.kind: p.budget for p in before.periods if p.kind in before.budgets}
        moved = was is None or wallet.parent_id != was.parent_id
        for each, amount in {**given, kind: asked.amount_nanos}.items():
            had = given.get(each, 0)
            # A wallet that has just moved counts among its new parent's children already, with what it had before.
            more, counted = (amount, had) if moved else (amount - had, 0)
            await fits_parent(control, books, wallet, each, more, counted)

        await books.wallets.set_budget(wallet.wallet_id, kind, asked.amount_nanos)
        opened = await open_accounts(books, wallet, tools.now(), alive)
        await books.wallets.set_period_budget(key_of(period_of(opened, kind)), asked.amount_nanos)
        accounts = await read_accounts(books.wallets, wallet, tools.now(), alive)
        period = period_of(accounts, kind)

        await books.entries.add_all(
            [entry(control, actor, wallet, period, "allocate", period.budget, asked.description)]
        )
        tighter = bool(before.periods) if old is None else asked.amount_nanos < old
        await tell_nodes(books, wallet, recall=tighter or wallet != was)
        await alert(control, books, period, accounts)
        after = {kind: asked.amount_nanos, **changed_options(was, wallet)}
        await note(books, tools, actor, "wallet.allocate", wallet.wallet_id, {kind: old}, after)
        found = await balance_of(control, books, accounts, period)
        return await remember(books, tools, actor, repeat, found)


async def _placed(control: Control, books: Books, asked: Allocation) -> tuple[Wallet, Wallet | None]:
    """The wallet in its place with its options, written; and as it was before, None for a new one."""
    if asked.scope not in SCOPES:
        raise invalid(f"scope: there is no {asked.scope!r}: one of {', '.join(SCOPES)}")
    was = await books.wallets.find(asked.scope, asked.scope_id)
    if was is not None and was.state == "closed":
        raise conflict(f"wallet {was.wallet_id} ({was.name}) is closed: that is for good", "wallet_closed")
    if was is None and asked.scope == "team":
        await must_be_known(control, books, asked.scope_id)
    wallet = was or Wallet(control.tools.new_id("wal"), asked.scope, asked.scope_id)
    if was is None and asked.parent is None and asked.scope in TREE[1:]:
        wallet = msgspec.structs.replace(wallet, parent_id=await _organization(books))
    if asked.parent is not None:
        wallet = msgspec.structs.replace(wallet, parent_id=await _parent(books, wallet, asked.parent))
    wallet = msgspec.structs.replace(wallet, **asked.options)
    if was is None:
        await books.wallets.add(wallet, control.tools.now_ms())
    elif wallet != was:
        if (wallet.zone, wallet.fiscal_month) != (was.zone, was.fiscal_month) and await books.wallets.budgets(
            was.wallet_id
        ):
            raise conflict(
                "time_zone and fiscal_month can't change once a wallet has a budget: its periods would overlap"
            )
        await books.wallets.update(wallet)
    return wallet, was


async def _organization(books: Books) -> str | None:
    """The organization's wallet, if there is one: whatever is made below it afterwards draws on it."""
    found = [
        wallet for wallet in await books.wallets.every() if wallet.scope == "organization" and wallet.state != "closed"
    ]
    return found[0].wallet_id if len(found) == 1 else None


async def _parent(books: Books, wallet: Wallet, named: str) -> str | None:
    if named == "none":
        return None
    parent = await wallet_named(books, named)
    if wallet.scope not in TREE or parent.scope not in TREE or TREE.index(parent.scope) >= TREE.index(wallet.scope):
        raise invalid(f"parent: a {wallet.scope} can't draw on a {parent.scope}; the tree is {' > '.join(TREE)}")
    if parent.state == "closed":
        raise conflict(f"parent: {parent.name} is closed", "wallet_closed")
    return parent.wallet_id


async def fits_parent(
    control: Control, books: Books, wallet: Wallet, kind: PeriodKind, more_nanos: int, counted_nanos: int = 0
) -> None:
    """Raises Denial when the wallet's parent has not ``more_nanos`` left to give in its period of this kind: the sum of its
    children does not exceed it, unless it says ``overcommit``. Taking money away always fits. ``counted_nanos`` of it are
    in that sum already."""
    parent = None if wallet.parent_id is None else await books.wallets.by_id(wallet.parent_id)
    if (
        more_nanos <= 0
        or parent is None
        or parent.overcommit
        or kind not in await books.wallets.budgets(parent.wallet_id)
    ):
        return
    alive = control.presence.alive(control.tools.clock.monotonic_s())
    period = period_of(await open_accounts(books, parent, control.tools.now(), alive), kind)
    claims = await books.wallets.claims(parent.wallet_id, kind, control.tools.now())
    given = claims.budget_nanos - counted_nanos
    left = period.funds - given
    if more_nanos > left:
        raise invalid(
            f"amount: {parent.name} has {usd_text(period.funds)} USD {kind}, and {usd_text(given)} of it is "
            f"given to its children: {usd_text(max(0, left))} more can be given (or set overcommit on it)",
            "over_parent",
            parent=parent.wallet_id,
        )


def changed_options(was: Wallet | None, wallet: Wallet) -> dict[str, Any]:
    """What is different of a wallet's place and options, by field."""
    ignored = ("wallet_id", "version", "scope", "scope_id")
    before = {} if was is None else msgspec.structs.asdict(was)
    default = msgspec.structs.asdict(Wallet("", "team", ""))
    after = msgspec.structs.asdict(wallet)
    return {
        name: after[name] for name in after if name not in ignored and after[name] != before.get(name, default[name])
    }


def entry(
    control: Control,
    actor: Actor,
    wallet: Wallet,
    period: WalletPeriod,
    kind: EntryType,
    amount_nanos: int,
    description: str | None,
) -> Entry:
    """A line of the wallet's statement about what people did to it."""
    return Entry(
        wallet_id=wallet.wallet_id,
        type=kind,
        amount=amount_nanos,
        balance=period.funds - period.spent,
        period_key=name_of(wallet, period),
        event_id=None,
        actor=actor.actor_id,
        description=description,
        at_ns=control.tools.clock.unix_ns(),
    )


async def tell_nodes(books: Books, wallet: Wallet, *, recall: bool) -> None:
    """Lets nodes hear that the wallet changed; ``recall``: what they have at hand of it comes back.

    Of a wallet that falls back on its parent it always does: a lease that passed the wallet by goes on with the parent's
    money as long as it lives.
    """
    version = await books.wallets.next_version(wallet.wallet_id)
    await books.changes.add("wallet", wallet.wallet_id, version, recall or wallet.fallback == "parent")


async def alert(control: Control, books: Books, period: WalletPeriod, accounts: Accounts) -> None:
    """A lower budget can cross a threshold without a further call: by the rules of the gateway that registered last."""
    latest = await books.nodes.latest()
    if latest is not None:
        alive = control.presence.alive(control.tools.clock.monotonic_s())
        terms = NodeTerms("", latest.wallet_enforcement, latest.thresholds, alive)
        await raise_alerts(books, control.tools, terms, accounts.wallet, period, accounts.caps.get(period.kind))


def must_be_amount(nanos: int) -> None:
    """Raises Denial unless the amount is above zero and fits the ledger."""
    if not 0 < nanos <= MAX_NANOS:
        raise invalid("amount: must be above 0")
