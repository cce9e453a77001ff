"""Examining the books as they stand at one moment: wallets, leases and journals, against each other and against the facts."""

from collections.abc import Mapping

from keeptrusts.control.facts import ALWAYS_NS, PAGE_ROWS, Facts
from keeptrusts.core.ledger.invariants import calls, leases, records, sums
from keeptrusts.core.ledger.invariants.findings import FINDINGS_MAX, Verdicts
from keeptrusts.core.ledger.invariants.rows import AccountRow, LeaseRow, Line, NodeRow, WalletRow
from keeptrusts.core.ledger.invariants.statements import Statements
from keeptrusts.core.ledger.invariants.sums import NOTHING, Sums
from keeptrusts.core.ledger.wallet import TREE
from keeptrusts.store.books import Books, SqlStore

QUARANTINE_MAX = 10_000

LATE_NS = 120 * 1_000_000_000
"""How long an entry may come after others with higher numbers, where several transactions write at once."""


async def examine(store: SqlStore, now_ns: int, at_rest: bool = False) -> Verdicts:
    """The whole ledger against every invariant, changing nothing. ``at_rest``: every gateway has stopped, so that nothing
    may be held.

    Facts are only ever added, so they are read in views of their own, page by page; what came meanwhile is read in one
    last view together with wallets and leases, so that all speak of the same moment. Raises StoreAway.
    """
    facts = Facts()
    until_ns = ALWAYS_NS if store.one_writer else now_ns - LATE_NS
    more = True
    while more:
        async with store.read() as books:
            more = await facts.read_on(books, until_ns)
    async with store.read() as books:
        verdicts = await examine_books(books, facts, at_rest)
        await examine_records(books, verdicts, store.one_writer)
        verdicts.find(calls.doubled(await books.inspection.doubled_events(FINDINGS_MAX)))
    return verdicts


async def examine_books(books: Books, facts: Facts, at_rest: bool = False) -> Verdicts:
    """Wallets, leases and journals as they stand in this view, with the ``facts`` read so far and what is left of them."""
    inspection = books.inspection
    while await facts.read_events(books):
        pass
    statements = await _with_the_last(books, facts)
    verdicts = Verdicts()
    verdicts.include(facts.verdicts)
    wallets, accounts, nodes = await inspection.wallets(), await inspection.accounts(), await inspection.nodes()
    aside = await inspection.quarantine(QUARANTINE_MAX)

    doubtful = {node_id for node_id, _, _ in aside}
    read = LeaseReading(facts.billed, statements, wallets, nodes, doubtful, at_rest)
    await read.all(books, verdicts)
    verdicts.find(leases.grants(await inspection.uneven_grants(FINDINGS_MAX)))

    standing = await inspection.standing()
    for account in accounts.values():
        held = (account.wallet_id, account.kind)
        summed = read.sums.get(account.line, NOTHING)
        highest = max(account.budget, standing.get(held, 0), statements.highest_budget(*held))
        verdicts.find(sums.conservation(account, summed))
        verdicts.find(sums.within_budget(account, summed, highest))
    verdicts.find(sums.orphans(read.sums, accounts.keys()))
    verdicts.find(sums.carried(accounts.values()))
    verdicts.find(statements.findings(accounts, wallets, read.unlisted | _unsure(wallets, accounts)))
    verdicts.checked("L1", len(accounts))
    verdicts.checked("L2", len(accounts))

    journals = {journal.node_id: journal.last_seq for journal in await inspection.journals()}
    verdicts.find(facts.order.applied(journals))
    verdicts.find(calls.quarantined(aside))
    verdicts.checked("L7", len(journals) + len(aside))
    verdicts.note("L7", "records in quarantine", len(aside))
    verdicts.complete("L1", "L2", "L3", "L4", "L5", "L6", "L7", "L9", "L11", "L12")
    return verdicts


async def examine_records(books: Books, verdicts: Verdicts, one_writer: bool) -> None:
    """L8: what guards facts is unaltered, and none is gone. Events have no gap in their numbers; where several transactions
    write at once, those of other tables may."""
    differences = await books.inspection.altered_schema(sqlite=one_writer)
    verdicts.find(records.altered_schema((each.kind, each.name, each.what) for each in differences))
    for table in ("ledger_entry", "audit") if one_writer else ():
        highest, rows = await books.inspection.extent(table)
        verdicts.checked("L8", rows)
        if highest != rows:
            verdicts.find(records.gaps(table, await books.inspection.gaps(table, FINDINGS_MAX)))
    verdicts.complete("L8")


async def _with_the_last(books: Books, facts: Facts) -> Statements:
    """All statements up to this view; the reading itself goes on from where it is, for entries that are still to come."""
    statements, after = facts.statements.copy(), facts.entries_to
    while entries := await books.inspection.entries(after, ALWAYS_NS, PAGE_ROWS):
        for entry in entries:
            statements.add(entry)
        after = entries[-1].number
    return statements


class LeaseReading:
    """All leases, one by one: what each breaks, and what they add up to in each wallet period.

    ``unlisted`` are wallets of the tree that calls spend from whose statements don't list these calls.
    """

    def __init__(
        self,
        billed: Mapping[str, int],
        statements: Statements,
        wallets: Mapping[str, WalletRow],
        nodes: Mapping[str, NodeRow],
        doubtful: set[str],
        at_rest: bool,
    ) -> None:
        self.sums: dict[Line, Sums] = {}
        self.unlisted: set[str] = set()
        self._billed = billed
        self._statements = statements
        self._wallets = wallets
        self._nodes = nodes
        self._doubtful = doubtful
        self._at_rest = at_rest

    async def all(self, books: Books, verdicts: Verdicts) -> None:
        """Reads them in pages, by id."""
        after, count = "", 0
        while page := await books.inspection.leases(after, PAGE_ROWS):
            for lease in page:
                self._add(lease, verdicts)
            after, count = page[-1].lease_id, count + len(page)
        for number in ("L1", "L3", "L11", "L12"):
            verdicts.checked(number, count)

    def _add(self, lease: LeaseRow, verdicts: Verdicts) -> None:
        node = self._nodes.get(lease.node_id)
        moving = node is None or node.state != "ended" or lease.node_id in self._doubtful
        watched = node is not None and not node.enforced
        sums.add_lease(self.sums, lease, self._billed.get(lease.lease_id, 0), moving, watched)
        verdicts.find(leases.within_lease(lease))
        verdicts.find(leases.all_above_pay(lease, self._wallets, self._statements.bound_since_ms))
        verdicts.find(leases.nobody_gone_holds(lease, node, self._at_rest))
        for wallet_id, _, _ in lease.lines:
            wallet = self._wallets.get(wallet_id)
            if wallet_id != lease.wallet_id and wallet is not None and wallet.scope in TREE:
                self.unlisted.add(wallet_id)


def _unsure(wallets: Mapping[str, WalletRow], accounts: Mapping[Line, AccountRow]) -> set[str]:
    """Wallets that others below may have drawn on without a trace in leases: by calls that no lease held, or before wallets
    were moved in the tree."""
    scopes = [wallet.scope for wallet in wallets.values()]
    deepest = max((place for place, scope in enumerate(TREE) if scope in scopes), default=0)
    moved = any(wallet.placements > 1 for wallet in wallets.values())
    unheld = {account.wallet_id for account in accounts.values() if account.unleased}
    return {
        wallet.wallet_id
        for wallet in wallets.values()
        if wallet.scope in TREE[:deepest] and (moved or wallet.wallet_id in unheld)
    }
