"""Wallets in a tree: one lease debits every budget of a call, or none; children claim what they were given."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from keeptrusts.control.context import Tools
from keeptrusts.control.losses import InRecovery
from keeptrusts.core.identity.attribution import Attribution
from keeptrusts.core.ledger.records import CloseLease, Granted, Return
from keeptrusts.core.ledger.standing import Cap
from keeptrusts.core.ledger.wallet import Wallet, WalletPeriod
from keeptrusts.core.periods import PeriodKind
from keeptrusts.store.contracts import LedgerStore
from tests.control.funds import account
from tests.hand_clock import HandClock
from tests.ledger_node import LedgerNode, attempt, event

pytestmark = pytest.mark.anyio

ORG = Wallet("wal_1_org", "organization", "org_default")
DEPARTMENT = Wallet("wal_2_eng", "department", "eng", parent_id=ORG.wallet_id)
TEAM = Wallet("wal_3_team", "team", "team_a", parent_id=DEPARTMENT.wallet_id)
PROJECT = Wallet("wal_4_project", "project", "search", parent_id=TEAM.wallet_id)
KEY = Wallet("wal_5_key", "key", "tok_1")


async def plant(store: LedgerStore, *budgets: tuple[Wallet, dict[PeriodKind, int]]) -> None:
    """These wallets with these standing budgets."""
    async with store.ledger() as ledger:
        for wallet, amounts in budgets:
            await ledger.wallets.add(wallet, 1)
            for kind, amount in amounts.items():
                await ledger.wallets.set_budget(wallet.wallet_id, kind, amount)


async def month(store: LedgerStore, wallet: Wallet, clock: HandClock) -> WalletPeriod:
    return await account(store, wallet, "monthly", datetime.fromtimestamp(clock.unix_ns() // 10**9, UTC))


async def test_a_lease_debits_every_ancestor_and_period_and_spend_is_posted_to_all(
    store: LedgerStore, tools: Tools, clock: HandClock
) -> None:
    await plant(
        store, (ORG, {"monthly": 1_000, "daily": 500}), (DEPARTMENT, {"monthly": 800}), (TEAM, {"monthly": 600})
    )
    node = LedgerNode(store, tools)
    assert (await node.ask("lse_1", need=100)).granted_nanos == 100
    await node.settle("evt_1", "lse_1", 30)
    for wallet in (ORG, DEPARTMENT, TEAM):
        now = await month(store, wallet, clock)
        assert (now.leased, now.posted) == (70, 30), wallet.name
    today = await account(store, ORG, "daily", tools.now())
    assert (today.leased, today.posted) == (70, 30)
    node.write(CloseLease("lse_1", "team_a"))
    await node.ship()
    assert [(await month(store, w, clock)).leased for w in (ORG, DEPARTMENT, TEAM)] == [0, 0, 0]


async def test_the_tightest_budget_decides_whichever_it_is_and_is_named(store: LedgerStore, tools: Tools) -> None:
    await plant(store, (ORG, {"monthly": 1_000, "daily": 40}), (DEPARTMENT, {"monthly": 800}), (TEAM, {"monthly": 600}))
    answer = await LedgerNode(store, tools).ask("lse_1", need=100)
    assert (answer.granted_nanos, answer.view.wallet, answer.view.budget) == (40, "organization:org_default", 40)


async def test_projects_keys_users_and_features_are_further_budgets_of_the_same_lease(
    store: LedgerStore, tools: Tools, clock: HandClock
) -> None:
    await plant(store, (TEAM, {"monthly": 600}), (PROJECT, {"monthly": 300}), (KEY, {"monthly": 50}))
    node = LedgerNode(store, tools)
    with_key = await node.ask("lse_1", need=80, also=("project:search", "key:tok_1"))
    assert (with_key.granted_nanos, with_key.view.wallet) == (50, "key:tok_1")
    assert (await node.ask("lse_2", need=80, also=("project:search",))).granted_nanos == 80
    assert (await node.ask("lse_3", need=80)).granted_nanos == 80
    leased = [(await month(store, wallet, clock)).leased for wallet in (TEAM, PROJECT, KEY)]
    assert leased == [210, 130, 50]


async def test_a_statement_lists_a_call_where_it_entered_the_tree_and_beside_it(
    store: LedgerStore, tools: Tools
) -> None:
    await plant(store, (TEAM, {"monthly": 600}), (PROJECT, {"monthly": 300}), (KEY, {"monthly": 50}))
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=40, also=("project:search", "key:tok_1"))
    await node.settle("evt_1", "lse_1", 30)
    async with store.ledger() as ledger:
        lines = {
            wallet.scope: [
                line.entry.amount for line in await ledger.entries.latest(wallet.wallet_id, None, 0, 2**62, 9)
            ]
            for wallet in (TEAM, PROJECT, KEY)
        }
    assert lines == {"team": [], "project": [30], "key": [30]}


async def test_what_children_were_given_is_kept_for_them(store: LedgerStore, tools: Tools) -> None:
    await plant(store, (TEAM, {"monthly": 100}), (PROJECT, {"monthly": 60}))
    node = LedgerNode(store, tools)
    assert (await node.ask("lse_1", need=70)).granted_nanos == 40
    assert (await node.ask("lse_2", need=60, also=("project:search",))).granted_nanos == 60


async def test_an_overcommitted_parent_keeps_nothing_back(store: LedgerStore, tools: Tools) -> None:
    await plant(store, (msgspec.structs.replace(TEAM, overcommit=True), {"monthly": 100}), (PROJECT, {"monthly": 60}))
    assert (await LedgerNode(store, tools).ask("lse_1", need=70)).granted_nanos == 70


async def test_an_empty_wallet_blocks_unless_it_falls_back_on_its_parent(
    store: LedgerStore, tools: Tools, clock: HandClock
) -> None:
    falling = msgspec.structs.replace(TEAM, fallback="parent")
    await plant(store, (ORG, {"monthly": 1_000}), (DEPARTMENT, {"monthly": 500}), (falling, {"monthly": 100}))
    node = LedgerNode(store, tools)
    assert (await node.ask("lse_1", need=100)).granted_nanos == 100
    used_up = await node.ask("lse_1", need=50)
    assert (used_up.granted_nanos, used_up.ends_in_s) == (0, 0.0), "its lease can't grow: a fresh one passes it by"
    assert (await node.ask("lse_2", need=50)).granted_nanos == 50
    assert (await node.ask("lse_2", need=0, want=20)).granted_nanos == 20, "and goes on growing"
    assert [(await month(store, w, clock)).leased for w in (ORG, DEPARTMENT, falling)] == [170, 170, 100]
    await node.settle("evt_1", "lse_2", 30)
    assert [(await month(store, w, clock)).posted for w in (DEPARTMENT, falling)] == [30, 0]


async def test_a_parent_attached_later_binds_from_the_next_grant(store: LedgerStore, tools: Tools) -> None:
    alone = msgspec.structs.replace(TEAM, parent_id=None)
    await plant(store, (ORG, {"monthly": 120}), (DEPARTMENT, {"monthly": 120}), (alone, {"monthly": 600}))
    node = LedgerNode(store, tools)
    assert (await node.ask("lse_1", need=200)).granted_nanos == 200
    async with store.ledger() as ledger:
        await ledger.wallets.update(TEAM)
    old = await node.ask("lse_1", need=100)
    assert (old.granted_nanos, old.ends_in_s) == (0, 0.0)
    assert (await node.ask("lse_2", need=200)).granted_nanos == 120


@pytest.mark.parametrize("state", ["frozen", "closed"])
@pytest.mark.parametrize("stopped", [ORG, TEAM])
async def test_a_stopped_wallet_stops_all_below_it(
    store: LedgerStore, tools: Tools, stopped: Wallet, state: str
) -> None:
    await plant(store, (ORG, {"monthly": 1_000}), (DEPARTMENT, {"monthly": 500}), (TEAM, {"monthly": 100}))
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=10)
    async with store.ledger() as ledger:
        await ledger.wallets.update(msgspec.structs.replace(stopped, state=state))
    answer = await node.ask("lse_1", need=10)
    assert (answer.granted_nanos, answer.ends_in_s, answer.view.stopped) == (0, 0.0, stopped.name)
    await node.settle("evt_1", "lse_1", 5)


async def test_a_team_without_a_budget_of_its_own_does_not_spend_its_parents(store: LedgerStore, tools: Tools) -> None:
    await plant(store, (ORG, {"monthly": 1_000}), (DEPARTMENT, {}), (TEAM, {}))
    answer = await LedgerNode(store, tools).ask("lse_1", need=10)
    assert (answer.granted_nanos, answer.view.allocated) == (0, False)


async def test_what_a_period_leaves_is_carried_over_and_late_returns_follow(
    store: LedgerStore, tools: Tools, clock: HandClock
) -> None:
    saving = msgspec.structs.replace(TEAM, parent_id=None, carry_over=True)
    await plant(store, (saving, {"daily": 100}))
    node = LedgerNode(store, tools)
    first = tools.now()
    await node.ask("lse_1", need=40)
    await node.settle("evt_1", "lse_1", 10)
    clock.turn(timedelta(days=2))
    await node.ask("lse_2", need=1)
    today = await account(store, saving, "daily", tools.now())
    assert (today.carried, today.funds) == (60 + 100, 260), (
        "what was free of the first day, and the second, unused, whole"
    )
    node.write(Return("lse_1", 25))
    await node.ship()
    today = await account(store, saving, "daily", tools.now())
    assert today.carried == 60 + 100 + 25
    assert (await account(store, saving, "daily", first)).left == 0
    node.write(CloseLease("lse_1", "team_a"))
    await node.ship()
    assert (await account(store, saving, "daily", tools.now())).carried == 60 + 100 + 30


async def test_a_spend_control_is_no_money_that_could_be_carried_over(
    store: LedgerStore, tools: Tools, clock: HandClock
) -> None:
    saving = msgspec.structs.replace(TEAM, parent_id=None, carry_over=True)
    await plant(store, (saving, {"daily": 500}))
    async with store.ledger() as ledger:
        await ledger.wallets.add_cap(saving.wallet_id, "node_1", Cap("monthly", 1_000))
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=40)
    clock.turn(timedelta(days=30))
    async with store.ledger() as ledger:
        await ledger.wallets.set_budget(saving.wallet_id, "monthly", 10)
    await node.ask("lse_2", need=5)
    assert (await month(store, saving, clock)).funds == 10


async def test_unused_money_lapses_where_nothing_carries_over(
    store: LedgerStore, tools: Tools, clock: HandClock
) -> None:
    await plant(store, (msgspec.structs.replace(TEAM, parent_id=None), {"daily": 100}))
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=10)
    clock.turn(timedelta(days=1))
    await node.ask("lse_2", need=10)
    assert (await account(store, TEAM, "daily", tools.now())).funds == 100


async def test_a_grant_that_the_store_lost_is_made_again_whatever_the_budget_says(
    store: LedgerStore, tools: Tools, clock: HandClock
) -> None:
    """A restored store: the node's journal says what it was granted, and that money may be spent already."""
    await plant(store, (ORG, {"monthly": 50}), (DEPARTMENT, {"monthly": 50}), (TEAM, {"monthly": 50}))
    node = LedgerNode(store, tools)
    node.write(Granted("grt_lost", "lse_lost", 80, "team_a", (), clock.unix_ns()))
    await node.settle("evt_1", "lse_lost", 60)
    for wallet in (ORG, DEPARTMENT, TEAM):
        now = await month(store, wallet, clock)
        assert (now.leased, now.posted, now.overrun, now.unleased) == (20, 60, 0, 0)
    async with store.ledger() as ledger:
        assert await ledger.recovery.state() is not None
    for lease_id, grant_id in (("lse_2", ""), ("lse_lost", "grt_lost")):
        with pytest.raises(InRecovery, match="node_1"):
            await node.ask(lease_id, need=1, grant_id=grant_id)


