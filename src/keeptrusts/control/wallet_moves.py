"""Moving money by hand within the current period: credit, transfer, reclaim. Standing budgets stay as they are."""

from collections.abc import Mapping

import msgspec

from keeptrusts.control.accounts import open_accounts
from keeptrusts.control.audit import note
from keeptrusts.control.balances import Balance, accounts_of, balance_of, period_of, wallet_named
from keeptrusts.control.context import Actor, Control
from keeptrusts.control.denial import conflict, invalid
from keeptrusts.control.repeats import Repeat, answered, remember
from keeptrusts.control.wallets import alert, entry, fits_parent, must_be_amount, tell_nodes
from keeptrusts.core.ledger.entry import EntryType
from keeptrusts.core.ledger.standing import key_of
from keeptrusts.core.ledger.wallet import Wallet, WalletPeriod
from keeptrusts.core.money import MAX_NANOS, usd_text
from keeptrusts.core.periods import PeriodKind
from keeptrusts.store.books import Books


async def credit(
    control: Control,
    actor: Actor,
    named: str,
    amount_nanos: int,
    kind: PeriodKind,
    description: str | None,
    repeat: Repeat | None = None,
) -> Balance:
    """Adds to the wallet's current period. Raises Denial when its parent has not got that much left to give."""
    async with control.store.write() as books:
        if (told := await answered(books, actor, repeat, Balance)) is not None:
            return told
        wallet = await wallet_named(books, named)
        await credit_in(control, actor, books, wallet, amount_nanos, kind, description)
        return await remember(books, control.tools, actor, repeat, await _now(control, books, wallet, kind))


async def credit_in(
    control: Control,
    actor: Actor,
    books: Books,
    wallet: Wallet,
    amount_nanos: int,
    kind: PeriodKind,
    description: str | None,
) -> None:
    """A credit as a part of a larger transaction. Raises Denial."""
    must_be_amount(amount_nanos)
    await fits_parent(control, books, wallet, kind, amount_nanos)
    await _add(control, actor, books, wallet, kind, amount_nanos, "credit", description)
    await note(books, control.tools, actor, "wallet.credit", wallet.wallet_id, None, {kind: amount_nanos})


async def transfer(
    control: Control,
    actor: Actor,
    giving: str,
    taking: str,
    amount_nanos: int,
    kind: PeriodKind,
    description: str | None,
    repeat: Repeat | None = None,
) -> tuple[Balance, Balance]:
    """Moves unused money from one wallet's current period to another's; returns both as they are then.

    Raises Denial when the giving wallet has less unused, or the parent of the taking one can't bear more.
    """
    must_be_amount(amount_nanos)
    async with control.store.write() as books:
        if (told := await answered(books, actor, repeat, tuple[Balance, Balance])) is not None:
            return told
        from_wallet, to_wallet = await wallet_named(books, giving), await wallet_named(books, taking)
        if from_wallet.wallet_id == to_wallet.wallet_id:
            raise invalid("to: is the wallet that the money comes from")
        await _unused(control, books, from_wallet, kind, amount_nanos)
        why = description or f"{from_wallet.name} to {to_wallet.name}"
        # A child's budget is a part of its parent's: between the two, only the child's changes.
        if from_wallet.wallet_id != to_wallet.parent_id:
            await _add(control, actor, books, from_wallet, kind, -amount_nanos, "transfer", why)
        if to_wallet.wallet_id != from_wallet.parent_id:
            await fits_parent(control, books, to_wallet, kind, amount_nanos)
            await _add(control, actor, books, to_wallet, kind, amount_nanos, "transfer", why)
        moved: Mapping[str, object] = {"to": to_wallet.wallet_id, kind: amount_nanos}
        await note(books, control.tools, actor, "wallet.transfer", from_wallet.wallet_id, None, moved)
        both = await _now(control, books, from_wallet, kind), await _now(control, books, to_wallet, kind)
        return await remember(books, control.tools, actor, repeat, both)


async def reclaim(
    control: Control,
    actor: Actor,
    named: str,
    amount_nanos: int | None,
    kind: PeriodKind,
    description: str | None,
    repeat: Repeat | None = None,
) -> Balance:
    """Takes unused money (None: all of it) back from the wallet's current period, so that its parent may give it anew."""
    if amount_nanos is not None:
        must_be_amount(amount_nanos)
    async with control.store.write() as books:
        if (told := await answered(books, actor, repeat, Balance)) is not None:
            return told
        wallet = await wallet_named(books, named)
        taken = await _unused(control, books, wallet, kind, amount_nanos)
        await _add(control, actor, books, wallet, kind, -taken, "reclaim", description)
        await note(books, control.tools, actor, "wallet.reclaim", wallet.wallet_id, None, {kind: taken})
        return await remember(books, control.tools, actor, repeat, await _now(control, books, wallet, kind))


async def _unused(control: Control, books: Books, wallet: Wallet, kind: PeriodKind, asked: int | None) -> int:
    """``asked``, or everything that nobody uses: neither spent nor held by calls nor in doubt nor given to children.

    Idle money in gateways' hands counts as unused: it is called back. Raises Denial when less is there.
    """
    period = await _open(control, books, wallet, kind)
    held = control.presence.held(wallet.wallet_id, control.tools.clock.monotonic_s())
    promised = 0
    if not wallet.overcommit:
        promised = (await books.wallets.claims(wallet.wallet_id, kind, control.tools.now())).unused_nanos
    unused = max(0, min(period.budget, period.funds - period.spent - period.suspense - held - promised))
    if asked is not None and asked > unused:
        raise conflict(
            f"amount: {wallet.name} has {usd_text(unused)} USD unused in this {kind} period, not {usd_text(asked)}",
            "insufficient_balance",
        )
    if asked is None and unused == 0:
        raise conflict(f"{wallet.name} has nothing unused in this {kind} period", "insufficient_balance")
    return unused if asked is None else asked


async def _add(
    control: Control,
    actor: Actor,
    books: Books,
    wallet: Wallet,
    kind: PeriodKind,
    amount_nanos: int,
    what: EntryType,
    description: str | None,
) -> None:
    if wallet.state == "closed":
        raise conflict(f"wallet {wallet.wallet_id} ({wallet.name}) is closed: that is for good", "wallet_closed")
    period = await _open(control, books, wallet, kind)
    budget = period.budget + amount_nanos
    if budget > MAX_NANOS:
        raise invalid("amount: the budget would be larger than the ledger can hold")
    await books.wallets.set_period_budget(key_of(period), budget)
    period = msgspec.structs.replace(period, budget=budget)
    await books.entries.add_all([entry(control, actor, wallet, period, what, amount_nanos, description)])
    await tell_nodes(books, wallet, recall=amount_nanos < 0)
    await alert(control, books, period, await accounts_of(control, books, wallet))


async def _open(control: Control, books: Books, wallet: Wallet, kind: PeriodKind) -> WalletPeriod:
    alive = control.presence.alive(control.tools.clock.monotonic_s())
    accounts = await open_accounts(books, wallet, control.tools.now(), alive)
    if kind not in accounts.budgets:
        kinds = ", ".join(sorted(accounts.budgets)) or "none"
        raise invalid(f"period: {wallet.name} has no {kind} budget: there is {kinds}")
    return period_of(accounts, kind)


async def _now(control: Control, books: Books, wallet: Wallet, kind: PeriodKind) -> Balance:
    accounts = await accounts_of(control, books, wallet)
    return await balance_of(control, books, accounts, period_of(accounts, kind))
