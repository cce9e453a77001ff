"""Money in doubt: who is given up, what is in suspense then, and how people account for it."""

from datetime import timedelta

import pytest

from keeptrusts.control import balances, nodes, retirement, suspense, wallets
from keeptrusts.control.context import Actor, Control
from keeptrusts.control.denial import Denial
from keeptrusts.control.wallets import Allocation
from keeptrusts.core.ledger.records import CloseLease
from keeptrusts.core.ledger.wallet import WalletPeriod
from keeptrusts.core.link import Heartbeat, Registration
from tests.hand_clock import HandClock
from tests.ledger_node import LedgerNode

pytestmark = pytest.mark.anyio

ADMIN = Actor("admin", "admin")
REGISTRATION = Registration("node_1", "host-a", "1", ("openai",), True, (), (), ())


async def allocate(control: Control, scope: str, scope_id: str, amount: int, **more: object) -> str:
    found = await wallets.allocate(control, ADMIN, Allocation(scope, scope_id, amount, **more))  # type: ignore[arg-type]
    return found.wallet.wallet_id


async def period(control: Control, name: str) -> WalletPeriod:
    return (await balances.balance(control, name, None)).period


@pytest.fixture
async def node(control: Control) -> LedgerNode:
    """A node with a lease of 100 on a team below a department, 30 of it spent."""
    await allocate(control, "department", "eng", 1_000)
    await allocate(control, "team", "team_a", 500, parent="department:eng")
    await nodes.register(control, REGISTRATION)
    node = LedgerNode(control.store, control.tools)
    assert (await node.ask("lse_1", need=100)).granted_nanos == 100
    await node.settle("evt_1", "lse_1", 30)
    return node


async def test_what_a_retired_node_had_leased_is_in_suspense_everywhere(control: Control, node: LedgerNode) -> None:
    found = await retirement.retire(control, ADMIN, "node_1", force=False)
    assert (found.row.state, found.row.open_leases, found.row.leased_nanos, found.row.suspense_nanos) == (
        *("retired", 0, 0, 70),
    )
    for name in ("team_a", "department:eng"):
        now = await period(control, name)
        assert (now.leased, now.suspense, now.posted) == (0, 70, 30), name
    [doubt] = await suspense.doubts(control, "", 10)
    assert (doubt.lease.lease_id, doubt.lease.in_doubt, doubt.hostname) == ("lse_1", 70, "host-a")
    assert doubt.lease.suspended_why == "its node was retired"
    assert doubt.lease.suspended_at_ms == control.tools.now_ms()
    assert {account.wallet.name for account in doubt.accounts} == {"team:team_a", "department:eng"}


async def test_retiring_again_changes_nothing(control: Control, node: LedgerNode) -> None:
    first = await retirement.retire(control, ADMIN, "node_1", force=False)
    assert await retirement.retire(control, ADMIN, "node_1", force=False) == first
    async with control.store.read() as books:
        acts = await books.audit.of_subject("node_1")
    assert [act.action for act in acts] == ["node.retire"]


async def test_a_node_that_lives_is_retired_only_by_force_and_hears_of_it(control: Control, node: LedgerNode) -> None:
    seen = control.bell.last_seq
    await nodes.heartbeat(control, "node_1", Heartbeat(seen - 1, {}))
    with pytest.raises(Denial, match="is alive") as refused:
        await retirement.retire(control, ADMIN, "node_1", force=False)
    assert refused.value.code == "node_alive"
    assert (await period(control, "team_a")).leased == 70
    assert (await retirement.retire(control, ADMIN, "node_1", force=True)).row.state == "retired"
    assert (await nodes.heartbeat(control, "node_1", Heartbeat(seen, {}))).retired


async def test_a_retired_node_gets_no_more_money(control: Control, node: LedgerNode) -> None:
    await retirement.retire(control, ADMIN, "node_1", force=False)
    with pytest.raises(Denial, match="was retired"):
        await node.ask("lse_2", need=10)


async def test_what_a_retired_node_still_ships_is_true_and_comes_out_of_suspense(
    control: Control, node: LedgerNode
) -> None:
    """It was only paused, or its disk was found: no budget is overrun by what was counted as used already."""
    await retirement.retire(control, ADMIN, "node_1", force=False)
    await node.settle("evt_2", "lse_1", 50)
    now = await period(control, "team_a")
    assert (now.posted, now.suspense, now.overrun) == (80, 20, 0)
    node.write(CloseLease("lse_1", "team_a"))
    await node.ship()
    now = await period(control, "team_a")
    assert (now.posted, now.suspense, now.leased) == (80, 20, 0), "a late end proves nothing of the rest"
    await node.settle("evt_3", "lse_1", 25)
    now = await period(control, "team_a")
    assert (now.posted, now.suspense, now.overrun) == (100, 0, 5)


async def test_a_node_that_nobody_knows(control: Control) -> None:
    with pytest.raises(Denial, match="ever registered"):
        await retirement.retire(control, ADMIN, "nod_nobody", force=True)


