"""Grants that a node has and the store has not: a store that was restored to an older state makes them again from the
node's journal, whatever its budgets say now, since the money may be spent already."""

import logging
from collections.abc import Iterable

import msgspec

from keeptrusts.clock import NANOS_PER_MS, instant_at
from keeptrusts.control.context import NodeTerms, Tools
from keeptrusts.control.journal_reading import Placed
from keeptrusts.control.ways import entered_at, open_way, wallets_of_way
from keeptrusts.core.ledger.posting import LeaseBook
from keeptrusts.core.ledger.records import Granted
from keeptrusts.core.ledger.wallet import SCOPES, Scope, Wallet, scope_name
from keeptrusts.store.contracts import Ledger

log = logging.getLogger("keeptrusts::api")


async def make_lost_grants(ledger: Ledger, tools: Tools, terms: NodeTerms, records: Iterable[Placed]) -> int:
    """Makes the grants among ``records`` that the store does not know, and returns how many those were."""
    journaled = {p.record.grant_id: p.record for p in reversed(list(records)) if isinstance(p.record, Granted)}
    known = await ledger.many.granted(sorted(journaled))
    lost = [record for grant_id, record in reversed(journaled.items()) if grant_id not in known]
    for record in lost:
        await _make(ledger, tools, terms, record)
    if lost:
        log.warning("Made %d grants again that this store had lost and node %s still had.", len(lost), terms.node_id)
    return len(lost)


async def _make_wallets(ledger: Ledger, tools: Tools, record: Granted) -> None:
    """A grant was made of wallets that there were. Those that the store has lost with it are made again, so that their spend
    is counted; with a budget of 0, since nothing says what they had."""
    for name in (scope_name("team", record.team_id), *record.also):
        scope, _, scope_id = name.partition(":")
        if scope in SCOPES and await ledger.wallets.find(scope, scope_id) is None:
            wallet = Wallet(tools.new_id("wal"), msgspec.convert(scope, Scope), scope_id)
            await ledger.wallets.add(wallet, tools.now_ms())
            await ledger.wallets.set_budget(wallet.wallet_id, "monthly", 0)
            log.error("The wallet %s is lost: it is made again with a monthly budget of 0. Allocate it anew.", name)


async def _make(ledger: Ledger, tools: Tools, terms: NodeTerms, record: Granted) -> None:
    lease = await ledger.leases.find(record.lease_id)
    if lease is None:
        await _make_wallets(ledger, tools, record)
        wallets = await wallets_of_way(ledger.wallets, record.team_id, record.also)
        at = instant_at(min(record.at_ns, tools.clock.unix_ns()))
        way = await open_way(ledger, wallets, at, terms.alive | {terms.node_id})
        entered = entered_at(wallets)
        lease = LeaseBook(
            record.lease_id, terms.node_id, "" if entered is None else entered.wallet_id, 0, 0, 0, closed=False
        )
        await ledger.leases.add(lease, way.lines, record.at_ns // NANOS_PER_MS)
    if lease.node_id != terms.node_id or lease.closed:
        return
    for line in await ledger.leases.lines(record.lease_id):
        await ledger.wallets.lease_out(line, record.nanos, None)
    await ledger.leases.update(msgspec.structs.replace(lease, granted=lease.granted + record.nanos))
    await ledger.leases.add_grant(record.grant_id, record.lease_id, record.nanos, tools.now_ms())
