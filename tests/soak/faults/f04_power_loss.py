"""F4 and F16: journals that end at any byte, and batches that come twice, late, or not at all."""

import asyncio
import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from keeptrusts.clock import SystemClock
from keeptrusts.control.context import Tools
from keeptrusts.control.journal_reading import JournalGap
from keeptrusts.control.opening import open_control
from keeptrusts.core.ledger.journal_format import GENESIS, read_groups
from keeptrusts.core.ledger.records import CloseLease, Event, Record, Reserve, decode_record
from keeptrusts.core.link import Registration
from keeptrusts.gateway import journal as journal_module
from keeptrusts.gateway.adoption import adopt_journals, replay
from keeptrusts.gateway.journal import Journal, segment_name, segments
from tests.control.funds import account, fund
from tests.hand_clock import HandClock
from tests.ledger_node import LedgerNode
from tests.soak.ledgers import ledger
from tests.soak.load import Load
from tests.soak.local_link import LocalLink
from tests.soak.scenario import Ground, Scenario
from tests.soak.site import Shape, running_site
from tests.soak.trial import Trial

REGISTRATION = Registration("nod_adopter", "host", "0", ("openai",), True, (), (), ())
CALLS_RECORDED = 8
CALL_NANOS = 17_100
START = datetime(2026, 4, 15, 9, 30, tzinfo=UTC)


def every_prefix(ground: Ground) -> Iterator[Trial]:
    """A real node is killed; each beginning of its journal is replayed, and each that ends between two writes is adopted
    into a fresh ledger. A trial is one journal, counted by its prefixes."""
    done = number = 0
    with running_site(ground.directory / "site", Shape()) as site:
        while done < ground.trials:
            number += 1
            budget = CALL_NANOS * 30
            team = site.account(budget)
            with Load(site, team, 3, calls_max=CALLS_RECORDED, seed=ground.draw.getrandbits(32)) as load:
                load.wait_served(ground.draw.randint(3, CALLS_RECORDED))
                site.gateways[0].program.kill()
            [living] = [j for j in site.gateways[0].journals if not (j / "retired").exists()]
            [segment] = segments(living)
            data = segment.read_bytes()
            billed = {served.request_id: served.cost_nanos for served in site.served_to(team)}
            site.gateways[0].start()
            trial = asyncio.run(
                _prefixes(ground, ground.directory / f"journal-{number}", data, living.name, team.team, budget, billed)
            )
            done += trial.count
            yield trial


async def _prefixes(
    ground: Ground, directory: Path, data: bytes, node_id: str, team: str, budget: int, billed: dict[str, int]
) -> Trial:
    ends = [0, *(group.end_offset for group in read_groups(data, 1, GENESIS))]
    problems: Counter[str] = Counter()
    lost = doubled = overspend = left = 0
    at_boundary: tuple[Any, ...] = ()
    for cut in range(len(data) + 1):
        place = _journal(directory / "read" / node_id, data[:cut])
        try:
            found = replay(place)
        except Exception as error:
            problems[f"the replay of a beginning raised {type(error).__name__}"] += 1
            continue
        state = (found.next_seq, sorted(found.open_attempts), sorted(found.open_leases))
        if cut in ends:
            at_boundary = state
        elif state != at_boundary:
            problems["a torn write changed what was before it"] += 1
    for number, end in enumerate(ends):
        root = directory / f"adopted-{number}"
        _journal(root / node_id, data[:end])
        async with open_control(directory / f"ledger-{number}", "the-admin-token") as control:
            store = control.store
            wallet = await fund(store, team, monthly=budget)
            await adopt_journals(root, REGISTRATION, lambda: LocalLink(control), SystemClock().unix_ns)
            records = _records(data[:end])
            sent = {record.request_id for record in records if isinstance(record, Reserve)}
            told = {record.request_id for record in records if isinstance(record, Event)}
            calls = {r.call_id for r in records if isinstance(r, Reserve | Event)}
            async with store.ledger() as books:
                known = await books.events.known(sorted(calls))
            lost += len(calls - known)
            if not sent | told:
                continue
            after = await account(store, wallet, "monthly", datetime.now(UTC))
            overspend += max(0, after.posted - budget)
            left += after.leased
            if after.posted + after.unleased + after.overrun < sum(billed.get(name, 0) for name in sent):
                problems["less is posted than the provider billed"] += 1
            if after.overrun or after.unleased:
                problems["money was spent outside of leases"] += 1
    return Trial(
        count=len(data) + 1,
        calls=len(billed),
        overspend_nanos=overspend,
        rows_lost=lost,
        rows_doubled=doubled,
        holds_left_nanos=left,
        problems=tuple(problems),
    )


def _journal(directory: Path, data: bytes) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "lock").touch()
    (directory / segment_name(1, GENESIS)).write_bytes(data)
    return directory


def _records(data: bytes) -> list[Record]:
    return [decode_record(record) for group in read_groups(data, 1, GENESIS) for record in group.records]


