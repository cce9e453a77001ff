"""Which nodes are alive and what their live calls hold, as their heartbeats last said. Kept in memory: it lapses in seconds.

Where several API processes share a store, ``neighbours`` brings in what the others heard.
"""

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
        self._elsewhere: set[str] = set()
        self._news: dict[str, Mapping[str, int]] = {}

    def heard(self, node_id: str, now_s: float, held_nanos: Mapping[str, int]) -> None:
        """A heartbeat came."""
        self._signs[node_id] = Sign(now_s, held_nanos)
        self._elsewhere.discard(node_id)
        self._news[node_id] = held_nanos

    def heard_elsewhere(self, node_id: str, at_s: float, held_nanos: Mapping[str, int]) -> None:
        """Another process heard of it, by this one's clock at ``at_s``."""
        known = self._signs.get(node_id)
        if known is None or known.at_s < at_s:
            self._signs[node_id] = Sign(at_s, held_nanos)
            self._elsewhere.add(node_id)

    def own(self, now_s: float) -> frozenset[str]:
        """The nodes that are alive and spoke to this process last."""
        return self.alive(now_s) - self._elsewhere

    def take_news(self) -> dict[str, Mapping[str, int]]:
        """What was heard here since this was last called: the last word of each node."""
        news, self._news = self._news, {}
        return news

    def alive(self, now_s: float) -> frozenset[str]:
        """The ids of the nodes that are alive; forgets the others."""
        self._signs = {node: sign for node, sign in self._signs.items() if now_s - sign.at_s <= ALIVE_S}
        return frozenset(self._signs)

    def held(self, wallet_id: str, now_s: float) -> int:
        """What live calls hold of the wallet on all live nodes, in nano-USD."""
        alive = self.alive(now_s)
        return sum(self._signs[node].held_nanos.get(wallet_id, 0) for node in alive)
