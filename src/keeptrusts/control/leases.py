"""Granting a node money of a call's wallets: idempotent by grant, all of their periods at once or none."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from keeptrusts.clock import unix_ms
from keeptrusts.control.context import NodeTerms, Tools
from keeptrusts.control.denial import Denial, conflict, invalid
from keeptrusts.control.losses import refuse_what_may_be_lost
from keeptrusts.control.ways import Way, bounds_of, entered_at, open_way, wallets_of_way
from keeptrusts.core.ledger.grant import (
    Bound,
    GrantAnswer,
    GrantRequest,
    WalletView,
    free_nanos,
    grant_size,
    limit_of,
    paying,
    tightest,
)
from keeptrusts.core.ledger.posting import LeaseBook
from keeptrusts.core.ledger.standing import PeriodKey, key_of
from keeptrusts.core.money import MAX_NANOS
from keeptrusts.store.contracts import Ledger, LedgerStore, StoreConflict

RECALL_INTERVAL_MS = 1_000
"""How often at most the idle leases of one wallet are called back."""

MAX_ALSO = 16


def node_is_retired(node_id: str) -> Denial:
    """The node was given up for lost: what it had leased is in suspense, and it gets no more."""
    return conflict(f"node {node_id} was retired: start this gateway again, and it is a new node", "node_retired")


async def grant(store: LedgerStore, tools: Tools, terms: NodeTerms, request: GrantRequest) -> GrantAnswer:
    """Answers a node's request for money. 0 granted with ``ends_in_s`` 0: this lease is of no use, ask with a new one.

    Raises Denial for a request that makes no sense and StoreAway when the store can't say.
    """
    if not 0 <= request.need_nanos <= request.want_nanos <= MAX_NANOS:
        raise invalid("need_nanos must be at least 0 and at most want_nanos")
    if len(request.also) > MAX_ALSO:
        raise invalid(f"also names more than {MAX_ALSO} budgets")
    now = tools.now()
    async with store.ledger() as ledger:
        await refuse_what_may_be_lost(ledger, terms.node_id, request.grants_noted)
        if await ledger.journals.retired(terms.node_id):
            raise node_is_retired(terms.node_id)
        lease = await ledger.leases.find(request.lease_id)
        wallets = await wallets_of_way(ledger.wallets, request.team_id, request.also)
        way = await open_way(ledger, wallets, now, terms.alive | {terms.node_id})
        bounds = await bounds_of(ledger, way, terms, now)
        lines = [] if lease is None else await ledger.leases.lines(lease.lease_id)
        chosen = _chosen(bounds, lines, request.need_nanos)
        view = _view(request, way, chosen, lease, terms)

        if not chosen or view.stopped or (lease is not None and not _usable(lease, lines, chosen, terms.node_id)):
            return GrantAnswer(0, 0.0, view)
        earlier = await ledger.leases.granted(request.grant_id)
        if earlier is not None:
            if earlier[0] != request.lease_id:
                raise invalid(f"grant {request.grant_id} was made for another lease")
            return GrantAnswer(earlier[1], _ends_in_s(chosen, now), view)

        live_nodes = len(terms.alive | {terms.node_id})
        nanos = grant_size(free_nanos(chosen), request.need_nanos, request.want_nanos, live_nodes)
        if nanos and view.allocated:
            lease = await _lease_out(ledger, request, terms.node_id, lease, chosen, nanos, unix_ms(now))
            chosen = [_leased(bound, nanos) for bound in chosen]
            view = _view(request, way, chosen, lease, terms)
        else:
            nanos = 0
        if nanos < request.need_nanos and view.leased_elsewhere > 0:
            await _call_back(ledger, tightest(chosen), terms.node_id, unix_ms(now))
        return GrantAnswer(nanos, _ends_in_s(chosen, now), view)


def _chosen(bounds: Sequence[Bound], lines: Sequence[PeriodKey], need: int) -> list[Bound]:
    """The bounds that the lease goes by. One that passes an empty wallet by goes on doing so while nobody waits."""
    if need == 0 and lines:
        kept = [bound for bound in bounds if key_of(bound.period) in lines]
        passed = {bound.wallet.wallet_id: bound.wallet for bound in bounds if bound not in kept}
        if len(kept) == len(lines) and all(wallet.fallback == "parent" for wallet in passed.values()):
            return kept
    return paying(bounds, max(need, 1))


def _usable(lease: LeaseBook, lines: Sequence[PeriodKey], chosen: Sequence[Bound], node_id: str) -> bool:
    """A lease's periods are fixed when it is first granted: once others bind the wallet, it can't grow any more."""
    ours = lease.node_id == node_id and lease.ticket_id is None
    return ours and not lease.closed and sorted(lines) == sorted(key_of(bound.period) for bound in chosen)


async def _lease_out(
    ledger: Ledger,
    request: GrantRequest,
    node_id: str,
    lease: LeaseBook | None,
    chosen: Sequence[Bound],
    nanos: int,
    now_ms: int,
) -> LeaseBook:
    if lease is None:
        entered = entered_at([bound.wallet for bound in chosen]) or chosen[0].wallet
        lease = LeaseBook(request.lease_id, node_id, entered.wallet_id, 0, 0, 0, closed=False)
        await ledger.leases.add(lease, [key_of(bound.period) for bound in chosen], now_ms)
    for bound in chosen:
        if not await ledger.wallets.lease_out(key_of(bound.period), nanos, limit_of(bound, chosen)):
            # Another writer was faster: everything so far is rolled back and the node asks again.
            raise StoreConflict(f"wallet {bound.wallet.wallet_id} changed while it was leased from")
    lease = msgspec.structs.replace(lease, granted=lease.granted + nanos)
    await ledger.leases.update(lease)
    await ledger.leases.add_grant(request.grant_id, request.lease_id, nanos, now_ms)
    return lease


def _leased(bound: Bound, nanos: int) -> Bound:
    period = msgspec.structs.replace(bound.period, leased=bound.period.leased + nanos)
    return msgspec.structs.replace(bound, period=period)


async def _call_back(ledger: Ledger, bound: Bound, node_id: str, now_ms: int) -> None:
    """Asks the other nodes for what they don't need, once a second at most, and remembers that somebody waits for it."""
    wallet = bound.wallet
    await ledger.wallets.set_short(wallet.wallet_id, now_ms)
    if await ledger.wallets.claim_recall(wallet.wallet_id, now_ms, now_ms - RECALL_INTERVAL_MS):
        await ledger.changes.add("wallet", wallet.wallet_id, wallet.version, recall=True, except_node_id=node_id)