async def test_nodes_are_listed_with_what_they_hold(control: Control, node: LedgerNode, clock: HandClock) -> None:
    await nodes.register(control, Registration("node_2", "host-b", "2", (), True, (), (), ()))
    await nodes.heartbeat(control, "node_2", Heartbeat(control.bell.last_seq - 1, {}))
    second, first = await retirement.nodes_page(control, False, None, 10)
    assert (second.row.node_id, second.alive, second.row.open_leases) == ("node_2", True, 0)
    assert (first.row.node_id, first.alive, first.row.state) == ("node_1", False, "live")
    assert (first.row.open_leases, first.row.leased_nanos, first.row.journal_seq) == (1, 70, 2)
    assert [n.row.node_id for n in await retirement.nodes_page(control, False, "node_2", 10)] == ["node_1"]
    clock.turn(timedelta(seconds=11))
    assert not any(n.alive for n in await retirement.nodes_page(control, False, None, 10))


@pytest.fixture
async def doubted(control: Control, node: LedgerNode) -> LedgerNode:
    await retirement.retire(control, ADMIN, "node_1", force=False)
    return node


@pytest.mark.parametrize("spent", [0, 1, 40, 70])
async def test_resolving_posts_what_was_spent_and_frees_the_rest_everywhere(
    control: Control, doubted: LedgerNode, spent: int
) -> None:
    await suspense.resolve(control, ADMIN, "lse_1", spent, "the provider's bill")
    for name, budget in (("team_a", 500), ("department:eng", 1_000)):
        now = await period(control, name)
        assert (now.posted, now.suspense, now.leased) == (30 + spent, 0, 0), name
        assert now.available == budget - 30 - spent
    assert await suspense.doubts(control, "", 10) == []
    line, *_ = [n.entry for n in await balances.transactions(control, "team_a", 0, 2**62, None, 10)]
    assert (line.type, line.amount, line.balance) == ("adjust", spent, 500 - 30 - spent)
    assert "the provider's bill" in (line.description or "")
    async with control.store.read() as books:
        [act] = await books.audit.of_subject("lse_1")
    assert act.action == "suspense.resolve"


@pytest.mark.parametrize(
    ("lease_id", "spent", "code"),
    [
        ("lse_1", 71, "amount_out_of_range"),
        ("lse_1", 2**62, "amount_out_of_range"),
        ("lse_9", 0, "not_in_suspense"),
    ],
)
async def test_what_can_not_be_changes_nothing(
    control: Control, doubted: LedgerNode, lease_id: str, spent: int, code: str
) -> None:
    before = await period(control, "team_a")
    with pytest.raises(Denial) as refused:
        await suspense.resolve(control, ADMIN, lease_id, spent, None)
    assert refused.value.code == code
    assert await period(control, "team_a") == before


async def test_a_lease_is_resolved_once(control: Control, doubted: LedgerNode) -> None:
    await suspense.resolve(control, ADMIN, "lse_1", 10, None)
    before = await period(control, "team_a")
    with pytest.raises(Denial, match="resolved already"):
        await suspense.resolve(control, ADMIN, "lse_1", 10, None)
    assert await period(control, "team_a") == before


async def test_waiting_nodes_hear_that_money_is_free(control: Control, doubted: LedgerNode) -> None:
    seen = control.bell.last_seq
    await nodes.register(control, Registration("node_2", "host-b", "2", (), True, (), (), ()))
    await suspense.resolve(control, ADMIN, "lse_1", 10, None)
    news = await nodes.heartbeat(control, "node_2", Heartbeat(seen, {}))
    assert {change.name for change in news.wallets} == {"team:team_a", "department:eng"}


async def test_money_of_a_past_period_is_carried_over_when_it_is_free(control: Control, clock: HandClock) -> None:
    await allocate(control, "team", "team_a", 500, options={"carry_over": True})
    await nodes.register(control, REGISTRATION)
    node = LedgerNode(control.store, control.tools)
    await node.ask("lse_1", need=100)
    await retirement.retire(control, ADMIN, "node_1", force=False)
    clock.turn(timedelta(days=30))
    assert (await period(control, "team_a")).carried == 400
    await nodes.register(control, Registration("node_2", "host-b", "2", (), True, (), (), ()))
    other = LedgerNode(control.store, control.tools, "node_2")
    await other.ask("lse_2", need=10)
    await suspense.resolve(control, ADMIN, "lse_1", 30, None)
    assert (await period(control, "team_a")).carried == 470


async def test_a_journal_of_which_a_part_is_lost_gives_its_node_up(control: Control, node: LedgerNode) -> None:
    await retirement.report_lost(control, "node_1", "a part of its journal is damaged")
    [doubt] = await suspense.doubts(control, "", 10)
    assert doubt.lease.suspended_why == "a part of its journal is damaged"


async def test_after_a_reboot_the_reason_is_told(control: Control, node: LedgerNode) -> None:
    node.write(CloseLease("lse_1", "team_a", to_suspense=True))
    await node.ship()
    [doubt] = await suspense.doubts(control, "", 10)
    assert (doubt.lease.in_doubt, "restarted" in (doubt.lease.suspended_why or "")) == (70, True)
