"""Held calls: a ticket is opened once, decided once, redeemed once, and what it does not use is not approved any more."""

from datetime import timedelta

import pytest

from keeptrusts.control import balances, tickets, wallet_states, wallets
from keeptrusts.control.context import Actor, Control, NodeTerms
from keeptrusts.control.denial import Denial
from keeptrusts.control.wallets import Allocation
from keeptrusts.core.ledger.records import CloseLease, Granted, Return
from keeptrusts.core.ledger.ticket import TicketAnswer, TicketLeft, TicketRequest
from keeptrusts.core.ledger.wallet import WalletPeriod
from tests.hand_clock import HandClock
from tests.ledger_node import LedgerNode

pytestmark = pytest.mark.anyio

ADMIN = Actor("admin", "admin")


@pytest.fixture
async def node(control: Control) -> LedgerNode:
    """A team with 100, under a department with 100, all of it leased."""
    await wallets.allocate(control, ADMIN, Allocation("department", "eng", 100))
    await wallets.allocate(
        control, ADMIN, Allocation("team", "team_a", 100, parent="department:eng", options={"on_hard_cap": "escalate"})
    )
    node = LedgerNode(control.store, control.tools)
    await node.ask("lse_0", need=100)
    return node


def request(number: int = 1, hold: int = 60, retry: str | None = None, lease: str | None = None) -> TicketRequest:
    return TicketRequest(
        f"tkt_{number}",
        lease or f"lse_t{number}",
        "team_a",
        (),
        hold,
        None,
        "a",
        "gpt-4o",
        f"evt_{number}",
        "req",
        retry,
    )


async def ask(control: Control, node: LedgerNode, *args: object, **more: object) -> TicketAnswer:
    terms = NodeTerms(node.terms.node_id, True, (), frozenset())
    return await tickets.ask(control, terms, request(*args, **more))  # type: ignore[arg-type]


async def month(control: Control, named: str = "team_a") -> WalletPeriod:
    return (await balances.balance(control, named, None)).period


async def test_who_finds_too_little_is_told_that_the_budget_escalates(node: LedgerNode) -> None:
    assert (await node.ask("lse_1", need=1)).view.escalates


async def test_an_approved_call_is_paid_above_every_budget_of_its_way_and_its_rest_is_not_approved_any_more(
    control: Control, node: LedgerNode
) -> None:
    assert await ask(control, node) == TicketAnswer("tkt_1", "waiting", 0)
    await tickets.decide(control, ADMIN, "tkt_1", approve=True, top_up_nanos=0, why="a demo")
    for _ in range(2):
        assert await ask(control, node) == TicketAnswer("tkt_1", "redeemed", 60), "asking again moves nothing"
    for named in ("team_a", "department:eng"):
        found = await month(control, named)
        assert (found.approved, found.leased, found.available) == (60, 160, 0)
    await node.settle("evt_1", "lse_t1", 45, 60)
    node.write(CloseLease("lse_t1", "team_a"))
    await node.ship()
    found = await month(control)
    assert (found.approved, found.posted, found.leased, found.available) == (45, 45, 100, 0)


async def test_a_ticket_is_decided_once(control: Control, node: LedgerNode) -> None:
    await ask(control, node)
    await tickets.decide(control, ADMIN, "tkt_1", approve=False, top_up_nanos=0, why=None)
    assert (await ask(control, node)).status == "denied"
    with pytest.raises(Denial, match="is denied"):
        await tickets.decide(control, ADMIN, "tkt_1", approve=True, top_up_nanos=0, why=None)
    with pytest.raises(Denial, match="no ticket"):
        await tickets.decide(control, ADMIN, "tkt_9", approve=True, top_up_nanos=0, why=None)


async def test_a_top_up_that_the_parent_cannot_bear_decides_nothing(control: Control, node: LedgerNode) -> None:
    await ask(control, node)
    with pytest.raises(Denial, match="more can be given"):
        await tickets.decide(control, ADMIN, "tkt_1", approve=True, top_up_nanos=5, why=None)
    assert (await ask(control, node)).status == "waiting"
    await wallets.allocate(control, ADMIN, Allocation("department", "eng", 105))
    await tickets.decide(control, ADMIN, "tkt_1", approve=True, top_up_nanos=5, why=None)
    assert (await month(control)).budget == 105
    assert (await ask(control, node)).granted_nanos == 60


