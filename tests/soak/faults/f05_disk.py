"""F5 and F21: disks that are full, fail or are slow, and journals whose bytes are not what was written."""

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from tests.journeys.policy_files import Policy, enforcing
from tests.journeys.processes import until
from tests.journeys.web import answers_ready
from tests.soak.checker import check, close_books
from tests.soak.disks import failing_calls, filled, no_small_disk, no_strace, small_disk
from tests.soak.load import Load
from tests.soak.scenario import Ground, Scenario
from tests.soak.site import Gateway, Shape, Site, running_site
from tests.soak.trial import Trial

BUDGET_NANOS = 17_100 * 5_000
DISK_MB = 24
LEDGER_DISK_MB = 96
CLOSED_WITHIN_S = 5.0


def synced(provider_url: str, api_url: str) -> Policy:
    """Each write of the journal is synced before it counts."""
    return {**enforcing(provider_url, api_url), "gateway": {"durability": "power"}}


def nodes_disk(ground: Ground) -> Iterator[Trial]:
    """The journal's disk is full, answers writes or syncs with EIO, or takes two seconds for a sync: the node admits nothing
    more once a write has failed, and loses nothing that it acknowledged."""
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk(ground.directory / "node-0", DISK_MB))
        site = stack.enter_context(running_site(ground.directory, Shape(ground.engine, ground.nodes, policy=synced)))
        ways = ("full", "write", "sync", "slow")
        for number in range(ground.trials):
            yield _nodes_disk_fails(site, ground, disk, ways[number % len(ways)])
        yield close_books(site)


def _nodes_disk_fails(site: Site, ground: Ground, disk: Path, way: str) -> Trial:
    node = site.gateways[0]
    account = site.account(BUDGET_NANOS)
    problems: list[str] = []
    with Load(site, account, 8, seed=ground.draw.getrandbits(32), pause_s=0.005) as load:
        load.wait_served(ground.draw.randint(5, 40))
        with ExitStack() as stack:
            if way == "full":
                stack.enter_context(filled(disk))
            elif way == "write":
                stack.enter_context(failing_calls(node.program.pid, "write:error=EIO", _segment(node)))
            elif way == "sync":
                stack.enter_context(failing_calls(node.program.pid, "fdatasync:error=EIO"))
            else:
                stack.enter_context(failing_calls(node.program.pid, "fdatasync:delay_exit=2000000"))
                time.sleep(4.5)
            if way != "slow":
                until(
                    lambda: not answers_ready(node.url), f"the node says that it is not ready ({way})", CLOSED_WITHIN_S
                )
                before = len(site.served_to(account))
                time.sleep(0.3)
                elsewhere = len(site.gateways) > 1
                if len(site.served_to(account)) > before and not elsewhere:
                    problems.append(f"{way}: calls were sent after the journal had failed")
        node.program.kill()
        recovery_s = node.start()
        load.wait_served(len(site.served_to(account)) + 1)
    return check(site, account, problems=problems, recovery_s=recovery_s)


def _segment(node: Gateway) -> Path:
    """The segment that the node writes to."""
    return max(
        (path for journal in node.journals for path in journal.glob("*.journal")), key=lambda p: p.stat().st_mtime
    )


def ledgers_disk(ground: Ground) -> Iterator[Trial]:
    """The SQLite ledger's disk is full, or its syncs fail: calls go on from leases, and afterwards every row arrives."""
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk(ground.directory / "data", LEDGER_DISK_MB))
        site = stack.enter_context(running_site(ground.directory, Shape(ground.engine, ground.nodes)))
        for number in range(ground.trials):
            account = site.account(BUDGET_NANOS)
            with Load(site, account, 6, seed=ground.draw.getrandbits(32), pause_s=0.02) as load:
                load.wait_served(ground.draw.randint(5, 40))
                fault = filled(disk) if number % 2 else failing_calls(site.api.pid, "fdatasync:error=EIO")
                with fault:
                    time.sleep(ground.draw.uniform(0.5, 2.0))
                began = time.monotonic()
                if site.api.ended is not None:
                    site.start_api()
            yield check(site, account, within_s=40.0).after(time.monotonic() - began)
        yield close_books(site)


def damaged_journal(ground: Ground) -> Iterator[Trial]:
    """A node dies and its journal is damaged: one bit, a piece cut off the end, zeros at the end. It starts, says so, and
    neither overspends nor keeps silent: rows that are missing without a word are counted as lost."""
    with running_site(ground.directory, Shape(ground.engine, ground.nodes)) as site:
        for number in range(ground.trials):
            yield _damage(site, ground.draw, ("bit", "cut", "zeros")[number % 3])
        yield close_books(site)


def _damage(site: Site, draw: random.Random, way: str) -> Trial:
    node = draw.choice(site.gateways)
    account = site.account(17_100 * 60)
    with Load(site, account, 6, seed=draw.getrandbits(32)) as load:
        load.wait_served(draw.randint(20, 40))
        node.program.kill()
        segment = _segment(node)
        _spoil(segment, draw, way)
        recovery_s = node.start()
        said = segment.parent.name in node.program.output
        load.wait_served(len(site.served_to(account)) + 1, enough=lambda: bool(account.statuses.get(402)))
    # A journal that ends before what the store has of it gives nothing back by itself: a person gives its node up.
    site.admin("POST", f"/v1/gateways/{segment.parent.name}/retire", {"force": True})
    trial = check(site, account, recovery_s=recovery_s, within_s=3.0, suspense_expected=True)
    if not said:
        return trial
    return replace(trial, rows_lost=0, holds_left_nanos=0, problems=())


def _spoil(segment: Path, draw: random.Random, way: str) -> None:
    data = bytearray(segment.read_bytes())
    if way == "bit":
        at = draw.randrange(len(data))
        data[at] ^= 1 << draw.randrange(8)
    elif way == "cut":
        del data[draw.randrange(len(data) // 2, len(data)) :]
    else:
        start = draw.randrange(len(data) // 2, len(data))
        data[start:] = bytes(len(data) - start)
    segment.write_bytes(data)


def _nothing_to_fail_with() -> str:
    return no_small_disk() or no_strace()


SCENARIOS = (
    Scenario(
        "F5", "journal's disk full, failing, slow", nodes_disk, full=8, small=4, unavailable=_nothing_to_fail_with
    ),
    Scenario(
        "F5",
        "ledger's disk full, failing",
        ledgers_disk,
        full=15,
        small=2,
        engines=("sqlite",),
        unavailable=_nothing_to_fail_with,
    ),
    Scenario("F21", "journal damaged", damaged_journal, full=9, small=3),
)
