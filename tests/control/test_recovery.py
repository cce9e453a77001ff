"""A store that was put back to an older state grants nothing until its nodes have brought back what it lost."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from keeptrusts.control import balances, leases, nodes, recovery, wallets
from keeptrusts.control.batches import apply_batch
from keeptrusts.control.context import Actor, Control
from keeptrusts.control.denial import Denial
from keeptrusts.control.losses import InRecovery
from keeptrusts.control.opening import open_control
from keeptrusts.control.wallets import Allocation
from keeptrusts.core.ledger.grant import GrantAnswer, GrantRequest
from keeptrusts.core.ledger.records import CloseLease, End, Granted
from keeptrusts.core.ledger.recovery import LEAST_MS, Awaited, NodeMark, Recovery, Said
from keeptrusts.core.link import Heartbeat, Registration
from keeptrusts.store.books import SqlStore
from keeptrusts.store.contracts import LedgerStore
from tests.control.conftest import ADMIN_TOKEN
from tests.hand_clock import HandClock
from tests.ledger_node import LedgerNode, attempt, event, reserve

pytestmark = pytest.mark.anyio

ADMIN = Actor("admin", "admin")
Opening = Callable[[], AbstractAsyncContextManager[Control]]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heartbeats are answered without their wait."""
    monkeypatch.setattr(nodes, "HEARTBEAT_WAIT_S", 0.001)


@pytest.fixture
def opening(tmp_path: Path, clock: HandClock) -> Opening:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Control]:
        async with open_control(tmp_path / "data", ADMIN_TOKEN, clock) as control:
            yield control

    return opened


class Member:
    """A registered node: its journal, and what it says of itself when it is heard."""

    def __init__(self, node_id: str) -> None:
        self.node_id = node_id
        self.journal: LedgerNode | None = None
        self.grants = 0
        self.shipped_seq = 0

    async def join(self, control: Control) -> None:
        """Registers, or speaks to a store that was opened again."""
        await nodes.register(control, Registration(self.node_id, "host", "1", (), True, (), (), ()))
        before, self.journal = self.journal, LedgerNode(control.store, control.tools, self.node_id)
        if before is not None:
            self.journal.groups, self.journal.shipped = before.groups, before.shipped
            self.journal.next_seq, self.journal.chain = before.next_seq, before.chain

    async def ask(self, control: Control, lease_id: str, need: int) -> GrantAnswer:
        """As the API answers it; the grant is noted in the journal."""
        assert self.journal is not None
        grant_id = f"grt_{self.node_id}_{self.journal.next_seq}"
        request = GrantRequest(grant_id, lease_id, "team_a", need, need, (), self.grants)
        terms = await nodes.terms_of(control, self.node_id)
        answer = await recovery.granting(control, leases.grant(control.store, control.tools, terms, request))
        if answer.granted_nanos:
            self.grants += 1
            at_ns = control.tools.clock.unix_ns()
            self.journal.write(Granted(grant_id, lease_id, answer.granted_nanos, "team_a", (), at_ns))
        return answer

    async def ship(self) -> None:
        assert self.journal is not None
        self.shipped_seq = await self.journal.ship()

    async def ship_all(self, control: Control) -> None:
        """Everything from the first record on, as after a gap."""
        assert self.journal is not None
        self.journal.shipped = 0
        await self.ship()

    async def beat(self, control: Control, seen_seq: int = 0) -> bool:
        """Whether the store says that it is recovering."""
        assert self.journal is not None
        said = Heartbeat(seen_seq, {}, self.journal.next_seq - 1, self.shipped_seq, self.grants)
        return (await nodes.heartbeat(control, self.node_id, said)).recovering


async def backed_up(control: Control, tmp_path: Path) -> bytes:
    """A copy of the database as it stands: everything is in its one file."""
    async with control.store._database.transaction() as sql:  # type: ignore[attr-defined]
        await sql.execute("SELECT 1")
    target = tmp_path / "backup.db"
    target.unlink(missing_ok=True)
    lane = control.store._database._writer  # type: ignore[attr-defined]
    await lane.run(lane.connection.execute, f"VACUUM INTO '{target}'")
    return target.read_bytes()


