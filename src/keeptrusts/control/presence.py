"""Which nodes are alive and what their live calls hold, as their heartbeats last said. Kept in memory: it lapses in seconds."""

from collections.abc import Mapping

from msgspec import Struct

ALIVE_S = 10.0


class Sign(Struct, frozen=True):
    """A node's last sign of life: when, by the monotonic clock, and its live holds in nano-USD by wallet id."""

    at_s: float
    held_nanos: Mapping[str, int]


class Presence:
    """The nodes that were heard of within the last ``ALIVE_S`` seconds."""

    def __init__(self) -> None:
        self._signs: dict[str, Sign] = {}

    def heard(self, node_id: str, now_s: float, held_nanos: Mapping[str, int]) -> None:
        """A heartbeat came."""
        self._signs[node_id] = Sign(now_s, held_nanos)

    def alive(self, now_s: float) -> frozenset[str]:
        """The ids of the nodes that are alive; forgets the others."""
        self._signs = {node: sign for node, sign in self._signs.items() if now_s - sign.at_s <= ALIVE_S}
        return frozenset(self._signs)

    def held(self, wallet_id: str, now_s: float) -> int:
        """What live calls hold of the wallet on all live nodes, in nano-USD."""
        alive = self.alive(now_s)
        return sum(self._signs[node].held_nanos.get(wallet_id, 0) for node in alive)
