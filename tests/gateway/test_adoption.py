"""What a crashed gateway left is made whole: one row for each call, no lease left open, no money lost or doubled."""

import asyncio
import contextlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from keeptrusts.core.ledger.journal_format import GENESIS, read_groups
from keeptrusts.core.ledger.records import CloseLease, Event, LeaseIntent, Record, Reserve, Return, decode_record
from keeptrusts.core.link import Registration
from keeptrusts.gateway import journal as journal_module
from keeptrusts.gateway.adoption import KEEP_RETIRED, RETIRED_MARK, adopt_journals, replay
from keeptrusts.gateway.damage import mark_damaged, set_damage_aside
from keeptrusts.gateway.journal import Journal, segment_name, segments
from keeptrusts.gateway.link import LinkDown
from tests.gateway.fake_control import FakeControl, FakeLink
from tests.gateway.hand_loop import HandLoop
from tests.gateway.short_life import BUDGET, HOLD, NODE, TEAMS, Life

REGISTRATION = Registration("nod_new", "host", "0", ("openai",), True, (), (), ())


@pytest.fixture
def loop() -> Iterator[HandLoop]:
    loop = HandLoop()
    yield loop
    loop.close()
    assert loop.broken == []


@pytest.fixture
def life(loop: HandLoop, tmp_path: Path) -> Life:
    life = Life(loop, tmp_path / "lived" / NODE)
    life.live()
    life.close()
    return life


def adopt(loop: HandLoop, root: Path, control: FakeControl, links: list[FakeLink] | None = None) -> int:
    def link_for() -> FakeLink:
        link = FakeLink(control)
        if links is not None:
            links.append(link)
        return link

    return loop.done(adopt_journals(root, REGISTRATION, link_for, lambda: 9_000_000_000))


def whole_journal(life: Life) -> bytes:
    [segment] = segments(life.journal.directory)
    return segment.read_bytes()


def died_after(root: Path, data: bytes) -> Path:
    """A data directory in which the node's journal ends here."""
    directory = root / NODE
    directory.mkdir(parents=True)
    (directory / "lock").touch()
    (directory / segment_name(1, GENESIS)).write_bytes(data)
    return directory


def store_when(life: Life, seq: int) -> FakeControl:
    """The store as it is when the journal has this many records and nothing was shipped."""
    control = FakeControl()
    for team in TEAMS:
        control.allocate(team, BUDGET)
    for at, request, answer in life.link.grants:
        if at <= seq and answer.granted_nanos:
            exactly = msgspec.structs.replace(request, need_nanos=answer.granted_nanos, want_nanos=answer.granted_nanos)
            control.grant(NODE, exactly)
    return control


def boundaries(data: bytes) -> list[tuple[int, int]]:
    """Where each group of a journal ends, as (bytes, records so far); the beginning too."""
    return [(0, 0)] + [(group.end_offset, group.last_seq) for group in read_groups(data, 1, GENESIS)]


def records_of(data: bytes) -> list[Record]:
    return [decode_record(record) for group in read_groups(data, 1, GENESIS) for record in group.records]


def check_books(life: Life, control: FakeControl, data: bytes) -> None:
    """The books against what the provider billed for the attempts that this journal knows."""
    sent = {(r.call_id, r.attempt) for r in records_of(data) if isinstance(r, Reserve)}
    told = {r.call_id for r in records_of(data) if isinstance(r, Event)}
    rows = Counter(event.call_id for event in control.events)
    assert rows.keys() == {call_id for call_id, _ in sent} | told
    assert set(rows.values()) <= {1}, "a call has two rows"
    for event in control.events:
        attempts = {(event.call_id, attempt.number) for attempt in event.attempts}
        assert attempts == {key for key in sent if key[0] == event.call_id}
        billed = sum(life.billed[key] for key in attempts)
        assert (event.cost_nanos or 0) >= billed, "the provider bills more than was booked"
        assert (event.cost_nanos or 0) == sum(attempt.cost_nanos for attempt in event.attempts)
        assert event.status == "recovered" or event.call_id in told
    for team in TEAMS:
        assert control.leased(team) == 0, "a lease is left open"
        costs = sum(e.cost_nanos or 0 for e in control.events if e.attribution.team == team)
        assert control.spent(team) == costs
        assert control.periods[team].overrun == control.periods[team].suspense == 0


