"""The tree is RFC 6962's, and a path proves its leaf and nothing else."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.audit.merkle import inclusion_path, leaf_hash, root_over, tree_root

LEAVES = st.lists(st.binary(max_size=3).map(leaf_hash), max_size=70)


def by_the_book(leaves: list[bytes]) -> bytes:
    """Section 2.1 of RFC 6962, word for word: split at the largest power of two below the size."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + by_the_book(leaves[:split]) + by_the_book(leaves[split:])).digest()


@given(LEAVES)
def test_the_root_is_that_of_the_rfc(leaves: list[bytes]) -> None:
    assert tree_root(leaves) == by_the_book(leaves)


def test_known_roots() -> None:
    """The first vectors of certificate transparency's own tests."""
    inputs = [b"", b"\x00", b"\x10", b"\x20\x21", b"\x30\x31", b"\x40\x41\x42\x43"]
    leaves = [leaf_hash(data) for data in inputs]
    assert tree_root(leaves[:1]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert tree_root(leaves[:2]).hex() == "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
    assert tree_root(leaves[:6]).hex() == "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"


@given(LEAVES.filter(bool), st.data())
def test_a_path_leads_from_its_leaf_to_the_root(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = inclusion_path(leaves, index)
    assert root_over(leaves[index], index, len(leaves), path) == tree_root(leaves)
    assert root_over(leaf_hash(b"another"), index, len(leaves), path) != tree_root(leaves)
    assert root_over(leaves[index], index, len(leaves), [*path, bytes(32)]) is None
    assert root_over(leaves[index], len(leaves), len(leaves), path) is None


def test_a_node_is_not_taken_for_a_leaf() -> None:
    one, two = leaf_hash(b"1"), leaf_hash(b"2")
    assert leaf_hash(one + two) != tree_root([one, two])
