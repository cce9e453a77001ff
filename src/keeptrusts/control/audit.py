"""Notes what an operator changed into the audit trail, in the transaction that changed it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from keeptrusts.control.context import Actor, Tools
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