def test_every_beginning_of_a_journal_leads_to_whole_books(loop: HandLoop, life: Life, tmp_path: Path) -> None:
    data = whole_journal(life)
    for number, (end, seq) in enumerate(boundaries(data)):
        root, control = tmp_path / f"at-{number}", store_when(life, seq)
        died_after(root, data[:end])
        assert adopt(loop, root, control) == 1
        check_books(life, control, data[:end])


def test_a_torn_last_write_is_as_if_it_had_never_been_begun(loop: HandLoop, life: Life, tmp_path: Path) -> None:
    """Nothing that it announces was done: cut at every byte."""
    data = whole_journal(life)
    ends = boundaries(data)
    (start, seq), (end, _) = ends[-2], ends[-1]
    for cut in range(start, end):
        root, control = tmp_path / f"at-{cut}", store_when(life, seq)
        died_after(root, data[:cut])
        assert adopt(loop, root, control) == 1
        check_books(life, control, data[:start])


def test_adopting_twice_changes_nothing(loop: HandLoop, life: Life, tmp_path: Path) -> None:
    control = store_when(life, 10**9)
    directory = died_after(tmp_path / "root", whole_journal(life))
    adopt(loop, tmp_path / "root", control)
    before = (dict(control.periods), list(control.events), replay(directory).next_seq)
    assert adopt(loop, tmp_path / "root", control) == 0
    (directory / RETIRED_MARK).unlink()
    assert adopt(loop, tmp_path / "root", control) == 1
    assert (dict(control.periods), list(control.events), replay(directory).next_seq) == before


def test_an_adoption_that_is_cut_off_is_done_by_the_next(loop: HandLoop, life: Life, tmp_path: Path) -> None:
    data = whole_journal(life)
    control = store_when(life, 10**9)
    died_after(tmp_path / "root", data)
    control.down = True
    with pytest.raises(LinkDown):
        adopt(loop, tmp_path / "root", control)
    assert control.events == []
    control.down = False
    links: list[FakeLink] = []
    assert adopt(loop, tmp_path / "root", control, links) == 1
    check_books(life, control, data)
    assert all(link.closed for link in links)


def test_what_was_shipped_already_is_not_posted_again(loop: HandLoop, life: Life, tmp_path: Path) -> None:
    data = whole_journal(life)
    for number, (end, _) in enumerate(boundaries(data)):
        control = store_when(life, 10**9)
        control.apply(NODE, data[:end], 1, GENESIS)
        root = tmp_path / f"at-{number}"
        died_after(root, data)
        adopt(loop, root, control)
        check_books(life, control, data)


def test_the_journal_of_a_living_node_is_left_alone(loop: HandLoop, life: Life, tmp_path: Path) -> None:
    control = store_when(life, 10**9)
    directory = died_after(tmp_path / "root", whole_journal(life))
    living = Journal(directory, NODE)
    assert adopt(loop, tmp_path / "root", control) == 0
    living.close()
    assert adopt(loop, tmp_path / "root", control) == 1