async def test_a_grant_that_the_store_knows_is_not_made_twice(
    store: LedgerStore, tools: Tools, clock: HandClock
) -> None:
    await plant(store, (ORG, {"monthly": 500}), (DEPARTMENT, {"monthly": 500}), (TEAM, {"monthly": 500}))
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=80, grant_id="grt_1")
    node.write(Granted("grt_1", "lse_1", 80, "team_a", (), clock.unix_ns()))
    await node.ship()
    assert (await month(store, TEAM, clock)).leased == 80


async def test_spend_that_no_lease_held_counts_in_every_budget_of_the_call(
    store: LedgerStore, tools: Tools, clock: HandClock
) -> None:
    await plant(store, (ORG, {"monthly": 500}), (DEPARTMENT, {}), (TEAM, {"monthly": 90}), (KEY, {"monthly": 70}))
    node = LedgerNode(store, tools, enforced=False)
    await node.settle("evt_1", None, 30, attribution=Attribution(team="team_a"), key_id="tok_1")
    assert [(await month(store, w, clock)).unleased for w in (ORG, TEAM, KEY)] == [30, 30, 30]


async def test_what_is_left_for_smaller_calls_is_not_hidden_by_one_that_fits_nowhere(
    store: LedgerStore, tools: Tools
) -> None:
    falling = msgspec.structs.replace(TEAM, fallback="parent", on_hard_cap="escalate")
    await plant(store, (DEPARTMENT, {"monthly": 150}), (falling, {"monthly": 100}))
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=100)
    answer = await node.ask("lse_2", need=80)
    assert answer.granted_nanos == 50, "the department's last money, as without a fallback"
    assert (answer.view.wallet, answer.view.escalates) == ("department:eng", True), "the team's own wallet escalates"


async def test_a_fast_clock_opens_no_period_that_has_not_begun(
    store: LedgerStore, tools: Tools, clock: HandClock
) -> None:
    """Else the current period would give all it has to one far in the future."""
    saving = msgspec.structs.replace(TEAM, parent_id=None, carry_over=True)
    await plant(store, (saving, {"daily": 100}))
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=10)
    node.write(event("evt_1", (attempt(None, 7),), at_ns=clock.unix_ns() + 40 * 86_400 * 10**9))
    await node.ship()
    today = await account(store, saving, "daily", tools.now())
    assert (today.unleased, today.carried_out, today.left) == (7, 0, 83)
    node.write(Granted("grt_lost", "lse_2", 20, "team_a", (), clock.unix_ns() + 40 * 86_400 * 10**9))
    await node.ship()
    assert (await account(store, saving, "daily", tools.now())).leased == 30