def put_back(tmp_path: Path, backup: bytes) -> None:
    for left in (tmp_path / "data").glob("ledger.db*"):
        left.unlink()
    (tmp_path / "data" / "ledger.db").write_bytes(backup)


async def test_a_store_in_order_never_recovers(opening: Opening) -> None:
    member = Member("node_1")
    async with opening() as control:
        await wallets.allocate(control, ADMIN, Allocation("team", "team_a", 1_000))
        await member.join(control)
        assert (await member.ask(control, "lse_1", 100)).granted_nanos == 100
        assert not await member.beat(control), "what waits to be shipped is no loss"
        await member.ship()
        assert not await member.beat(control)
    async with opening() as control:
        assert not await member.beat(control)
        assert (await member.ask(control, "lse_1", 10)).granted_nanos == 10
        assert (await recovery.progress(control)).since is None
        with pytest.raises(Denial, match="not in recovery"):
            await recovery.finish(control, ADMIN)


async def test_an_older_database_is_told_by_its_tally_and_completed_by_its_nodes(
    opening: Opening, tmp_path: Path, clock: HandClock
) -> None:
    """F7: nothing is granted twice, every row is there again, and it ends by itself."""
    spender, other = Member("node_1"), Member("node_2")
    async with opening() as control:
        await wallets.allocate(control, ADMIN, Allocation("team", "team_a", 100))
        await spender.join(control)
        await other.join(control)
        backup = await backed_up(control, tmp_path)
        await spender.ask(control, "lse_1", 90)
        assert spender.journal is not None
        done = event("evt_1", (attempt("lse_1", 60),), at_ns=clock.unix_ns())
        spender.journal.write(reserve("evt_1", "lse_1", 60), done)
        await spender.ship()
    put_back(tmp_path, backup)
    async with opening() as control:
        assert (await recovery.progress(control)).reason == "1 grants were made, and the database knows of 0"
        await spender.join(control)
        await other.join(control)
        with pytest.raises(InRecovery):
            await other.ask(control, "lse_2", 50)
        assert await other.beat(control)
        assert await spender.beat(control)
        clock.turn(timedelta(milliseconds=LEAST_MS))
        assert await other.beat(control), "one node has not brought its journal yet"
        found = {node.node_id: node.complete for node in (await recovery.progress(control)).nodes}
        assert found == {"node_1": False, "node_2": True}
        await spender.ship_all(control)
        assert not await spender.beat(control), "over"
        assert not await other.beat(control)
        assert (await other.ask(control, "lse_2", 50)).granted_nanos == 10, "what nobody has"
        found_now = await balances.balance(control, "team_a", None)
        assert found_now.balance_nanos == 40
    async with opening() as control:
        assert (await recovery.progress(control)).since is None, "the tally agrees again"


@pytest.mark.parametrize("by", ["heartbeat", "question", "journal", "changes"])
async def test_without_a_tally_nodes_tell(opening: Opening, tmp_path: Path, by: str) -> None:
    member = Member("node_1")
    async with opening() as control:
        await wallets.allocate(control, ADMIN, Allocation("team", "team_a", 100))
        await member.join(control)
        backup = await backed_up(control, tmp_path)
        await member.ask(control, "lse_1", 50)
        if by == "heartbeat":
            await member.ship()
            member.grants = 0
    put_back(tmp_path, backup)
    (tmp_path / "data" / "grant-tally").unlink()
    async with opening() as control:
        await member.join(control)
        assert (await recovery.progress(control)).since is None
        if by == "question":
            with pytest.raises(Exception, match="has had 1 grants"):
                await member.ask(control, "lse_2", 10)
        elif by == "journal":
            await member.ship_all(control)
        elif by == "changes":
            member.grants = 0
            assert await member.beat(control, seen_seq=99)
        else:
            assert await member.beat(control)
        assert (await recovery.progress(control)).since is not None
        with pytest.raises(InRecovery):
            await member.ask(control, "lse_3", 10)