class _PowerlessOs:
    """The ``os`` of a journal whose disk forgets what was not synced: it notes how much of the file was."""

    def __init__(self) -> None:
        self.synced_bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def fdatasync(self, descriptor: int) -> None:
        size = os.fstat(descriptor).st_size
        os.fdatasync(descriptor)
        self.synced_bytes = size


@contextmanager
def _noted_syncs() -> Iterator[_PowerlessOs]:
    noted = _PowerlessOs()
    journal_module.os = noted  # type: ignore[attr-defined]
    try:
        yield noted
    finally:
        journal_module.os = os  # type: ignore[attr-defined]


def power_cuts(ground: Ground) -> Iterator[Trial]:
    """``durability: power``: the power fails at the moment of each acknowledgement; what was not synced is gone, or garbage.
    Every record that was acknowledged is read back."""
    done = number = 0
    while done < ground.trials:
        number += 1
        with _noted_syncs() as noted:
            directory = ground.directory / str(number)
            directory.mkdir(parents=True)
            trial = asyncio.run(_power(directory, noted, ground.draw))
        done += trial.count
        yield trial


async def _power(directory: Path, noted: _PowerlessOs, draw: random.Random) -> Trial:
    journal = Journal(directory, "nod_power", "power")
    node = LedgerNode(None, Tools(HandClock(START)), "nod_power")  # type: ignore[arg-type]
    acknowledged: list[tuple[str, int]] = []

    async def caller(number: int) -> None:
        for call in range(6):
            name = f"evt_{number}_{call}"
            await asyncio.sleep(draw.random() * 0.004)
            for record in node.call_records(name, None, draw.randint(1, 100)):
                journal.append(record)
            await journal.written()
            acknowledged.append((name, noted.synced_bytes))

    await asyncio.gather(*(caller(number) for number in range(5)))
    journal.close()
    [segment] = segments(directory)
    whole, lost, problems = segment.read_bytes(), 0, Counter[str]()
    for place, (_, synced) in enumerate(acknowledged):
        survived = whole[: draw.randint(synced, min(len(whole), synced + 3_000))]
        garbage = draw.randbytes(draw.randint(0, 40)) if draw.random() < 0.3 else b""
        copy = _journal(directory / "after" / str(place), survived + garbage)
        try:
            replay(copy)
        except Exception as error:
            if not garbage:
                problems[f"the replay after a power cut raised {type(error).__name__}"] += 1
            continue
        [kept] = segments(copy)
        names = {record.call_id for record in _records(kept.read_bytes()) if isinstance(record, Event)}
        lost += sum(name not in names for name, at in acknowledged[: place + 1] if at <= synced)
    return Trial(count=len(acknowledged), calls=len(acknowledged), rows_lost=lost, problems=tuple(problems))


def disorderly_batches(ground: Ground) -> Iterator[Trial]:
    """A journal's groups arrive doubled, overlapping, in another order and with gaps: each counts once, gaps are refused."""
    for number in range(ground.trials):
        directory = ground.directory / str(number)
        directory.mkdir(parents=True)
        yield asyncio.run(_disorder(ground, directory, number))


async def _disorder(ground: Ground, directory: Path, number: int) -> Trial:
    draw, calls, team = ground.draw, 40, f"team_{number}"
    async with ledger(ground.engine, directory) as store:
        wallet = await fund(store, team, monthly=1_000_000)
        node = LedgerNode(store, Tools(HandClock(START)))
        lease, spent = "lse_1", 0
        granted = (await node.ask(lease, 500_000, team=team)).granted_nanos
        for call in range(calls):
            cost = draw.randint(1, granted // calls)
            spent += cost
            node.write_call(f"evt_{call}", lease, cost, team=team)
        node.write(CloseLease(lease, team))
        refused, problems = 0, []
        applied = 0
        while applied < len(node.groups):
            first = draw.randint(max(0, applied - 6), min(len(node.groups) - 1, applied + 3))
            last = draw.randint(first + 1, min(len(node.groups), first + 8))
            try:
                await node.ship_groups(node.groups[first:last])
                if first > applied:
                    problems.append("a gap was accepted")
                applied = max(applied, last)
            except JournalGap:
                refused += 1
                if first <= applied:
                    problems.append("a batch without a gap was refused")
        after = await account(store, wallet, "monthly", START)
        async with store.ledger() as books:
            known = await books.events.known([f"evt_{call}" for call in range(calls)])
        if after.posted != spent:
            problems.append(f"{after.posted} nano-USD are posted, {spent} were spent")
    return Trial(calls=calls, rows_lost=calls - len(known), holds_left_nanos=after.leased, problems=tuple(problems))


SCENARIOS = (
    Scenario("F4", "journal ends at any byte", every_prefix, full=40_000, small=2_000, engines=("sqlite",), nodes=(0,)),
    Scenario("F4", "power cut, durability power", power_cuts, full=1_000, small=30, engines=("journal",), nodes=(0,)),
    Scenario("F16", "batches doubled, late, missing", disorderly_batches, full=30, small=2, nodes=(0,)),
)
