"""The journal's bytes: what was written is read, a torn end is cut off, anything else wrong is found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.ledger.journal_format import GENESIS, DamagedJournal, encode_group, read_groups

groups = st.lists(st.lists(st.binary(max_size=40), min_size=1, max_size=4), min_size=1, max_size=4)


def written(found: list[list[bytes]]) -> tuple[bytes, list[int]]:
    """The journal of these groups, and where each group ends."""
    data, chain, seq = b"", GENESIS, 1
    ends = []
    for records in found:
        group, chain = encode_group(records, seq, chain)
        data, seq = data + group, seq + len(records)
        ends.append(len(data))
    return data, ends


@given(groups)
def test_what_was_written_is_read(found: list[list[bytes]]) -> None:
    data, ends = written(found)
    read = list(read_groups(data, 1, GENESIS))
    assert [list(group.records) for group in read] == found
    assert [group.end_offset for group in read] == ends
    assert read[-1].last_seq == sum(map(len, found))


@given(groups, st.data())
def test_a_journal_cut_anywhere_gives_its_whole_groups_and_no_alarm(
    found: list[list[bytes]], data: st.DataObject
) -> None:
    """A torn write was never acknowledged: it is no damage."""
    written_bytes, ends = written(found)
    cut = data.draw(st.integers(0, len(written_bytes)))
    read = list(read_groups(written_bytes[:cut], 1, GENESIS))
    assert len(read) == sum(end <= cut for end in ends)


@given(groups, st.data())
def test_no_flipped_bit_passes_for_what_was_written(found: list[list[bytes]], data: st.DataObject) -> None:
    written_bytes, _ = written(found)
    at = data.draw(st.integers(0, len(written_bytes) - 1))
    flipped = bytearray(written_bytes)
    flipped[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        read = [list(group.records) for group in read_groups(bytes(flipped), 1, GENESIS)]
    except DamagedJournal:
        return
    assert read == found[: len(read)], "what is read is a beginning of what was written"
    assert len(read) < len(found)


@given(groups, groups)
def test_a_group_of_another_history_does_not_fit(found: list[list[bytes]], other: list[list[bytes]]) -> None:
    data, _ = written(found)
    strange, _ = encode_group(other[0], 1 + sum(map(len, found)), b"\x01" * 16)
    with pytest.raises(DamagedJournal, match="chain"):
        list(read_groups(data + strange, 1, GENESIS))


def test_a_missing_group_is_found() -> None:
    first, chain = encode_group([b"a"], 1, GENESIS)
    _, chain = encode_group([b"b"], 2, chain)
    third, _ = encode_group([b"c"], 3, chain)
    with pytest.raises(DamagedJournal, match="sequence"):
        list(read_groups(first + third, 1, GENESIS))


def test_space_that_was_never_written_is_no_damage() -> None:
    """A file system may leave zeros behind the last write after a power loss."""
    first, _ = encode_group([b"a"], 1, GENESIS)
    assert len(list(read_groups(first + bytes(4096), 1, GENESIS))) == 1