def test_another_gateway_that_was_faster_leaves_nothing_to_do(
    loop: HandLoop, life: Life, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the directory and its lock it may have been adopted, or removed."""
    root = tmp_path / "root"
    directory = died_after(root, whole_journal(life))
    control = store_when(life, 10**9)
    monkeypatch.setattr("keeptrusts.gateway.adoption.abandoned_journals", lambda *_: [directory, root / "nod_gone"])
    (directory / RETIRED_MARK).touch()
    assert adopt(loop, root, control) == 0
    assert control.registered == []


def test_only_the_newest_retired_journals_are_kept(loop: HandLoop, tmp_path: Path) -> None:
    for number in range(KEEP_RETIRED + 3):
        directory = tmp_path / f"nod_{number:03d}"
        directory.mkdir()
        (directory / "lock").touch()
        (directory / RETIRED_MARK).touch()
        os.utime(directory / RETIRED_MARK, (number, number))
    (tmp_path / "nod_000" / RETIRED_MARK).touch()
    (tmp_path / "nod_001" / RETIRED_MARK).touch()
    adopt(loop, tmp_path, FakeControl())
    left = {path.name for path in tmp_path.iterdir()}
    assert len(left) == KEEP_RETIRED
    assert {"nod_000", "nod_001"} < left, "they were retired last"


def test_a_journal_of_many_segments_is_recovered_without_those_that_were_forgotten(
    loop: HandLoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that lives long drops what it has shipped; its leases must be found in what is left."""
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES", 700)
    life = Life(loop, tmp_path / "root" / NODE)
    life.live()
    life.close()
    paths = segments(life.journal.directory)
    assert len(paths) > 3
    seq, chain = 1, GENESIS
    for path in paths[:-2]:
        data = path.read_bytes()
        life.control.apply(NODE, data, seq, chain)
        *_, last = read_groups(data, seq, chain)
        seq, chain = last.last_seq + 1, last.chain
        path.unlink()
    assert replay(life.journal.directory).open_leases
    assert adopt(loop, tmp_path / "root", life.control) == 1
    assert [life.control.leased(team) for team in TEAMS] == [0, 0]
    assert Counter(event.call_id for event in life.control.events) == Counter("abcdefgh")


def test_after_a_reboot_what_is_left_of_a_lease_counts_as_spent(
    loop: HandLoop, life: Life, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last writes may be missing: nobody can prove that the rest was not spent."""
    monkeypatch.setattr("keeptrusts.gateway.adoption.machine_boot_id", lambda: "another boot")
    control = store_when(life, 10**9)
    left = sum(control.leased(team) for team in TEAMS)
    died_after(tmp_path / "root", whole_journal(life))
    adopt(loop, tmp_path / "root", control)
    assert sum(control.leased(team) for team in TEAMS) == 0
    suspense, spent = sum(control.periods[team].suspense for team in TEAMS), sum(map(control.spent, TEAMS))
    assert suspense > 0
    assert 0 < suspense + spent <= left


def damaged_at(life: Life, place: int) -> tuple[bytes, bytes]:
    """The node's journal with a bit of this group turned, and what is whole before it."""
    data = whole_journal(life)
    start, end = (boundaries(data)[n][0] for n in (place, place + 1))
    turned = bytearray(data)
    turned[(start + end) // 2] ^= 1
    return bytes(turned), data[:start]


@pytest.mark.parametrize("place", [0, 1, 5, -3])
def test_of_a_damaged_journal_what_is_whole_is_booked_and_what_nobody_can_prove_is_in_suspense(
    loop: HandLoop, life: Life, tmp_path: Path, place: int, caplog: pytest.LogCaptureFixture
) -> None:
    data, whole = damaged_at(life, place)
    root, control = tmp_path / "root", store_when(life, 10**9)
    directory = died_after(root, data)
    other = root / "nod_whole"
    other.mkdir()
    (other / "lock").touch()
    leased = {team: control.leased(team) for team in TEAMS}
    assert adopt(loop, root, control) == 2, "and the others are not kept"
    assert str(directory) in caplog.text
    [aside] = directory.glob("*.damaged")
    assert aside.read_bytes() == data, "kept as it was found"
    sent = {(r.call_id, r.attempt) for r in records_of(whole) if isinstance(r, Reserve)}
    rows = Counter(event.call_id for event in control.events)
    assert rows.keys() == {call_id for call_id, _ in sent} | {
        r.call_id for r in records_of(whole) if isinstance(r, Event)
    }
    assert set(rows.values()) <= {1}
    for team in TEAMS:
        period = control.periods[team]
        assert (period.leased, period.overrun) == (0, 0)
        returned = sum(r.nanos for r in records_of(whole) if isinstance(r, Return) and _team_of(control, r) == team)
        closed = {r.lease_id for r in records_of(whole) if isinstance(r, CloseLease) and r.team_id == team}
        if not closed:
            assert period.spent + period.suspense + returned == leased[team], "nothing that may have been spent is free"
    assert "damaged" in control.lost[NODE]
    assert adopt(loop, root, control) == 0


def _team_of(control: FakeControl, record: Return) -> str:
    return control.leases[record.lease_id].wallet_id.removeprefix("wal_")


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 6])
def test_a_separation_that_is_cut_off_is_finished_by_the_next(
    loop: HandLoop, life: Life, tmp_path: Path, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between any two steps: what is left is never taken for the whole."""
    data, _ = damaged_at(life, 5)
    want = store_when(life, 10**9)
    died_after(tmp_path / "want", data)
    adopt(loop, tmp_path / "want", want)
    root, control = tmp_path / "root", store_when(life, 10**9)
    directory = died_after(root, data)

    class Crash(BaseException):
        pass

    left = steps

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **more: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Crash
            return real(*args, **more)

        return step

    for owner, name in ((Path, "write_text"), (Path, "rename"), (Path, "replace"), (Path, "unlink"), (os, "link")):
        monkeypatch.setattr(owner, name, counted(getattr(owner, name)))
    with contextlib.suppress(Crash):
        mark_damaged(directory, "a test")
        set_damage_aside(directory)
    monkeypatch.undo()
    adopt(loop, root, control)
    assert control.periods == want.periods
    assert [e.call_id for e in control.events] == [e.call_id for e in want.events]
    assert [path.read_bytes() for path in directory.glob("*.damaged")] == [data]


def test_damage_in_what_the_store_has_already_loses_no_row(loop: HandLoop, life: Life, tmp_path: Path) -> None:
    """The store is ahead of what is left: its rows stand, nothing is written twice, only the leases are in doubt."""
    whole = whole_journal(life)
    data, _ = damaged_at(life, 5)
    control = store_when(life, 10**9)
    control.apply(NODE, whole, 1, GENESIS)
    events = list(control.events)
    died_after(tmp_path / "root", data)
    assert adopt(loop, tmp_path / "root", control) == 1
    assert control.events == events
    assert [control.leased(team) for team in TEAMS] == [0, 0]


def test_damage_in_one_of_many_segments_keeps_those_after_it_aside(
    loop: HandLoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES", 700)
    life = Life(loop, tmp_path / "root" / NODE)
    life.live()
    life.close()
    directory = life.journal.directory
    paths = segments(directory)
    contents = {path.name: path.read_bytes() for path in paths}
    hurt = bytearray(contents[paths[1].name])
    hurt[20] ^= 1
    paths[1].write_bytes(hurt)
    assert adopt(loop, tmp_path / "root", life.control) == 1
    assert segments(directory)[0].read_bytes() == contents[paths[0].name]
    aside = sorted(path.name for path in directory.glob("*.damaged"))
    assert aside == [f"{path.name}.damaged" for path in paths[1:]]
    assert [life.control.leased(team) for team in TEAMS] == [0, 0]


def test_without_a_control_plane_a_damaged_journal_is_completed_as_far_as_it_goes(
    loop: HandLoop, life: Life, tmp_path: Path
) -> None:
    data, whole = damaged_at(life, 5)
    directory = died_after(tmp_path / "root", data)
    assert loop.done(adopt_journals(tmp_path / "root", REGISTRATION, None, lambda: 9)) == 1
    found = replay(directory)
    assert (found.open_leases, found.latest_reserve) == ({}, {})
    [first, *_] = segments(directory)
    assert first.read_bytes().startswith(whole)


def test_a_journal_that_the_store_does_not_take_does_not_keep_the_gateway_from_starting(
    loop: HandLoop, life: Life, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    control = store_when(life, 10**9)
    control.refuses_ships = True
    directory = died_after(tmp_path / "root", whole_journal(life))
    assert adopt(loop, tmp_path / "root", control) == 0
    assert str(directory) in caplog.text
    control.refuses_ships = False
    assert adopt(loop, tmp_path / "root", control) == 1, "the next start tries again"


def test_a_journal_that_lost_what_was_shipped_is_given_up_aloud(
    loop: HandLoop, life: Life, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The disk has less than the store has applied: what the rest of its leases paid for nobody can prove."""
    data = whole_journal(life)
    ends = [group.end_offset for group in read_groups(data, 1, GENESIS)]
    for kept in (0, *ends[:3]):
        control = store_when(life, life.journal.written_seq)
        applied = control.apply(NODE, data, 1, GENESIS)
        died_after(tmp_path / str(kept), data[:kept])
        assert adopt(loop, tmp_path / str(kept), control) == 1
        assert f"it has records up to {applied}" in caplog.text
        assert sum(control.leased(team) for team in TEAMS) == 0
        assert sum(control.periods[team].suspense for team in TEAMS) > 0
        caplog.clear()


def test_what_recovery_writes_is_never_taken_for_what_the_store_has(loop: HandLoop, life: Life, tmp_path: Path) -> None:
    """It may end just where the store is: with the same number, and another content."""
    data = whole_journal(life)
    ends = [group.end_offset for group in read_groups(data, 1, GENESIS)]
    for kept in range(1, 6):
        for shipped in range(kept + 1, kept + 12):
            control = store_when(life, life.journal.written_seq)
            control.apply(NODE, data[: ends[shipped - 1]], 1, GENESIS)
            root = tmp_path / f"{kept}-{shipped}"
            directory = died_after(root, data[: ends[kept - 1]])
            adopted = adopt(loop, root, control)
            assert adopted == (directory / RETIRED_MARK).exists()
            assert not adopted or sum(control.periods[team].suspense for team in TEAMS) > 0


def test_after_a_reboot_no_lease_is_forgotten_whatever_the_disk_lost(
    loop: HandLoop, life: Life, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store granted leases and applied records of which nothing is left on the disk."""
    monkeypatch.setattr("keeptrusts.gateway.adoption.machine_boot_id", lambda: "another boot")
    data = whole_journal(life)
    ends = [group.end_offset for group in read_groups(data, 1, GENESIS)]
    for kept in range(6):
        for shipped in range(kept + 12):
            control = store_when(life, life.journal.written_seq)
            control.apply(NODE, data[: [0, *ends][shipped]], 1, GENESIS)
            root = tmp_path / f"{kept}-{shipped}"
            directory = died_after(root, data[: [0, *ends][kept]])
            assert adopt(loop, root, control) == 1
            assert (directory / RETIRED_MARK).exists()
            assert sum(control.leased(team) for team in TEAMS) == 0
            assert sum(control.periods[team].suspense for team in TEAMS) > 0


def test_without_a_control_plane_a_journal_is_only_completed(loop: HandLoop, life: Life, tmp_path: Path) -> None:
    directory = died_after(tmp_path / "root", whole_journal(life))
    assert loop.done(adopt_journals(tmp_path / "root", REGISTRATION, None, lambda: 9)) == 1
    [*_] = paths = segments(directory)
    records: list[Record] = []
    seq, chain = 1, GENESIS
    for path in paths:
        for group in read_groups(path.read_bytes(), seq, chain):
            records += [decode_record(record) for record in group.records]
            seq, chain = group.last_seq + 1, group.chain
    opened = {r.lease_id for r in records if isinstance(r, LeaseIntent)}
    assert opened == {r.lease_id for r in records if isinstance(r, CloseLease)}
    assert Counter(r.call_id for r in records if isinstance(r, Event)) == Counter("abcdefgh")


def test_a_recovered_call_says_so_and_is_posted_at_its_hold(loop: HandLoop, life: Life, tmp_path: Path) -> None:
    control = store_when(life, 10**9)
    died_after(tmp_path / "root", whole_journal(life))
    adopt(loop, tmp_path / "root", control)
    [g] = [event for event in control.events if event.call_id == "g"]
    assert (g.status, g.reason, g.cost_nanos, g.usage_source) == ("recovered", "node_crashed", HOLD, "worst_case")
    assert [attempt.outcome for attempt in g.attempts] == ["indeterminate"]
    assert g.request_id == "req-g"


def test_two_gateways_that_start_at_once_recover_a_journal_once(loop: HandLoop, life: Life, tmp_path: Path) -> None:
    data = whole_journal(life)
    control = store_when(life, 10**9)
    died_after(tmp_path / "root", data)

    async def both() -> list[int]:
        starts = [adopt_journals(tmp_path / "root", REGISTRATION, lambda: FakeLink(control), lambda: 9) for _ in "ab"]
        return await asyncio.gather(*starts)

    assert sum(loop.done(both())) == 1
    check_books(life, control, data)
    shutil.rmtree(tmp_path / "root")
