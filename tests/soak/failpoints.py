"""Named places in the gateway and the API at which a process can be made to die: where they are in the code, in one table.

The product knows nothing of them: ``afflicted.py`` wraps these functions before the process starts its work.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Failpoint:
    """``module`` and dotted ``path`` of a function; ``rare``: it runs at start or seldom, so that the first time counts."""

    module: str
    path: str
    rare: bool = False


GATEWAY_FAILPOINTS: dict[str, Failpoint] = {
    "journal.write": Failpoint("keeptrusts.gateway.journal", "Journal._write"),
    "journal.segment": Failpoint("keeptrusts.gateway.journal", "Journal._open_segment", rare=True),
    "journal.release": Failpoint("keeptrusts.gateway.journal", "Journal._release"),
    "purse.take": Failpoint("keeptrusts.gateway.purse", "Purse.take"),
    "purse.close": Failpoint("keeptrusts.gateway.purse", "Purse.close"),
    "purse.drain": Failpoint("keeptrusts.gateway.purse", "Purse.drain", rare=True),
    "treasury.taken": Failpoint("keeptrusts.gateway.purse_refill", "Treasury._take", rare=True),
    "link.register": Failpoint("keeptrusts.gateway.remote_link", "RemoteLink.register", rare=True),
    "link.grant": Failpoint("keeptrusts.gateway.remote_link", "RemoteLink.grant", rare=True),
    "link.ship": Failpoint("keeptrusts.gateway.remote_link", "RemoteLink.ship"),
    "shipper.pass": Failpoint("keeptrusts.gateway.shipper", "Shipper.ship_pending"),
    "adoption.replay": Failpoint("keeptrusts.gateway.adoption", "replay", rare=True),
    "adoption.complete": Failpoint("keeptrusts.gateway.adoption", "_complete", rare=True),
    "adoption.ship": Failpoint("keeptrusts.gateway.adoption", "_ship", rare=True),
    "attempt.forward": Failpoint("keeptrusts.gateway.attempt", "Attempt.forward"),
    "attempt.settle": Failpoint("keeptrusts.gateway.attempt", "Attempt.settle"),
    "relay.whole": Failpoint("keeptrusts.gateway.life_of_a_call", "relay_whole"),
    "relay.stream": Failpoint("keeptrusts.gateway.life_of_a_call", "relay_stream"),
}
"""Each has two sides: just before the function, and just after it; beside them there is ``journal.torn``, half a write."""

TORN = "journal.torn"

API_FAILPOINTS: dict[str, Failpoint] = {
    "control.grant": Failpoint("keeptrusts.control.leases", "grant"),
    "control.apply": Failpoint("keeptrusts.control.batches", "apply_batch"),
    "control.register": Failpoint("keeptrusts.control.nodes", "register", rare=True),
}

FAILPOINTS = GATEWAY_FAILPOINTS | API_FAILPOINTS
