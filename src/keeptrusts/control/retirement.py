"""Giving up a gateway node that is lost: what it had leased goes to suspense, and it gets no more money. And who there is.

What the node still ships is applied, for it is true: what it spent comes out of suspense then.
"""

import logging

from msgspec import Struct

from keeptrusts.control.audit import note
from keeptrusts.control.context import Actor, Control
from keeptrusts.control.denial import conflict, not_found
from keeptrusts.core.ledger.posting import LeaseMovement, PeriodMovement, in_doubt_since, move_lease
from keeptrusts.core.ledger.standing import PeriodKey
from keeptrusts.core.money import usd_text
from keeptrusts.store.books import Books
from keeptrusts.store.nodes import NodeRow

log = logging.getLogger("keeptrusts::api")

GIVEN_UP = "its node was retired"


class KnownNode(Struct, frozen=True):
    """A node as the store knows it, and whether it was heard of in the last seconds."""

    row: NodeRow
    alive: bool


async def nodes_page(control: Control, ended: bool, before_id: str | None, limit: int) -> list[KnownNode]:
    """Nodes, the newest first, with an id below ``before_id`` where given; those that ended in good order only if asked."""
    alive = control.presence.alive(control.tools.clock.monotonic_s())
    async with control.store.read() as books:
        rows = await books.nodes.page(ended, before_id, limit)
    return [KnownNode(row, row.node_id in alive) for row in rows]


async def retire(control: Control, actor: Actor, node_id: str, force: bool) -> KnownNode:
    """Gives the node up. Doing so again moves nothing more. Raises Denial for one that nobody knows, and, unless ``force``,
    for one that is alive."""
    alive = node_id in control.presence.alive(control.tools.clock.monotonic_s())
    async with control.store.write() as books:
        row = await books.nodes.row(node_id)
        if row is None:
            raise not_found(f"no node {node_id} ever registered: see `kt ledger node list`", "node_not_found")
        if alive and not force:
            raise conflict(
                f"node {node_id} on {row.registration.hostname} is alive: stop that gateway, and its money comes back by itself. "
                "With force it is retired all the same",
                "node_alive",
            )
        await _give_up(control, actor, books, row, GIVEN_UP)
        after = await books.nodes.row(node_id)
        assert after is not None, "it was there a moment ago"
        return KnownNode(after, alive)


async def report_lost(control: Control, node_id: str, why: str) -> None:
    """Whoever holds the node's journal says that a part of it is lost: nobody can prove what that part spent."""
    async with control.store.write() as books:
        row = await books.nodes.row(node_id)
        assert row is not None, "it has just shown its token"
        await _give_up(control, Actor("node", node_id), books, row, why)


async def _give_up(control: Control, actor: Actor, books: Books, row: NodeRow, why: str) -> None:
    node_id = row.node_id
    await books.journals.position(node_id)
    if row.state == "live":
        # First: grants on their way end before this, or find the node retired.
        await books.journals.retire(node_id)
    moved: dict[PeriodKey, PeriodMovement] = {}
    total = 0
    for lease in await books.leases.open_of(node_id):
        after, movement = move_lease(lease, LeaseMovement(closed=True, suspended=True))
        if movement.suspense:
            after = in_doubt_since(after, control.tools.now_ms(), why)
        await books.leases.update(after)
        total += movement.suspense
        for line in await books.leases.lines(lease.lease_id):
            moved[line] = moved.get(line, PeriodMovement()) + movement
    for line in sorted(moved):
        await books.wallets.period(line)
        await books.wallets.post(line, moved[line])
    if total or row.state == "live":
        log.warning("Node %s is retired: %s USD of its leases are in suspense (%s).", node_id, usd_text(total), why)
        said = {"suspense_nanos": total, "why": why}
        await books.changes.add("node", node_id)
        await note(books, control.tools, actor, "node.retire", node_id, {"state": row.state}, said)
