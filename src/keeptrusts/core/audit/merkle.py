"""Merkle trees as RFC 6962 (section 2.1) builds them: SHA-256, leaves and nodes hashed under different first bytes."""

from collections.abc import Sequence
from hashlib import sha256

LEAF = b"\x00"
NODE = b"\x01"


def leaf_hash(data: bytes) -> bytes:
    """What stands at the bottom of the tree for ``data``."""
    return sha256(LEAF + data).digest()


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes, in their order; of none, the hash of nothing."""
    if not leaves:
        return sha256().digest()
    level = leaves
    while len(level) > 1:
        level = _level_above(level)
    return level[0]


def inclusion_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes beside the way from the leaf at ``index`` to the root, the lowest first."""
    path = []
    level = leaves
    while len(level) > 1:
        beside = index ^ 1
        if beside < len(level):
            path.append(level[beside])
        level, index = _level_above(level), index // 2
    return path


def root_over(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root of the tree of ``size`` leaves that has ``leaf`` at ``index``, if ``path`` is its path; None: it can't be."""
    if not 0 <= index < size:
        return None
    found, at = leaf, 0
    while size > 1:
        beside = index ^ 1
        if beside < size:
            if at == len(path):
                return None
            pair = path[at] + found if index & 1 else found + path[at]
            found, at = sha256(NODE + pair).digest(), at + 1
        index, size = index // 2, (size + 1) // 2
    return found if at == len(path) else None


def _level_above(level: Sequence[bytes]) -> list[bytes]:
    # A last node without a neighbour rises as it is: the same tree as splitting at the largest power of two.
    above = [sha256(NODE + level[at] + level[at + 1]).digest() for at in range(0, len(level) - 1, 2)]
    if len(level) & 1:
        above.append(level[-1])
    return above
