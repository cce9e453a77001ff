"""What operators do to wallets: budgets in the tree, credit, transfer, reclaim, freeze, close; and what they can't."""

import pytest

from keeptrusts.control import balances, wallet_moves, wallet_states, wallets
from keeptrusts.control.balances import Balance
from keeptrusts.control.context import Actor, Control
from keeptrusts.control.denial import Denial
from keeptrusts.control.wallets import Allocation
from keeptrusts.core.ledger.wallet import Scope
from tests.ledger_node import LedgerNode

pytestmark = pytest.mark.anyio

ADMIN = Actor("admin", "admin")


async def give(
    control: Control, scope: Scope, scope_id: str, amount: int, parent: str | None = None, **options: object
) -> Balance:
    return await wallets.allocate(control, ADMIN, Allocation(scope, scope_id, amount, parent=parent, options=options))


async def lines(control: Control, named: str) -> list[tuple[str, int, int]]:
    found = await balances.transactions(control, named, 0, 2**62, None, 20)
    return [(each.entry.type, each.entry.amount, each.entry.balance) for each in reversed(found)]


async def changes(control: Control) -> int:
    async with control.store.read() as books:
        return await books.changes.last_seq()


async def test_children_share_what_their_parent_has(control: Control) -> None:
    await give(control, "organization", "org_default", 1_000)
    await give(control, "department", "eng", 600)
    await give(control, "team", "team_a", 400, parent="department:eng")
    with pytest.raises(Denial, match=r"eng has 0\.0000006 USD monthly, and 0\.0000004 of it is given") as over:
        await give(control, "team", "team_b", 201, parent="department:eng")
    assert over.value.code == "over_parent"
    await give(control, "team", "team_b", 200, parent="department:eng")
    with pytest.raises(Denial, match="more can be given"):
        await give(control, "team", "team_a", 401)
    await give(control, "team", "team_a", 300)
    found = {b.wallet.name: b.wallet.parent_id for b in await balances.every(control)}
    org = (await balances.balance(control, "organization:org_default", None)).wallet.wallet_id
    assert found["department:eng"] == org, "what is made below an organization draws on it"


async def test_a_refused_allocation_changes_nothing(control: Control) -> None:
    await give(control, "department", "eng", 100)
    before = await changes(control)
    with pytest.raises(Denial):
        await give(control, "team", "team_a", 101, parent="department:eng")
    assert await changes(control) == before
    with pytest.raises(Denial, match="no wallet yet"):
        await balances.balance(control, "team_a", None)


async def test_overcommit_lets_children_have_more(control: Control) -> None:
    await give(control, "department", "eng", 100, overcommit=True)
    assert (await give(control, "team", "team_a", 500, parent="department:eng")).period.budget == 500


@pytest.mark.parametrize(
    ("scope", "parent", "why"),
    [
        ("organization", "team:t", "can't draw on"),
        ("key", "team:t", "can't draw on"),
        ("team", "team:t", "can't draw on"),
    ],
)
async def test_the_tree_has_one_direction(control: Control, scope: Scope, parent: str, why: str) -> None:
    await give(control, "team", "t", 100)
    with pytest.raises(Denial, match=why):
        await give(control, scope, "x", 1, parent=parent)


async def test_a_credit_is_for_this_period_alone(control: Control) -> None:
    await give(control, "team", "team_a", 100)
    assert (await wallet_moves.credit(control, ADMIN, "team_a", 50, "monthly", "top-up")).period.budget == 150
    async with control.store.read() as books:
        wallet = await balances.wallet_named(books, "team_a")
        assert await books.wallets.budgets(wallet.wallet_id) == {"monthly": 100}
    assert await lines(control, "team_a") == [("allocate", 100, 100), ("credit", 50, 150)]
    assert (await give(control, "team", "team_a", 100)).period.budget == 100, "allocate sets, it does not add"


async def test_a_credit_calls_back_what_a_fallback_took_from_the_parent(control: Control) -> None:
    """A lease that passes an empty wallet by grows on the parent's money as long as it lives: it ends, and the next one
    is paid by the wallet again."""
    await give(control, "department", "eng", 1_000)
    await give(control, "team", "team_a", 100, parent="department:eng", fallback="parent")
    await give(control, "team", "team_b", 100, parent="department:eng")
    for team, called_back in (("team_a", True), ("team_b", False)):
        before = await changes(control)
        await wallet_moves.credit(control, ADMIN, team, 50, "monthly", None)
        async with control.store.read() as books:
            assert [change.recall for change in await books.changes.after(before, 10)] == [called_back]


