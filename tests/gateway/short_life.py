"""A node's whole short life, written into a real journal: calls that settle, fail over, wait, are refused; leases that go
back early and late. Whoever reads a beginning of that journal must come to the same books."""

from pathlib import Path
from typing import cast

from keeptrusts.core.identity.attribution import Attribution
from keeptrusts.core.ledger.grant import GrantAnswer, GrantRequest
from keeptrusts.core.ledger.records import Attempt, Boot, Close, Event, LeaseIntent, Reserve, encode_record
from keeptrusts.core.link import WalletChange
from keeptrusts.gateway.journal import Journal, machine_boot_id
from keeptrusts.gateway.link import Link
from keeptrusts.gateway.purse import Lease
from keeptrusts.gateway.purse_refill import Treasury
from tests.gateway.fake_control import FakeControl
from tests.gateway.hand_loop import HandLoop
from tests.ledger_node import event

TEAMS = ("team_a", "team_b")
BUDGET = 100_000
NODE = "nod_dead"
HOLD = 100


class GrantingLink:
    """Answers at once, and notes at which record of the journal each grant was made."""

    def __init__(self, control: FakeControl, journal: Journal) -> None:
        self._control = control
        self._journal = journal
        self.grants: list[tuple[int, GrantRequest, GrantAnswer]] = []

    async def grant(self, request: GrantRequest) -> GrantAnswer:
        answer = self._control.grant(NODE, request)
        self.grants.append((self._journal.written_seq, request, answer))
        return answer


class Life:
    """The node while it lives. ``billed`` is what the provider charges for each attempt that was sent."""

    def __init__(self, loop: HandLoop, directory: Path) -> None:
        directory.mkdir(parents=True)
        self.loop = loop
        self.control = FakeControl()
        for team in TEAMS:
            self.control.allocate(team, BUDGET)
        self.journal = Journal(directory, NODE)
        self.link = GrantingLink(self.control, self.journal)
        self._ids = 0
        self.treasury = Treasury(self.journal, cast(Link, self.link), self._new_id, 1_000)
        self.journal.opening = self._opening
        self.billed: dict[tuple[str, int], int] = {}
        loop.done(self._boot())

    def _new_id(self, prefix: str) -> str:
        self._ids += 1
        return f"{prefix}_{self._ids}"

    def _opening(self) -> list[bytes]:
        leases = self.treasury.purse.open_leases()
        return [self._booted(), *(encode_record(LeaseIntent(lease.lease_id, lease.team_id)) for lease in leases)]

    def _booted(self) -> bytes:
        return encode_record(Boot(NODE, machine_boot_id(), 1))

    async def _boot(self) -> None:
        self.journal.append(self._booted())

    def send(self, call_id: str, team: str, billed: int, attempt: int = 1) -> Lease:
        """Reserves and sends; the provider serves it at once, whatever becomes of the node."""

        async def reserve() -> Lease:
            account = self.treasury.purse.account(team)
            lease = self.treasury.purse.take(account, HOLD)
            if lease is None:
                lease, _ = await self.treasury.wait(account, HOLD, None, 2.0, 10, team)
            self.journal.append(
                encode_record(
                    Reserve(
                        *(call_id, attempt, lease.lease_id, HOLD, 5, "tok_1", None, Attribution(team=team)),
                        *("t", "openai", "gpt-4o-mini", "gpt-4o-mini", "prc_mini", f"req-{call_id}"),
                    )
                )
            )
            self.billed[call_id, attempt] = billed
            await self.journal.written()
            return lease

        return self.loop.done(reserve())

    def end(self, call_id: str, team: str, leases: list[Lease], costs: list[int]) -> None:
        """The call's last attempt settles; those before it had their own ends."""

        async def settle() -> None:
            rows = tuple(
                Attempt(n, "t", "openai", "gpt-4o-mini", "settled", HOLD, cost, 200, None, lease.lease_id)
                for n, (lease, cost) in enumerate(zip(leases, costs, strict=True), 1)
            )
            self.treasury.purse.close(self.treasury.purse.account(team), leases[-1], HOLD, costs[-1])
            self.journal.append(
                encode_record(
                    event(call_id, rows, team=team, settles=1, cost_nanos=sum(costs), request_id=f"req-{call_id}")
                )
            )
            await self.journal.written()

        self.loop.done(settle())

    def fail_over(self, call_id: str, team: str, lease: Lease, cost: int) -> None:
        """The first attempt ends; another one follows."""

        async def close() -> None:
            self.treasury.purse.close(self.treasury.purse.account(team), lease, HOLD, cost)
            row = Attempt(1, "t", "openai", "gpt-4o-mini", "void", HOLD, cost, 500, "500", lease.lease_id)
            self.journal.append(encode_record(Close(call_id, row)))
            await self.journal.written()

        self.loop.done(close())

    def refuse(self, call_id: str, team: str) -> None:
        """A call that was never sent has its row too."""

        async def record() -> None:
            self.journal.append(encode_record(event(call_id, (), team=team, status="blocked")))
            await self.journal.written()

        self.loop.done(record())

    def recall(self, team: str) -> None:
        async def drain() -> None:
            self.treasury.wallet_changed(WalletChange(f"wal_{team}", f"team:{team}", 1, recall=True))
            await self.journal.written()

        self.loop.done(drain())

    def live(self) -> None:
        """Everything that can happen, once or twice, much of it at the same time."""
        first, second = TEAMS
        a = self.send("a", first, 40)
        b = self.send("b", second, 50)
        self.end("a", first, [a], [40])
        c = self.send("c", first, 30)
        d = self.send("d", first, 0)
        self.recall(first)
        self.refuse("e", second)
        f = self.send("f", first, 20)
        self.end("c", first, [c], [30])
        self.fail_over("d", first, d, 0)
        d2 = self.send("d", first, 77, attempt=2)
        self.end("b", second, [b], [50])
        self.recall(second)
        self.end("f", first, [f], [20])
        self.end("d", first, [d, d2], [0, 77])
        self.send("g", second, 88)
        self.send("h", first, 10)

    def close(self) -> None:
        self.journal.close()


__all__ = ["BUDGET", "HOLD", "NODE", "TEAMS", "Event", "Life"]
