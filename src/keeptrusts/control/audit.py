"""The audit trail: what an operator changed is noted in the transaction that changed it, and read back."""

from collections.abc import Mapping
from typing import Any

import msgspec

from keeptrusts.control.context import Actor, Control, Tools
from keeptrusts.core.audit.statement import Sealed
from keeptrusts.store.audit import Act
from keeptrusts.store.books import Books


async def note(
    books: Books,
    tools: Tools,
    actor: Actor,
    action: str,
    subject_id: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    """One act: ``action`` is ``noun.verb``; ``before`` and ``after`` hold what changed, and no secret."""
    texts = [None if side is None else msgspec.json.encode(side).decode() for side in (before, after)]
    await books.audit.add(tools.clock.unix_ns(), actor.actor_id, action, subject_id, texts[0], texts[1])


async def list_acts(
    control: Control, equals: Mapping[str, str], before: int | None, since_ns: int, until_ns: int, limit: int
) -> list[Act]:
    """The newest acts first; ``equals`` by ``actor``, ``action``, ``subject_id``."""
    async with control.store.read() as books:
        return await books.audit.latest(equals, before, since_ns, until_ns, limit)


async def list_checkpoints(control: Control, before: int | None, limit: int) -> list[Sealed]:
    """The newest checkpoints first."""
    async with control.store.read() as books:
        return await books.checkpoints.before(before, limit)
