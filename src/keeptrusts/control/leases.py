"""Granting a node money of a team's wallet: idempotent by grant, all of the wallet's periods at once or none."""

from datetime import datetime

import msgspec

from keeptrusts.clock import unix_ms
from keeptrusts.control.accounts import Accounts, open_accounts
from keeptrusts.control.context import NodeTerms, Tools
from keeptrusts.control.denial import invalid
from keeptrusts.core.ledger.alerts import block_percent
from keeptrusts.core.ledger.grant import GrantAnswer, GrantRequest, WalletView, grant_size
from keeptrusts.core.ledger.posting import LeaseBook
from keeptrusts.core.ledger.standing import PeriodKey, key_of
from keeptrusts.core.ledger.wallet import WalletPeriod
from keeptrusts.core.money import MAX_NANOS
from keeptrusts.store.contracts import Ledger, LedgerStore, StoreConflict

RECALL_INTERVAL_MS = 1_000
"""How often at most the idle leases of one wallet are called back."""


async def grant(store: LedgerStore, tools: Tools, terms: NodeTerms, request: GrantRequest) -> GrantAnswer:
    """Answers a node's request for money. 0 granted with ``ends_in_s`` 0: this lease is of no use, ask with a new one.

    Raises Denial for a request that makes no sense and StoreAway when the store can't say.
    """
    if not 0 <= request.need_nanos <= request.want_nanos <= MAX_NANOS:
        raise invalid("need_nanos must be at least 0 and at most want_nanos")
    now = tools.now()
    async with store.ledger() as ledger:
        wallet = await ledger.wallets.find("team", request.team_id)
        if wallet is None:
            return GrantAnswer(0, 0.0, WalletView(request.team_id, 0, 0, 0, 0, 0, 0, allocated=False))
        lease = await ledger.leases.find(request.lease_id)
        accounts = await open_accounts(ledger, wallet, now, terms.alive | {terms.node_id})
        lines = [key_of(period) for period in accounts.periods]
        earlier = await ledger.leases.granted(request.grant_id)

        if not lines or (lease is not None and not await _usable(ledger, lease, lines, terms.node_id, accounts)):
            return GrantAnswer(0, 0.0, _view(request.team_id, accounts, terms, None))
        if earlier is not None:
            if earlier[0] != request.lease_id:
                raise invalid(f"grant {request.grant_id} was made for another lease")
            return GrantAnswer(earlier[1], _ends_in_s(accounts, now), _view(request.team_id, accounts, terms, lease))

        nanos = _size(accounts, terms, request)
        if nanos:
            lease = lease or await _new_lease(ledger, request, terms.node_id, accounts, unix_ms(now))
            await _lease_out(ledger, accounts, terms, nanos)
            lease = msgspec.structs.replace(lease, granted=lease.granted + nanos)
            await ledger.leases.update(lease)
            await ledger.leases.add_grant(request.grant_id, request.lease_id, nanos, unix_ms(now))
            accounts = await open_accounts(ledger, wallet, now, terms.alive | {terms.node_id})
        view = _view(request.team_id, accounts, terms, lease)
        if nanos < request.need_nanos and view.leased_elsewhere > 0:
            await _call_back(ledger, accounts, terms.node_id, unix_ms(now))
        return GrantAnswer(nanos, _ends_in_s(accounts, now), view)


async def _usable(ledger: Ledger, lease: LeaseBook, lines: list[PeriodKey], node_id: str, accounts: Accounts) -> bool:
    """A lease's periods are fixed when it is first granted: once others bind the wallet, it can't grow any more."""
    ours = lease.node_id == node_id and lease.wallet_id == accounts.wallet.wallet_id
    return ours and not lease.closed and await ledger.leases.lines(lease.lease_id) == lines


def _size(accounts: Accounts, terms: NodeTerms, request: GrantRequest) -> int:
    if terms.enforced and not accounts.budgets:
        return 0
    bound = [
        msgspec.structs.replace(period, budget=limit)
        for period in accounts.periods
        if (limit := accounts.limit(period, terms.enforced, block_percent(terms.thresholds))) is not None
    ]
    live_nodes = len(terms.alive | {terms.node_id})
    return grant_size(bound, request.need_nanos, request.want_nanos, live_nodes, 100)


async def _new_lease(ledger: Ledger, request: GrantRequest, node_id: str, accounts: Accounts, now_ms: int) -> LeaseBook:
    lease = LeaseBook(request.lease_id, node_id, accounts.wallet.wallet_id, 0, 0, 0, closed=False)
    await ledger.leases.add(lease, [key_of(period) for period in accounts.periods], now_ms)
    return lease


async def _lease_out(ledger: Ledger, accounts: Accounts, terms: NodeTerms, nanos: int) -> None:
    for period in accounts.periods:
        limit = accounts.limit(period, terms.enforced, block_percent(terms.thresholds))
        if not await ledger.wallets.lease_out(key_of(period), nanos, limit):
            # Another writer was faster: everything so far is rolled back and the node asks again.
            raise StoreConflict(f"wallet {accounts.wallet.wallet_id} changed while it was leased from")


async def _call_back(ledger: Ledger, accounts: Accounts, node_id: str, now_ms: int) -> None:
    """Asks the other nodes for what they don't need, once a second at most, and remembers that somebody waits for it."""
    wallet = accounts.wallet
    await ledger.wallets.set_short(wallet.wallet_id, now_ms)
    if await ledger.leases.remainder_of_others(wallet.wallet_id, node_id) == 0:
        return
    if await ledger.wallets.claim_recall(wallet.wallet_id, now_ms, now_ms - RECALL_INTERVAL_MS):
        await ledger.changes.add("wallet", wallet.scope_id, wallet.version, recall=True, except_node_id=node_id)


def _ends_in_s(accounts: Accounts, now: datetime) -> float:
    return min((period.end - now).total_seconds() for period in accounts.periods)


def _view(team_id: str, accounts: Accounts, terms: NodeTerms, lease: LeaseBook | None) -> WalletView:
    """The tightest of the wallet's budgets as they bind this node."""
    version = accounts.wallet.version
    if not accounts.periods:
        return WalletView(team_id, version, 0, 0, 0, 0, 0, allocated=False)

    def free(period: WalletPeriod) -> tuple[bool, int]:
        limit = accounts.limit(period, terms.enforced, block_percent(terms.thresholds))
        return limit is None, (limit or 0) - period.spent - period.suspense - period.leased

    tightest = min(accounts.periods, key=free)
    budget = accounts.limit(tightest, terms.enforced, 100)
    own = lease.remainder if lease is not None else 0
    return WalletView(
        team_id=team_id,
        version=version,
        budget=tightest.budget if budget is None else budget,
        spent=tightest.spent,
        suspense=tightest.suspense,
        leased_elsewhere=tightest.leased - own,
        lease_settled=lease.settled if lease is not None else 0,
        allocated=bool(accounts.budgets) or not terms.enforced,
    )
