"""The way of a call's money up the tree: the wallets that it spends from, their accounts, and what bounds a lease on them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from keeptrusts.control.accounts import Accounts, open_accounts
from keeptrusts.control.context import NodeTerms
from keeptrusts.core.ledger.alerts import block_percent
from keeptrusts.core.ledger.grant import Bound
from keeptrusts.core.ledger.standing import PeriodKey, key_of
from keeptrusts.core.ledger.wallet import TREE, Wallet, WalletPeriod, scope_name
from keeptrusts.store.contracts import Ledger, Wallets


class Way(Struct, frozen=True, eq=False):
    """The accounts of every wallet of a way, in the order of their ids: the order in which transactions lock them."""

    accounts: tuple[Accounts, ...]

    @property
    def lines(self) -> list[PeriodKey]:
        """All wallet periods of the way, in their fixed order."""
        return [key_of(period) for accounts in self.accounts for period in accounts.periods]

    @property
    def periods(self) -> list[WalletPeriod]:
        """The accounts behind ``lines``."""
        return [period for accounts in self.accounts for period in accounts.periods]

    @property
    def stopped(self) -> str | None:
        """The name of a wallet of the way that is frozen or closed."""
        return next((a.wallet.name for a in self.accounts if a.wallet.state != "active"), None)

    def covers(self, instant: datetime) -> bool:
        """Whether these are the accounts of ``instant`` too."""
        return all(accounts.covers(instant) for accounts in self.accounts)


async def wallets_of_way(wallets: Wallets, team_id: str | None, also: Iterable[str]) -> list[Wallet]:
    """The wallets of the team and of each further scope that has one, with all that they draw on, by id."""
    found: dict[str, Wallet] = {}
    team = () if team_id is None else (scope_name("team", team_id),)
    for name in (*team, *also):
        scope, _, scope_id = name.partition(":")
        wallet = await wallets.find(scope, scope_id)
        while wallet is not None and wallet.wallet_id not in found:
            found[wallet.wallet_id] = wallet
            wallet = None if wallet.parent_id is None else await wallets.by_id(wallet.parent_id)
    return [found[wallet_id] for wallet_id in sorted(found)]


def climb(entered: Iterable[Wallet], known: Mapping[str, Wallet]) -> list[Wallet]:
    """These wallets, with all that they draw on among the ``known`` ones, by id."""
    found: dict[str, Wallet] = {}
    for each in entered:
        wallet: Wallet | None = each
        while wallet is not None and wallet.wallet_id not in found:
            found[wallet.wallet_id] = wallet
            wallet = None if wallet.parent_id is None else known.get(wallet.parent_id)
    return [found[wallet_id] for wallet_id in sorted(found)]


def entered_at(wallets: Sequence[Wallet]) -> Wallet | None:
    """The wallet of the tree that the money comes from directly: the one farthest down."""
    parents = {wallet.parent_id for wallet in wallets}
    leaves = [wallet for wallet in wallets if wallet.scope in TREE and wallet.wallet_id not in parents]
    return max(leaves, key=lambda wallet: (TREE.index(wallet.scope), wallet.wallet_id)) if leaves else None


def statement_wallets(wallets: Iterable[Wallet], entered_id: str) -> list[Wallet]:
    """Whose statements list a call: the wallet that it entered at, and the budgets beside the tree."""
    return [wallet for wallet in wallets if wallet.wallet_id == entered_id or wallet.scope not in TREE]


async def open_way(ledger: Ledger, wallets: Iterable[Wallet], now: datetime, alive: frozenset[str]) -> Way:
    """The way's accounts at ``now``, each with a row in the store from here on."""
    return Way(tuple([await open_accounts(ledger, wallet, now, alive) for wallet in wallets]))


async def bounds_of(ledger: Ledger, way: Way, terms: NodeTerms, now: datetime) -> list[Bound]:
    """Each account of the way with its limit, as it binds the node's leases."""
    percent = block_percent(terms.thresholds)
    parents = {a.wallet.parent_id for a in way.accounts if a.wallet.fallback == "none"}
    bounds = []
    for accounts in way.accounts:
        wallet = accounts.wallet
        entered = wallet.scope in TREE and not wallet.overcommit and wallet.wallet_id not in parents
        for period in accounts.periods:
            promised = 0
            if entered and terms.enforced and period.kind in accounts.budgets:
                promised = (await ledger.wallets.claims(wallet.wallet_id, period.kind, now)).unused_nanos
            bounds.append(
                Bound(
                    wallet,
                    period,
                    accounts.limit(period, terms.enforced, percent),
                    accounts.limit(period, terms.enforced, 100),
                    promised,
                    accounts.escalates(period),
                )
            )
    return bounds
