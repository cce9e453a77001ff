"""Money in doubt: leases whose holder could not prove what it spent, and what people found out about them."""

from msgspec import Struct

from keeptrusts.control.accounts import carry_on, name_of
from keeptrusts.control.audit import note
from keeptrusts.control.balances import accounts_of
from keeptrusts.control.context import Actor, Control
from keeptrusts.control.denial import conflict, invalid, not_found
from keeptrusts.control.wallets import alert, entry, tell_nodes
from keeptrusts.control.ways import statement_wallets
from keeptrusts.core.ledger.posting import LeaseBook, resolve_lease
from keeptrusts.core.ledger.standing import PeriodKey, key_of, leading
from keeptrusts.core.ledger.wallet import Wallet, WalletPeriod
from keeptrusts.core.money import usd_text
from keeptrusts.store.books import Books


class Account(Struct, frozen=True):
    """A wallet period that counts the money as used."""

    wallet: Wallet
    period: WalletPeriod

    @property
    def period_key(self) -> str:
        """The period's name, for example ``monthly:2026-04-01``."""
        return name_of(self.wallet, self.period)


class Doubt(Struct, frozen=True):
    """A lease of which something is in suspense, who had it, and every wallet period that counts it."""

    lease: LeaseBook
    hostname: str
    accounts: tuple[Account, ...]


async def doubts(control: Control, after: str, limit: int) -> list[Doubt]:
    """What is in suspense, by lease id, beyond ``after``."""
    async with control.store.read() as books:
        return [await _doubt(books, lease) for lease in await books.leases.in_doubt(after, limit)]


async def resolve(control: Control, actor: Actor, lease_id: str, spent_nanos: int, why: str | None) -> Doubt:
    """Posts what was really spent of the lease's money in doubt, and frees the rest, in every wallet period that counts it;
    returns it as it was before.

    Raises Denial, and changes nothing, for a lease that has nothing in doubt or had less of it.
    """
    now = control.tools.now()
    async with control.store.write() as books:
        lease = await books.leases.find(lease_id)
        if lease is None or not lease.suspended:
            raise not_found(
                f"lease {lease_id} has nothing in suspense: see `kt ledger suspense list`", "not_in_suspense"
            )
        if not lease.in_doubt:
            raise conflict(f"lease {lease_id} was resolved already: nothing of it is in suspense", "already_resolved")
        if spent_nanos > lease.in_doubt:
            raise invalid(
                f"spent: {usd_text(lease.in_doubt)} USD of lease {lease_id} are in suspense, not {usd_text(spent_nanos)}",
                "amount_out_of_range",
            )
        before = await _doubt(books, lease)
        after, movement = resolve_lease(lease, spent_nanos)
        await books.leases.update(after)
        freed = lease.in_doubt - spent_nanos
        for account in before.accounts:
            await books.wallets.post(_key(account), movement)
        text = f"lease {lease_id} in suspense: {usd_text(spent_nanos)} USD were spent, {usd_text(freed)} are free" + (
            f" ({why})" if why else ""
        )
        for account in await _listed(books, before):
            await books.entries.add_all(
                [entry(control, actor, account.wallet, account.period, "adjust", spent_nanos, text)]
            )
        for account in before.accounts:
            period = await books.wallets.period(_key(account))
            assert period is not None, "it was posted to"
            await alert(control, books, period, await accounts_of(control, books, account.wallet))
            if freed:
                await carry_on(books, account.wallet, period, now)
        for wallet in {a.wallet.wallet_id: a.wallet for a in before.accounts}.values():
            if freed:
                await tell_nodes(books, wallet, recall=False)
        said = {"spent_nanos": spent_nanos, "freed_nanos": freed, "note": why}
        await note(books, control.tools, actor, "suspense.resolve", lease_id, {"suspense_nanos": lease.in_doubt}, said)
        return before


async def _doubt(books: Books, lease: LeaseBook) -> Doubt:
    accounts = []
    for line in await books.leases.lines(lease.lease_id):
        wallet, period = await books.wallets.by_id(line.wallet_id), await books.wallets.period(line)
        assert wallet is not None, "a lease's wallets exist"
        assert period is not None, "and so do its periods"
        accounts.append(Account(wallet, period))
    row = await books.nodes.row(lease.node_id)
    return Doubt(lease, "" if row is None else row.registration.hostname, tuple(accounts))


async def _listed(books: Books, doubt: Doubt) -> list[Account]:
    """Whose statements say it: as those of a call, each wallet in the period that it is spoken of by, as it stands now."""
    wallets = {account.wallet.wallet_id: account.wallet for account in doubt.accounts}
    listed = []
    for wallet in statement_wallets(wallets.values(), doubt.lease.wallet_id):
        spoken = leading([a.period for a in doubt.accounts if a.wallet.wallet_id == wallet.wallet_id])
        period = await books.wallets.period(_key(Account(wallet, spoken)))
        assert period is not None, "it was posted to"
        listed.append(Account(wallet, period))
    return listed


def _key(account: Account) -> PeriodKey:
    return key_of(account.period)
