"""A cash counter for tests of the node's money: a treasury, a journal on paper, and a store whose answers the test holds back."""

import asyncio
from typing import cast

from keeptrusts.core.identity.attribution import Attribution
from keeptrusts.core.ledger.grant import GrantAnswer, GrantRequest
from keeptrusts.core.ledger.journal_format import GENESIS, encode_group
from keeptrusts.core.ledger.records import Attempt, Event, decode_record, encode_record
from keeptrusts.core.link import WalletChange
from keeptrusts.gateway.journal import Journal, JournalFailed
from keeptrusts.gateway.link import Link, LinkDown
from keeptrusts.gateway.purse import Account, Lease
from keeptrusts.gateway.purse_refill import Treasury
from tests.gateway.fake_control import FakeControl
from tests.gateway.hand_loop import HandLoop
from tests.ledger_node import event

TEAM = "team_a"
WAIT_S = 2.0
SLICE = 10


class PaperJournal:
    """Records on paper: written at once, unless it has failed."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.failure: str | None = None

    def append(self, record: bytes) -> None:
        self.records.append(record)

    async def written(self) -> None:
        if self.failure is not None:
            raise JournalFailed(self.failure)


class Question:
    """What a node asked, on its way to the store and back. ``granted`` None: it has not arrived there."""

    def __init__(self, request: GrantRequest, answer: "asyncio.Future[GrantAnswer]") -> None:
        self.request = request
        self.answer = answer
        self.granted: GrantAnswer | None = None


class HeldLink:
    """A link on which questions and answers travel only when the test lets them. ``prompt``: all travel at once."""

    def __init__(self, control: FakeControl, node_id: str) -> None:
        self._control = control
        self._node_id = node_id
        self.questions: list[Question] = []
        self.prompt = False

    async def grant(self, request: GrantRequest) -> GrantAnswer:
        if self._control.down:
            raise LinkDown("unplugged")
        if self.prompt:
            return self._control.grant(self._node_id, request)
        question = Question(request, asyncio.get_running_loop().create_future())
        self.questions.append(question)
        return await question.answer

    def arrive(self) -> None:
        """The first question reaches the store."""
        question = self.questions[0]
        question.granted = self._control.grant(self._node_id, question.request)

    def answer(self) -> None:
        """The first question is answered."""
        if self.questions[0].granted is None:
            self.arrive()
        question = self.questions.pop(0)
        assert question.granted is not None
        question.answer.set_result(question.granted)

    def lose(self) -> None:
        """The connection breaks while the first question or its answer is under way."""
        self.questions.pop(0).answer.set_exception(LinkDown("reset"))


class Call:
    """A call at the counter: waiting while ``task`` runs, then holding money or refused."""

    def __init__(self, number: int, hold: int) -> None:
        self.number = number
        self.hold = hold
        self.lease: Lease | None = None
        self.ended = False
        self.task: asyncio.Task[tuple[Lease, int]] | None = None

    @property
    def waits(self) -> bool:
        return self.task is not None and not self.task.done()

    def refusal(self) -> BaseException | None:
        """What the call was told instead of getting money."""
        assert self.task is not None
        return self.task.exception()


def change(recall: bool) -> WalletChange:
    """What the change feed says of the team's wallet."""
    return WalletChange(f"wal_{TEAM}", f"team:{TEAM}", 1, recall)


class Counter:
    """One node of the FakeControl and its one team."""

    def __init__(self, loop: HandLoop, control: FakeControl, node_id: str = "nod_1") -> None:
        self.loop = loop
        self.control = control
        self.node_id = node_id
        self.journal = PaperJournal()
        self.link = HeldLink(control, node_id)
        self.made = 0
        self.treasury = Treasury(cast(Journal, self.journal), cast(Link, self.link), self._new_id, SLICE)
        self.purse = self.treasury.purse
        self.costs = 0
        self._calls = 0
        self._shipped = 0
        self._chain = GENESIS

    def _new_id(self, prefix: str) -> str:
        self.made += 1
        return f"{prefix}_{self.node_id}_{self.made}"

    @property
    def account(self) -> Account:
        return self.purse.account(TEAM)

    def call(self, hold: int, tightened: int | None = None, wait_s: float = WAIT_S, bound: int = 1_000) -> Call:
        """A call comes: it takes its money at once or waits."""
        self._calls += 1
        call = Call(self._calls, hold)
        self.loop.do(self._take(call))
        if call.lease is None:
            tighten = None if tightened is None else lambda: tightened
            work = self.treasury.wait(self.account, hold, tighten, wait_s, bound, "marketing")
            call.task = self.loop.do(work)
            call.task.add_done_callback(lambda task: task.cancelled() or task.exception())
            self.look(call)
        return call

    async def _take(self, call: Call) -> None:
        call.lease = self.purse.take(self.account, call.hold)

    def look(self, call: Call) -> None:
        """Notes whether a call that waited has got its money."""
        task = call.task
        if call.ended or call.lease is not None or task is None or not task.done() or task.cancelled():
            return
        if task.exception() is None:
            call.lease, call.hold = task.result()

    def settle(self, call: Call, cost: int) -> None:
        """The call ends at this cost; its row is journaled in the same turn."""
        self.look(call)
        assert call.lease is not None

        async def close() -> None:
            assert call.lease is not None
            self.purse.close(self.account, call.lease, call.hold, cost)
            paid = Attempt(1, "t", "openai", "gpt-4o-mini", "settled", call.hold, cost, 200, None, call.lease.lease_id)
            self.journal.append(
                encode_record(event(f"{self.node_id}-{call.number}", (paid,), attribution=Attribution()))
            )

        self.loop.do(close())
        self.costs += cost
        call.lease, call.ended = None, True

    def do(self, action: object, *arguments: object) -> None:
        """Runs one of the treasury's own steps inside the loop."""

        async def act() -> None:
            action(*arguments)  # type: ignore[operator]

        self.loop.done(act())

    def ship(self) -> None:
        """Everything journaled so far reaches the store, as one batch of one group."""
        records = self.journal.records[self._shipped :]
        if records:
            data, chain = encode_group(records, self._shipped + 1, self._chain)
            self.control.apply(self.node_id, data, self._shipped + 1, self._chain)
            self._shipped, self._chain = len(self.journal.records), chain

    def written(self, kind: type) -> list[object]:
        """The journaled records of one kind."""
        return [r for r in map(decode_record, self.journal.records) if isinstance(r, kind)]


__all__ = ["Call", "Counter", "Event", "HeldLink", "PaperJournal"]