async def test_a_silent_node_is_waited_for_until_its_journal_ends_or_a_person_says_so(
    opening: Opening, tmp_path: Path, clock: HandClock
) -> None:
    silent, member = Member("node_1"), Member("node_2")
    async with opening() as control:
        await wallets.allocate(control, ADMIN, Allocation("team", "team_a", 100))
        await silent.join(control)
        await member.join(control)
        backup = await backed_up(control, tmp_path)
        await silent.ask(control, "lse_1", 50)
    put_back(tmp_path, backup)
    async with opening() as control:
        await member.join(control)
        assert await member.beat(control)
        clock.turn(timedelta(hours=1))
        assert await member.beat(control)
        before = await recovery.finish(control, ADMIN)
        assert [node.said_seq for node in before.nodes] == [None, 0]
        assert not await member.beat(control)
        assert (await member.ask(control, "lse_2", 10)).granted_nanos == 10
    async with opening() as control:
        assert (await recovery.progress(control)).since is None
        await member.join(control)
        await member.ship()
        await silent.join(control)
        assert await silent.beat(control), "it comes back with money that nobody knew of"
        await silent.ship_all(control)
        assert silent.journal is not None
        silent.journal.write(CloseLease("lse_1", "team_a"), End())
        await silent.ship()
        clock.turn(timedelta(milliseconds=LEAST_MS))
        assert not await member.beat(control), "its journal has ended"


async def test_what_a_node_can_not_bring_any_more_is_excused_for_good(opening: Opening, tmp_path: Path) -> None:
    """RecordsGone: a person ends the recovery, and the same node does not begin another."""
    member = Member("node_1")
    async with opening() as control:
        await wallets.allocate(control, ADMIN, Allocation("team", "team_a", 100))
        await member.join(control)
        backup = await backed_up(control, tmp_path)
        await member.ask(control, "lse_1", 50)
        await member.ship()
    put_back(tmp_path, backup)
    async with opening() as control:
        await member.join(control)
        assert await member.beat(control)
        await recovery.finish(control, ADMIN)
        assert not await member.beat(control)
        assert (await member.ask(control, "lse_2", 10)).granted_nanos == 10


async def test_recovery_outlives_a_restart(opening: Opening, tmp_path: Path) -> None:
    async with opening() as control:
        await recovery.begin(control, "a test")
        await recovery.begin(control, "another")
    async with opening() as control:
        assert (await recovery.progress(control)).reason == "a test"


async def test_batches_are_applied_in_recovery(opening: Opening) -> None:
    member = Member("node_1")
    async with opening() as control:
        await member.join(control)
        await recovery.begin(control, "a test")
        assert member.journal is not None
        member.journal.write(event("evt_1", (), at_ns=1))
        terms = await nodes.terms_of(control, "node_1")
        [(data, first_seq, chain)] = member.journal.groups
        assert await apply_batch(control.store, control.tools, terms, data, first_seq, chain) == 1


async def test_every_engine_waits_for_the_same_nodes(store: LedgerStore) -> None:
    if not isinstance(store, SqlStore):
        pytest.skip("the store in memory knows no nodes")
    async with store.write() as books:
        for node_id in ("node_1", "node_2", "node_3"):
            await books.nodes.add(Registration(node_id, "host", "1", (), True, (), (), ()), node_id, 1)
        await books.journals.advance("node_1", 5, bytes(16))
        assert await books.recovery.begin(7, "a test")
        assert not await books.recovery.begin(8, "another")
        found = await books.recovery.state()
        assert found == Recovery(7, "a test")
        await books.recovery.hear("node_1", found, Said(5, 5, 3))
        await books.recovery.hear("node_1", found, Said(9, 5, 3))
        await books.recovery.hear("node_2", found, Said(4, 2, 1))
        await books.recovery.complete(found)
        assert await books.recovery.awaited(found) == [
            Awaited("node_1", "host", 5, 5, True),
            Awaited("node_2", "host", 4, 0, False),
            Awaited("node_3", "host", None, 0, False),
        ]
        assert await books.recovery.standing("node_1") == (found, NodeMark(3, 0))
        assert await books.recovery.grants() == 3
        await books.recovery.excuse(found)
        assert await books.recovery.standing("node_2") == (found, NodeMark(1, 2))
        await books.journals.end("node_3")
        assert await books.nodes.living() == 2
        await books.recovery.end()
        assert await books.recovery.standing("node_3") == (None, NodeMark())