async def test_a_retry_picks_its_ticket_up_and_only_for_what_was_asked(control: Control, node: LedgerNode) -> None:
    await ask(control, node, 1, retry="once")
    await tickets.leave(control, "node_1", TicketLeft("tkt_1", "open"))
    assert (await tickets.get(control, "tkt_1")).status == "open"
    await tickets.decide(control, ADMIN, "tkt_1", approve=True, top_up_nanos=0, why=None)
    assert await ask(control, node, 2, retry="once") == TicketAnswer("tkt_1", "redeemed", 60)
    assert (await ask(control, node, 3, retry="once")).ticket_id == "tkt_3", "what is redeemed is used up"
    assert (await ask(control, node, 4, hold=61, retry="once")).ticket_id == "tkt_4", (
        "more than was asked for is another call"
    )


async def test_an_approval_nobody_comes_back_for_expires_and_moved_no_money(
    control: Control, node: LedgerNode, clock: HandClock
) -> None:
    await ask(control, node)
    await tickets.decide(control, ADMIN, "tkt_1", approve=True, top_up_nanos=0, why=None)
    clock.turn(timedelta(hours=1))
    assert (await ask(control, node)).status == "expired"
    assert (await month(control)).approved == 0
    assert await tickets.page(control, live=True, before_id=None, limit=10) == []
    assert [t.ticket_id for t in await tickets.page(control, live=False, before_id=None, limit=10)] == ["tkt_1"]


async def test_nodes_hear_of_a_decision_and_people_of_a_ticket(control: Control, node: LedgerNode) -> None:
    await ask(control, node)
    await tickets.decide(control, ADMIN, "tkt_1", approve=False, top_up_nanos=0, why=None)
    async with control.store.read() as books:
        news = await books.changes.after(0, 100)
    assert ("ticket", "tkt_1") in {(change.kind, change.subject_id) for change in news}


async def test_an_approved_call_waits_while_a_wallet_of_its_way_is_frozen(control: Control, node: LedgerNode) -> None:
    await ask(control, node)
    await tickets.decide(control, ADMIN, "tkt_1", approve=True, top_up_nanos=0, why=None)
    await wallet_states.set_state(control, ADMIN, "department:eng", "frozen")
    assert await ask(control, node) == TicketAnswer("tkt_1", "approved", 0)
    await wallet_states.set_state(control, ADMIN, "department:eng", "active")
    assert await ask(control, node) == TicketAnswer("tkt_1", "redeemed", 60)


async def test_approved_money_takes_nothing_from_what_carries_over(
    control: Control, node: LedgerNode, clock: HandClock
) -> None:
    await wallets.allocate(control, ADMIN, Allocation("team", "team_a", 100, options={"carry_over": True}))
    node.write(Return("lse_0", 40))
    await node.ship()
    await ask(control, node)
    await tickets.decide(control, ADMIN, "tkt_1", approve=True, top_up_nanos=0, why=None)
    await ask(control, node)
    async with control.store.read() as books:
        team = await books.wallets.find("team", "team_a")
        assert team is not None
        assert team.parent_id is not None
        claims = await books.wallets.claims(team.parent_id, "monthly", control.tools.now())
    assert claims.unused_nanos == 40, "and its parent keeps that much for it"
    clock.turn(timedelta(days=30))
    await node.ask("lse_2", need=1)
    assert (await month(control)).carried == 40
    node.write(CloseLease("lse_t1", "team_a"), CloseLease("lse_0", "team_a"))
    await node.ship()
    assert (await month(control)).carried == 100


async def test_an_approval_that_a_restored_store_forgot_was_used_is_not_used_twice(
    control: Control, node: LedgerNode, clock: HandClock
) -> None:
    await ask(control, node, 1, retry="once")
    await tickets.decide(control, ADMIN, "tkt_1", approve=True, top_up_nanos=0, why=None)
    node.write(Granted("tkt_1", "lse_t1", 60, "team_a", (), clock.unix_ns()))
    await node.ship()
    assert await ask(control, node, 2, retry="once") == TicketAnswer("tkt_1", "redeemed", 0)
    assert (await month(control)).leased == 160
    assert (await ask(control, node, 3, retry="once")).ticket_id == "tkt_3"
