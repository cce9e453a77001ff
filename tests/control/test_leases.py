"""Granting: never more than the budget, all periods at once or none, and the same answer to the same question."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from keeptrusts.control.context import Tools
from keeptrusts.control.denial import Denial
from keeptrusts.core.ledger.alerts import Threshold
from keeptrusts.core.ledger.records import CloseLease, Return
from keeptrusts.core.ledger.standing import Cap
from keeptrusts.store.contracts import LedgerStore
from tests.control.funds import account, fund, set_budget
from tests.hand_clock import HandClock
from tests.ledger_node import LedgerNode, attempt, event

pytestmark = pytest.mark.anyio


async def test_a_slice_is_what_was_wanted_but_at_most_half_of_a_nodes_share(store: LedgerStore, tools: Tools) -> None:
    wallet = await fund(store, monthly=1_000)
    node = LedgerNode(store, tools)
    assert (await node.ask("lse_1", need=10, want=100)).granted_nanos == 100
    assert (await node.ask("lse_1", need=10, want=10_000)).granted_nanos == 450
    assert (await account(store, wallet, "monthly", tools.now())).leased == 550


async def test_a_share_shrinks_with_the_nodes_that_are_alive(store: LedgerStore, tools: Tools) -> None:
    await fund(store, monthly=1_000)
    node = LedgerNode(store, tools, alive=frozenset({"node_1", "node_2", "node_3", "node_4"}))
    assert (await node.ask("lse_1", need=1, want=1_000)).granted_nanos == 125


async def test_near_the_cap_a_call_gets_exactly_what_it_needs_to_the_last_nano(
    store: LedgerStore, tools: Tools
) -> None:
    wallet = await fund(store, monthly=1_000)
    node = LedgerNode(store, tools)
    assert (await node.ask("lse_1", need=900, want=5_000)).granted_nanos == 900
    assert (await node.ask("lse_1", need=100, want=5_000)).granted_nanos == 100
    refused = await node.ask("lse_1", need=1)
    assert refused.granted_nanos == 0
    assert (await account(store, wallet, "monthly", tools.now())).available == 0


async def test_what_does_not_fit_gets_all_that_is_left_and_what_the_402_body_needs(
    store: LedgerStore, tools: Tools
) -> None:
    await fund(store, monthly=1_000)
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=700)
    await node.settle("evt_1", "lse_1", 600, hold=700)
    short = await node.ask("lse_1", need=500)
    assert short.granted_nanos == 300
    refused = await node.ask("lse_1", need=200)
    view = refused.view
    assert refused.granted_nanos == 0
    assert refused.ends_in_s > 0, "the lease is good, the wallet is not"
    assert (view.budget, view.spent, view.suspense, view.allocated) == (1_000, 600, 0, True)
    assert (view.leased_elsewhere, view.lease_settled) == (0, 600)


async def test_the_same_grant_again_moves_nothing_and_answers_the_same(store: LedgerStore, tools: Tools) -> None:
    wallet = await fund(store, monthly=1_000)
    node = LedgerNode(store, tools)
    first = await node.ask("lse_1", need=10, want=100, grant_id="grt_1")
    again = await node.ask("lse_1", need=10, want=100, grant_id="grt_1")
    assert first.granted_nanos == again.granted_nanos == 100
    assert (await account(store, wallet, "monthly", tools.now())).leased == 100


async def test_a_grant_id_belongs_to_one_lease(store: LedgerStore, tools: Tools) -> None:
    await fund(store, monthly=1_000)
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=10, grant_id="grt_1")
    with pytest.raises(Denial, match="another lease"):
        await node.ask("lse_2", need=10, grant_id="grt_1")


async def test_every_period_bounds_and_is_debited(store: LedgerStore, tools: Tools) -> None:
    wallet = await fund(store, monthly=1_000, daily=50)
    node = LedgerNode(store, tools)
    answer = await node.ask("lse_1", need=60)
    assert answer.granted_nanos == 50
    assert answer.view.budget == 50, "the tightest budget is shown"
    assert (await account(store, wallet, "monthly", tools.now())).leased == 50
    assert (await account(store, wallet, "daily", tools.now())).leased == 50


async def test_a_lease_ends_with_its_first_period(store: LedgerStore, tools: Tools) -> None:
    await fund(store, monthly=1_000, daily=500)
    answer = await LedgerNode(store, tools).ask("lse_1", need=10)
    assert answer.ends_in_s == (datetime(2026, 4, 16, tzinfo=UTC) - tools.now()).total_seconds()


async def test_a_lease_of_a_period_that_is_over_cannot_grow_and_a_new_one_can(
    store: LedgerStore, tools: Tools, clock: HandClock
) -> None:
    """Periods refresh by themselves from the standing budget; what was not used lapses."""
    wallet = await fund(store, daily=100)
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=100)
    clock.turn(timedelta(days=1))
    over = await node.ask("lse_1", need=1)
    assert (over.granted_nanos, over.ends_in_s) == (0, 0.0)
    assert (await node.ask("lse_2", need=100)).granted_nanos == 100
    assert (await account(store, wallet, "daily", tools.now())).leased == 100


async def test_time_never_releases_money(store: LedgerStore, tools: Tools, clock: HandClock) -> None:
    """A lease whose period is over is still counted until its node says what became of it."""
    wallet = await fund(store, daily=100)
    node = LedgerNode(store, tools)
    before = tools.now()
    await node.ask("lse_1", need=40)
    clock.turn(timedelta(days=30))
    assert (await account(store, wallet, "daily", before)).leased == 40
    await node.settle("evt_1", "lse_1", 40)
    assert (await account(store, wallet, "daily", before)).posted == 40, "booked where the lease was granted"


async def test_a_team_without_a_wallet_gets_nothing_and_is_told_so(store: LedgerStore, tools: Tools) -> None:
    answer = await LedgerNode(store, tools).ask("lse_1", need=1, team="team_nobody")
    assert (answer.granted_nanos, answer.view.allocated) == (0, False)


async def test_a_closed_lease_and_another_nodes_lease_cannot_grow(store: LedgerStore, tools: Tools) -> None:
    await fund(store, monthly=1_000)
    node, other = LedgerNode(store, tools), LedgerNode(store, tools, "node_2")
    await node.ask("lse_1", need=10)
    stolen = await other.ask("lse_1", need=10)
    assert (stolen.granted_nanos, stolen.ends_in_s) == (0, 0.0)
    node.write(CloseLease("lse_1", "team_a"))
    await node.ship()
    closed = await node.ask("lse_1", need=10)
    assert (closed.granted_nanos, closed.ends_in_s) == (0, 0.0)


async def test_a_grant_that_arrives_after_its_lease_was_closed_finds_it_closed(
    store: LedgerStore, tools: Tools
) -> None:
    """A request that was on its way while its node recovered must not revive the lease."""
    wallet = await fund(store, monthly=1_000)
    node = LedgerNode(store, tools)
    node.write(CloseLease("lse_late", "team_a"))
    await node.ship()
    assert (await node.ask("lse_late", need=10)).granted_nanos == 0
    assert (await account(store, wallet, "monthly", tools.now())).leased == 0


async def test_a_lowered_budget_binds_the_next_grant_at_once(store: LedgerStore, tools: Tools) -> None:
    wallet = await fund(store, monthly=1_000)
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=500)
    await set_budget(store, wallet, "monthly", 100, tools.now())
    assert (await node.ask("lse_1", need=1)).granted_nanos == 0
    await node.settle("evt_1", "lse_1", 80)
    node.write(CloseLease("lse_1", "team_a"))
    await node.ship()
    assert (await node.ask("lse_2", need=20)).granted_nanos == 20
    assert (await node.ask("lse_2", need=1)).granted_nanos == 0


async def test_a_lease_that_a_new_kind_of_period_does_not_bound_cannot_grow(store: LedgerStore, tools: Tools) -> None:
    wallet = await fund(store, monthly=1_000)
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=10)
    await set_budget(store, wallet, "daily", 5, tools.now())
    old = await node.ask("lse_1", need=1)
    assert (old.granted_nanos, old.ends_in_s) == (0, 0.0)
    assert (await node.ask("lse_2", need=6)).granted_nanos == 5


async def test_a_block_threshold_makes_that_share_the_limit(store: LedgerStore, tools: Tools) -> None:
    await fund(store, monthly=1_000)
    node = LedgerNode(store, tools, thresholds=(Threshold(50, "notify"), Threshold(90, "block")))
    assert (await node.ask("lse_1", need=901)).granted_nanos == 900


async def test_a_spend_control_bounds_while_its_node_lives(store: LedgerStore, tools: Tools) -> None:
    wallet = await fund(store, monthly=1_000)
    async with store.ledger() as ledger:
        await ledger.wallets.add_cap(wallet.wallet_id, "node_2", Cap("monthly", 300))
        await ledger.wallets.add_cap(wallet.wallet_id, "node_gone", Cap("monthly", 100))
    node = LedgerNode(store, tools, alive=frozenset({"node_2"}))
    short = await node.ask("lse_1", need=301)
    assert (short.granted_nanos, short.view.budget) == (300, 300)


async def test_a_spend_control_alone_bounds_a_gateway_that_enforces_no_wallets(
    store: LedgerStore, tools: Tools
) -> None:
    wallet = await fund(store, monthly=10)
    async with store.ledger() as ledger:
        await ledger.wallets.add_cap(wallet.wallet_id, "node_1", Cap("daily", 300))
    node = LedgerNode(store, tools, enforced=False)
    assert (await node.ask("lse_1", need=301)).granted_nanos == 300
    assert (await node.ask("lse_1", need=1)).granted_nanos == 0


async def test_a_wallet_without_a_budget_is_unallocated_even_under_a_spend_control(
    store: LedgerStore, tools: Tools
) -> None:
    wallet = await fund(store)
    async with store.ledger() as ledger:
        await ledger.wallets.add_cap(wallet.wallet_id, "node_1", Cap("monthly", 300))
    refused = await LedgerNode(store, tools).ask("lse_1", need=1)
    assert (refused.granted_nanos, refused.view.allocated) == (0, False)


async def test_who_finds_nothing_has_the_other_nodes_idle_money_called_back_once_a_second(
    store: LedgerStore, tools: Tools, clock: HandClock
) -> None:
    await fund(store, monthly=1_000)
    rich, poor = LedgerNode(store, tools, "node_1"), LedgerNode(store, tools, "node_2")
    await rich.ask("lse_1", need=1_000)
    for _ in range(3):
        refused = await poor.ask("lse_2", need=100)
        assert refused.view.leased_elsewhere == 1_000
    async with store.ledger() as ledger:
        news = await ledger.changes.after(0, 10)
    assert [(c.kind, c.subject_id, c.recall, c.except_node_id) for c in news] == [
        ("wallet", "wal_team_a", True, "node_2")
    ]
    clock.turn(timedelta(seconds=1))
    await poor.ask("lse_2", need=100)
    async with store.ledger() as ledger:
        assert await ledger.changes.last_seq() == 2


async def test_who_waited_is_told_as_soon_as_money_came_back(store: LedgerStore, tools: Tools) -> None:
    await fund(store, monthly=1_000)
    rich, poor = LedgerNode(store, tools, "node_1"), LedgerNode(store, tools, "node_2")
    await rich.ask("lse_1", need=1_000)
    await poor.ask("lse_2", need=100)
    rich.write(Return("lse_1", 400))
    await rich.ship()
    async with store.ledger() as ledger:
        recall, told = await ledger.changes.after(0, 10)
    assert (told.subject_id, told.recall, told.version) == ("wal_team_a", False, recall.version + 1)
    assert (await poor.ask("lse_2", need=400)).granted_nanos == 400


async def test_nobody_is_told_when_nobody_waits(store: LedgerStore, tools: Tools) -> None:
    await fund(store, monthly=1_000)
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=1_000)
    node.write(Return("lse_1", 400))
    await node.ship()
    async with store.ledger() as ledger:
        assert await ledger.changes.last_seq() == 0


async def test_asking_in_the_background_calls_nobodys_money_back(store: LedgerStore, tools: Tools) -> None:
    """A node that only wants to stock up (nothing waits) takes what is free and disturbs no one."""
    await fund(store, monthly=1_000)
    rich, other = LedgerNode(store, tools, "node_1"), LedgerNode(store, tools, "node_2")
    await rich.ask("lse_1", need=1_000)
    assert (await other.ask("lse_2", need=0, want=100)).granted_nanos == 0
    async with store.ledger() as ledger:
        assert await ledger.changes.last_seq() == 0


async def test_fifty_nodes_at_once_on_the_last_cents_get_all_of_it_and_not_a_nano_more(
    store: LedgerStore, tools: Tools
) -> None:
    wallet = await fund(store, monthly=1_000)
    nodes = [LedgerNode(store, tools, f"node_{n}") for n in range(50)]
    answers = await asyncio.gather(*(node.ask(f"lse_{n}", need=30) for n, node in enumerate(nodes)))
    granted = [answer.granted_nanos for answer in answers]
    assert sorted(granted, reverse=True) == [30] * 33 + [10] + [0] * 16
    assert (await account(store, wallet, "monthly", tools.now())).leased == 1_000


@pytest.mark.parametrize(("need", "want"), [(-1, 5), (6, 5), (1, 2**63)])
async def test_a_request_that_makes_no_sense_is_denied(store: LedgerStore, tools: Tools, need: int, want: int) -> None:
    await fund(store, monthly=1_000)
    with pytest.raises(Denial):
        await LedgerNode(store, tools).ask("lse_1", need, want)


async def test_spend_beyond_the_budget_leaves_nothing_to_grant(store: LedgerStore, tools: Tools) -> None:
    """An overrun (a provider billed more than the hold) counts like any other spend."""
    await fund(store, monthly=1_000)
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=100)
    node.write(event("evt_1", (attempt("lse_1", 1_500, hold=100),), at_ns=tools.clock.unix_ns()))
    await node.ship()
    assert (await node.ask("lse_1", need=1)).granted_nanos == 0