def _ends_in_s(bounds: Sequence[Bound], now: datetime) -> float:
    return min((bound.period.end - now).total_seconds() for bound in bounds)


def _view(
    request: GrantRequest, way: Way, chosen: Sequence[Bound], lease: LeaseBook | None, terms: NodeTerms
) -> WalletView:
    """The tightest of the chosen budgets, as it binds this node."""
    team_id = request.team_id
    if not chosen:
        return WalletView(team_id, 0, 0, 0, 0, 0, 0, allocated=False)
    bound = tightest(chosen)
    period, wallet = bound.period, bound.wallet
    own = lease.remainder if lease is not None else 0
    return WalletView(
        team_id=team_id,
        version=wallet.version,
        budget=period.funds if bound.budget_nanos is None else bound.budget_nanos,
        spent=period.spent,
        suspense=period.suspense,
        leased_elsewhere=max(0, period.leased - own),
        lease_settled=lease.settled if lease is not None else 0,
        allocated=not terms.enforced or _has_budget(way),
        wallet=wallet.name,
        wallet_id=wallet.wallet_id,
        wallet_ids=tuple(accounts.wallet.wallet_id for accounts in way.accounts),
        stopped=way.stopped,
        escalates=bound.escalates or _passed_escalates(way, chosen),
    )


def _passed_escalates(way: Way, chosen: Sequence[Bound]) -> bool:
    """Whether a wallet that the lease passes by, since it is empty, has whoever finds too little held for an approver."""
    paying_keys = {key_of(bound.period) for bound in chosen}
    passed = [a for a in way.accounts if a.wallet.fallback == "parent"]
    return any(a.escalates(period) for a in passed for period in a.periods if key_of(period) not in paying_keys)


def _has_budget(way: Way) -> bool:
    """Whether people gave money to the wallet that the call enters the tree at, or to the one that it may fall back on."""
    by_id = {accounts.wallet.wallet_id: accounts for accounts in way.accounts}
    entered = entered_at([accounts.wallet for accounts in way.accounts])
    while entered is not None and not by_id[entered.wallet_id].budgets and entered.fallback == "parent":
        entered = by_id[entered.parent_id].wallet if entered.parent_id in by_id else None
    return entered is not None and bool(by_id[entered.wallet_id].budgets)
