"""Recovery: a store that lost commits grants nothing until every node has brought back what it knows."""

from collections.abc import Iterable

from msgspec import Struct

LEAST_MS = 10_000
"""A recovery lasts at least so long, so that every node that lives has been heard of."""


class Recovery(Struct, frozen=True):
    """The store is in recovery mode, since when (Unix milliseconds), and by what it was noticed."""

    since_ms: int
    reason: str


class NodeMark(Struct, frozen=True):
    """What the store knows of a node: how many grants it was given, and up to which record a person has given its journal
    up."""

    grants: int = 0
    excused_seq: int = 0


class Said(Struct, frozen=True):
    """What a node says of itself: the last record of its journal, the last that a store took, and how many grants it has
    noted."""

    journal_seq: int
    shipped_seq: int
    grants: int


class Awaited(Struct, frozen=True):
    """A node that the recovery waits for. ``said_seq`` is the last record that it spoke of when it was first heard of in this
    recovery, None while it is silent."""

    node_id: str
    hostname: str
    said_seq: int | None
    applied_seq: int
    complete: bool


def loss(node_id: str, said: Said, mark: NodeMark, applied_seq: int) -> str | None:
    """What the store must have lost, given what the node says it had from it; None: nothing."""
    if said.grants > mark.grants:
        return f"node {node_id} has had {said.grants} grants, and the store knows of {mark.grants}"
    if said.shipped_seq > max(applied_seq, mark.excused_seq):
        return (
            f"node {node_id} has shipped its journal up to record {said.shipped_seq}, and the store has {applied_seq}"
        )
    return None


def is_over(recovery: Recovery, awaited: Iterable[Awaited], now_ms: int) -> bool:
    """Whether money may be granted again: everybody was given time to be heard, and nobody owes anything."""
    return now_ms - recovery.since_ms >= LEAST_MS and all(node.complete for node in awaited)
