"""Recovery mode: noticed by what nodes and the tally know, ended when every node has brought back its journal."""

import logging
from collections.abc import Awaitable
from datetime import datetime
from typing import TypeVar

from msgspec import Struct

from keeptrusts.clock import instant_at_ms
from keeptrusts.control.audit import note
from keeptrusts.control.context import Actor, Control
from keeptrusts.control.denial import conflict
from keeptrusts.control.losses import StoreBehind
from keeptrusts.core.ledger.recovery import Awaited, Recovery, Said, is_over, loss

log = logging.getLogger("keeptrusts::api")

T = TypeVar("T")


class Progress(Struct, frozen=True):
    """How far a recovery is; ``since`` None: there is none."""

    since: datetime | None
    reason: str | None
    nodes: tuple[Awaited, ...]


async def compare_tally(control: Control) -> None:
    """At the start: compares the tally beside the database with the grants that the database knows of, and has it
    count those to come. Says so when a recovery goes on."""
    tally = control.tally
    async with control.store.read() as books:
        known, going_on = await books.recovery.grants(), await books.recovery.state()
    if tally is not None:
        if tally.count > known:
            await begin(control, f"{tally.count} grants were made, and the database knows of {known}")
        elif going_on is None:
            tally.see(known)
        control.store.on_grant = lambda made: tally.see(tally.count + made)
    if going_on is not None:
        log.warning("The ledger is still in recovery mode: %s", going_on.reason)


async def begin(control: Control, reason: str) -> None:
    """Enters recovery mode, if the store is not in it already."""
    async with control.store.write() as books:
        begun = await books.recovery.begin(control.tools.now_ms(), reason)
    if begun:
        log.error(
            "The ledger has lost something (%s). RECOVERY MODE: no money is granted until every node has brought back its "
            "journal. See `kt ledger recovery status`.",
            reason,
        )


async def granting(control: Control, grant: Awaitable[T]) -> T:
    """The answer of ``grant``; a store that finds itself behind enters recovery mode first. Raises StoreAway."""
    try:
        return await grant
    except StoreBehind as behind:
        await begin(control, str(behind))
        raise


async def hear(control: Control, node_id: str, said: Said, lost_changes: bool) -> Recovery | None:
    """A node speaks: what it has had from the store is compared with what the store knows. Returns the recovery that goes on."""
    async with control.store.read() as books:
        recovery, mark = await books.recovery.standing(node_id)
        if recovery is None:
            position = await books.journals.position(node_id)
            lost = loss(node_id, said, mark, 0 if position is None else position[0])
    if recovery is None:
        if lost is None and lost_changes:
            lost = f"node {node_id} has seen changes that the store does not have"
        if lost is None:
            return None
        await begin(control, lost)
    return await _wait_for(control, node_id, said)


async def _wait_for(control: Control, node_id: str, said: Said) -> Recovery | None:
    """Notes what the node has yet to bring, and ends the recovery when nobody owes anything."""
    async with control.store.write() as books:
        recovery = await books.recovery.state()
        if recovery is None:
            return None
        await books.recovery.hear(node_id, recovery, said)
        await books.recovery.complete(recovery)
        if not is_over(recovery, await books.recovery.awaited(recovery), control.tools.now_ms()):
            return recovery
        await books.recovery.end()
        grants = await books.recovery.grants()
    _let_go(control, grants)
    log.warning("The recovery is over: every node has brought back its journal. Money is granted again.")
    return None


async def progress(control: Control) -> Progress:
    """Whether the store is in recovery mode, and what it waits for."""
    async with control.store.read() as books:
        recovery = await books.recovery.state()
        if recovery is None:
            return Progress(None, None, ())
        return Progress(
            instant_at_ms(recovery.since_ms), recovery.reason, tuple(await books.recovery.awaited(recovery))
        )


async def finish(control: Control, actor: Actor) -> Progress:
    """Ends the recovery by a person's word: what nodes have not brought is waited for no more. Returns how far it was.

    Raises Denial when there is none. A silent node that comes back later with more than the store knows begins another.
    """
    async with control.store.write() as books:
        recovery = await books.recovery.state()
        if recovery is None:
            raise conflict("the ledger is not in recovery mode", "no_recovery")
        awaited = await books.recovery.awaited(recovery)
        await books.recovery.excuse(recovery)
        await books.recovery.end()
        grants = await books.recovery.grants()
        missing = [node.node_id for node in awaited if not node.complete]
        before = {"since_ms": recovery.since_ms, "reason": recovery.reason, "missing": missing}
        await note(books, control.tools, actor, "ledger.recovery.finish", "ledger", before, None)
    _let_go(control, grants)
    log.warning("The recovery was ended by %s, without the journals of %d nodes.", actor.actor_id, len(missing))
    return Progress(instant_at_ms(recovery.since_ms), recovery.reason, tuple(awaited))


def _let_go(control: Control, grants: int) -> None:
    """What the store knows now is the truth from here on, for the tally too."""
    if control.tally is not None:
        control.tally.see(grants)