async def test_a_credit_needs_room_in_the_parent(control: Control) -> None:
    await give(control, "department", "eng", 100)
    await give(control, "team", "team_a", 80, parent="department:eng")
    with pytest.raises(Denial, match="more can be given"):
        await wallet_moves.credit(control, ADMIN, "team_a", 21, "monthly", None)
    await wallet_moves.credit(control, ADMIN, "team_a", 20, "monthly", None)


async def test_a_transfer_moves_unused_money_and_nothing_else(control: Control) -> None:
    await give(control, "department", "eng", 200)
    for team in ("team_a", "team_b"):
        await give(control, "team", team, 100, parent="department:eng")
    node = LedgerNode(control.store, control.tools)
    await node.ask("lse_1", need=90)
    await node.settle("evt_1", "lse_1", 30)
    with pytest.raises(Denial, match=r"has 0\.00000007 USD unused"):
        await wallet_moves.transfer(control, ADMIN, "team_a", "team_b", 71, "monthly", None)
    giving, taking = await wallet_moves.transfer(control, ADMIN, "team_a", "team_b", 70, "monthly", None)
    assert (giving.period.budget, taking.period.budget) == (30, 170)
    assert (giving.balance_nanos, taking.balance_nanos) == (0, 170)
    assert (await lines(control, "team_a"))[-1] == ("transfer", -70, 0)


async def test_a_parent_can_hand_its_own_money_down(control: Control) -> None:
    await give(control, "department", "eng", 100)
    await give(control, "team", "team_a", 40, parent="department:eng")
    with pytest.raises(Denial, match="unused"):
        await wallet_moves.transfer(control, ADMIN, "department:eng", "team_a", 61, "monthly", None)
    giving, taking = await wallet_moves.transfer(control, ADMIN, "department:eng", "team_a", 60, "monthly", None)
    assert (giving.period.budget, taking.period.budget) == (100, 100), "a child's budget is a part of its parent's"
    giving, taking = await wallet_moves.transfer(control, ADMIN, "team_a", "department:eng", 30, "monthly", None)
    assert (giving.period.budget, taking.period.budget) == (70, 100)


async def test_reclaim_takes_what_nobody_uses(control: Control) -> None:
    await give(control, "team", "team_a", 100)
    node = LedgerNode(control.store, control.tools)
    await node.ask("lse_1", need=60)
    await node.settle("evt_1", "lse_1", 10)
    wallet_id = (await balances.balance(control, "team_a", None)).wallet.wallet_id
    control.presence.heard("node_1", control.tools.clock.monotonic_s(), {wallet_id: 25})
    assert (await wallet_moves.reclaim(control, ADMIN, "team_a", None, "monthly", None)).period.budget == 35
    with pytest.raises(Denial, match="nothing unused"):
        await wallet_moves.reclaim(control, ADMIN, "team_a", None, "monthly", None)


async def test_a_closed_wallet_is_closed_for_good(control: Control) -> None:
    await give(control, "department", "eng", 100)
    await give(control, "team", "team_a", 40, parent="department:eng")
    with pytest.raises(Denial, match="still draw on"):
        await wallet_states.set_state(control, ADMIN, "department:eng", "closed")
    assert (await wallet_states.set_state(control, ADMIN, "team_a", "frozen")).state == "frozen"
    assert (await wallet_states.set_state(control, ADMIN, "team_a", "active")).state == "active"
    assert (await wallet_states.set_state(control, ADMIN, "team_a", "closed")).state == "closed"
    for attempt in (
        wallet_states.set_state(control, ADMIN, "team_a", "active"),
        give(control, "team", "team_a", 1),
        wallet_moves.credit(control, ADMIN, "team_a", 1, "monthly", None),
    ):
        with pytest.raises(Denial, match="for good"):
            await attempt
    await give(control, "team", "team_b", 100, parent="department:eng")


async def test_where_days_begin_is_fixed_once_there_is_a_budget(control: Control) -> None:
    await give(control, "team", "team_a", 100, zone="Asia/Tokyo", fiscal_month=4)
    with pytest.raises(Denial, match="would overlap"):
        await give(control, "team", "team_a", 100, zone="Europe/Berlin")
    assert (await give(control, "team", "team_a", 100, zone="Asia/Tokyo")).wallet.zone == "Asia/Tokyo"


async def test_a_wallet_that_moves_under_a_parent_counts_there_once(control: Control) -> None:
    await give(control, "team", "team_a", 60)
    await give(control, "department", "eng", 100)
    await give(control, "department", "small", 59)
    with pytest.raises(Denial, match="more can be given"):
        await give(control, "team", "team_a", 60, parent="department:small")
    assert (await give(control, "team", "team_a", 60, parent="department:eng")).period.budget == 60
