"""The index of callers made anew for other rules, while calls go on: some keys at a time, and at the end what changed since."""

import asyncio

from keeptrusts.core.rulebook.rulebook import Rulebook
from keeptrusts.gateway.caller import Callers
from keeptrusts.gateway.node import Node

KEYS_PER_TURN = 200


async def rebuilt_callers(node: Node, before: Callers, rulebook: Rulebook) -> Callers | None:
    """The index for these rules, complete: no key has changed since. None: the node has taken another index meanwhile."""
    after = before.under(rulebook, node.meters)
    for number, record in enumerate(list(before.records.values()), start=1):
        after.put(record)
        if number % KEYS_PER_TURN == 0:
            await asyncio.sleep(0)
    if node.callers is not before:
        return None
    for record in before.records.values():
        if after.records.get(record.key_id) is not record:
            after.put(record)
    return after
