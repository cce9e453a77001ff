"""New rules for a node that serves: the control plane hears of them, the index of keys is made for them, then they are in force."""

from keeptrusts.core.rulebook.changing import takeover
from keeptrusts.core.rulebook.rulebook import Rulebook
from keeptrusts.gateway.caller import Callers
from keeptrusts.gateway.node import Node
from keeptrusts.gateway.rebuilt_callers import rebuilt_callers
from keeptrusts.gateway.registration import registration_of


async def take_rules(node: Node, wanted: Rulebook, config_version: int | None = None) -> tuple[str, ...]:
    """Calls that enter from now on go by these rules; those under way keep theirs. ``config_version`` is that of a managed
    configuration. Returns the settings that wait for the next start. Raises NeedsRestart or
    CacheUnusable; nothing has changed then."""
    node.answers.check(wanted.cache)
    taken = takeover(node.rulebook, wanted)
    said = registration_of(node.node_id, node.rulebook, node.config_version)
    prices = await node.introducer.tell(said, registration_of(node.node_id, taken.rulebook, config_version))
    callers: Callers | None = None
    while callers is None and node.callers is not None:
        callers = await rebuilt_callers(node, node.callers, taken.rulebook)
    node.go_by(taken.rulebook, callers, prices)
    node.config_version = config_version
    return taken.waiting
