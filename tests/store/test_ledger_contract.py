"""What every ledger store promises, noun by noun. The suite runs on each of them."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from keeptrusts.control.event_rows import call_row
from keeptrusts.core.ledger.entry import Entry
from keeptrusts.core.ledger.posting import LeaseBook, PeriodMovement
from keeptrusts.core.ledger.standing import Cap, PeriodKey, key_of
from keeptrusts.core.ledger.wallet import Wallet, WalletPeriod
from keeptrusts.store.contracts import Claims, LedgerStore
from tests.ledger_node import attempt, event
from tests.store.ledgers import LEDGERS

pytestmark = pytest.mark.anyio

APRIL = datetime(2026, 4, 1, tzinfo=UTC)
MAY = datetime(2026, 5, 1, tzinfo=UTC)
WALLET = Wallet("wal_1", "team", "team_a")
PERIOD = WalletPeriod("wal_1", "monthly", APRIL, MAY, budget=100)
KEY = key_of(PERIOD)


@pytest.fixture(params=LEDGERS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LedgerStore]:
    async with LEDGERS[request.param](tmp_path) as opened:
        async with opened.ledger() as ledger:
            await ledger.wallets.add(WALLET, 1)
            await ledger.wallets.add_period(PERIOD)
        yield opened


async def period(store: LedgerStore, key: PeriodKey = KEY) -> WalletPeriod:
    async with store.ledger() as ledger:
        found = await ledger.wallets.period(key)
    assert found is not None
    return found


async def test_a_wallet_is_found_by_its_scope_and_by_its_id(store: LedgerStore) -> None:
    async with store.ledger() as ledger:
        assert await ledger.wallets.find("team", "team_a") == WALLET
        assert await ledger.wallets.by_id("wal_1") == WALLET
        assert await ledger.wallets.find("team", "team_b") is None
        assert await ledger.wallets.find("project", "team_a") is None
        assert await ledger.wallets.by_id("wal_2") is None


async def test_a_scope_has_one_wallet(store: LedgerStore) -> None:
    with pytest.raises(Exception, match=r"already|UNIQUE"):
        async with store.ledger() as ledger:
            await ledger.wallets.add(msgspec.structs.replace(WALLET, wallet_id="wal_2"), 1)


async def test_what_fails_halfway_leaves_nothing_behind(store: LedgerStore) -> None:
    async def fail_halfway() -> None:
        async with store.ledger() as ledger:
            await ledger.wallets.set_budget("wal_1", "monthly", 5)
            await ledger.wallets.lease_out(KEY, 10, 100)
            await ledger.changes.add("wallet", "team_a")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail_halfway()
    async with store.ledger() as ledger:
        assert await ledger.wallets.budgets("wal_1") == {}
        assert await ledger.changes.last_seq() == 0
    assert (await period(store)).leased == 0


async def test_a_budget_is_replaced_and_each_kind_has_its_own(store: LedgerStore) -> None:
    async with store.ledger() as ledger:
        await ledger.wallets.set_budget("wal_1", "monthly", 5)
        await ledger.wallets.set_budget("wal_1", "monthly", 7)
        await ledger.wallets.set_budget("wal_1", "daily", 2)
    async with store.ledger() as ledger:
        assert await ledger.wallets.budgets("wal_1") == {"monthly": 7, "daily": 2}


async def test_spend_controls_come_with_the_node_that_registered_them(store: LedgerStore) -> None:
    async with store.ledger() as ledger:
        await ledger.wallets.add_cap("wal_1", "node_2", Cap("monthly", 9, 4))
        await ledger.wallets.add_cap("wal_1", "node_1", Cap("monthly", 8))
        await ledger.wallets.add_cap("wal_1", "node_1", Cap("daily", 3))
    async with store.ledger() as ledger:
        assert await ledger.wallets.caps("wal_1") == [
            ("node_1", Cap("daily", 3)),
            ("node_1", Cap("monthly", 8)),
            ("node_2", Cap("monthly", 9, 4)),
        ]
    async with store.ledger() as ledger:
        await ledger.wallets.drop_caps("node_1")
        assert await ledger.wallets.caps("wal_1") == [("node_2", Cap("monthly", 9, 4))]


async def test_leased_never_rises_past_the_limit(store: LedgerStore) -> None:
    """The conditional write itself is the guard (L2), whatever was read before."""
    async with store.ledger() as ledger:
        assert await ledger.wallets.lease_out(KEY, 60, 100)
        assert not await ledger.wallets.lease_out(KEY, 41, 100)
        assert await ledger.wallets.lease_out(KEY, 40, 100)
        assert not await ledger.wallets.lease_out(KEY, 1, 100)
    assert (await period(store)).leased == 100


@pytest.mark.parametrize("used", ["posted", "suspense", "overrun", "unleased"])
async def test_everything_that_is_used_counts_against_the_limit(store: LedgerStore, used: str) -> None:
    other = msgspec.structs.replace(PERIOD, start=MAY, end=MAY + timedelta(days=31), **{used: 30})
    async with store.ledger() as ledger:
        await ledger.wallets.add_period(other)
        assert not await ledger.wallets.lease_out(key_of(other), 71, 100)
        assert await ledger.wallets.lease_out(key_of(other), 70, 100)


async def test_a_wallet_that_nothing_bounds_can_be_leased_from_freely(store: LedgerStore) -> None:
    async with store.ledger() as ledger:
        assert await ledger.wallets.lease_out(KEY, 1_000, None)


async def test_a_period_that_is_not_there_gives_nothing(store: LedgerStore) -> None:
    async with store.ledger() as ledger:
        assert not await ledger.wallets.lease_out(PeriodKey("wal_1", "daily", APRIL), 1, None)


async def test_posting_moves_each_account(store: LedgerStore) -> None:
    async with store.ledger() as ledger:
        await ledger.wallets.lease_out(KEY, 50, 100)
        await ledger.wallets.post(KEY, PeriodMovement(-30, 20, overrun=4, suspense=5, unleased=7))
    now = await period(store)
    assert (now.leased, now.posted, now.overrun, now.suspense, now.unleased) == (20, 20, 4, 5, 7)
    assert (now.spent, now.available) == (31, 100 - 31 - 5 - 20)


async def test_no_account_can_become_negative(store: LedgerStore) -> None:
    with pytest.raises(Exception, match=r"(?i)negative|check"):
        async with store.ledger() as ledger:
            await ledger.wallets.post(KEY, PeriodMovement(leased=-1, posted=1, overrun=0))


async def test_a_periods_budget_can_be_set_below_what_is_leased(store: LedgerStore) -> None:
    async with store.ledger() as ledger:
        await ledger.wallets.lease_out(KEY, 50, 100)
        await ledger.wallets.set_period_budget(KEY, 10)
    assert (await period(store)).available == -40


async def test_periods_keep_their_instants(store: LedgerStore) -> None:
    forever = WalletPeriod("wal_1", "once", datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC), 1)
    async with store.ledger() as ledger:
        await ledger.wallets.add_period(forever)
        assert await ledger.wallets.period(key_of(forever)) == forever


async def test_versions_rise_by_one(store: LedgerStore) -> None:
    async with store.ledger() as ledger:
        assert [await ledger.wallets.next_version("wal_1") for _ in range(3)] == [1, 2, 3]
        found = await ledger.wallets.by_id("wal_1")
    assert found is not None
    assert found.version == 3


async def test_one_caller_may_recall_at_a_time(store: LedgerStore) -> None:
    async with store.ledger() as ledger:
        assert await ledger.wallets.claim_recall("wal_1", 5_000, 4_000)
        assert not await ledger.wallets.claim_recall("wal_1", 5_500, 4_500)
        assert await ledger.wallets.claim_recall("wal_1", 6_000, 5_000)


async def test_who_waits_is_remembered(store: LedgerStore) -> None:
    async with store.ledger() as ledger:
        assert await ledger.wallets.short_since("wal_1") == 0
        await ledger.wallets.set_short("wal_1", 77)
    async with store.ledger() as ledger:
        assert await ledger.wallets.short_since("wal_1") == 77


async def test_a_lease_comes_back_as_it_was_written_with_its_lines_in_order(store: LedgerStore) -> None:
    daily = WalletPeriod("wal_1", "daily", APRIL, APRIL + timedelta(days=1), budget=9)
    lease = LeaseBook("lse_1", "node_1", "wal_1", 10, 3, 2, closed=False)
    async with store.ledger() as ledger:
        await ledger.wallets.add_period(daily)
        await ledger.leases.add(lease, [KEY, key_of(daily)], 1)
    async with store.ledger() as ledger:
        assert await ledger.leases.find("lse_1") == lease
        assert await ledger.leases.lines("lse_1") == [key_of(daily), KEY]
        assert await ledger.leases.find("lse_2") is None
        assert await ledger.leases.lines("lse_2") == []
        closed = msgspec.structs.replace(lease, returned=7, closed=True)
        await ledger.leases.update(closed)
        assert await ledger.leases.find("lse_1") == closed


async def test_a_lease_cannot_debit_a_period_that_is_not_there(store: LedgerStore) -> None:
    lines = [PeriodKey("wal_1", "daily", APRIL)]
    with pytest.raises(Exception, match=r"(?i)exist|foreign"):
        async with store.ledger() as ledger:
            await ledger.leases.add(LeaseBook("lse_1", "node_1", "wal_1", 0, 0, 0, closed=False), lines, 1)


async def test_a_lease_cannot_give_more_than_it_was_granted(store: LedgerStore) -> None:
    with pytest.raises(Exception, match=r"(?i)negative|check"):
        async with store.ledger() as ledger:
            await ledger.leases.add(LeaseBook("lse_1", "node_1", "wal_1", 10, 8, 3, closed=False), [KEY], 1)


async def test_funds_move_from_one_period_to_the_next(store: LedgerStore) -> None:
    may = WalletPeriod("wal_1", "monthly", MAY, MAY + timedelta(days=31), budget=100)
    async with store.ledger() as ledger:
        assert await ledger.wallets.period_after(KEY) is None
        assert await ledger.wallets.period_before(key_of(may)) == PERIOD
        await ledger.wallets.add_period(may)
        await ledger.wallets.carry(KEY, key_of(may), 30)
        after = await ledger.wallets.period_after(KEY)
        before = await ledger.wallets.period_before(key_of(may))
    assert after is not None
    assert before is not None
    assert (after.carried, after.funds, before.carried_out, before.funds) == (30, 130, 30, 70)


async def test_what_people_approve_may_be_leased(store: LedgerStore) -> None:
    async with store.ledger() as ledger:
        await ledger.wallets.approve(KEY, 25)
        assert await ledger.wallets.lease_out(KEY, 125, 125)
    assert ((await period(store)).approved, (await period(store)).available) == (25, 0)


async def test_the_claims_of_children_are_their_budgets_and_what_of_them_is_unused(store: LedgerStore) -> None:
    now = APRIL + timedelta(days=3)
    async with store.ledger() as ledger:
        for name, budget, state in (("a", 40, "active"), ("b", 50, "frozen"), ("c", 60, "closed")):
            child = Wallet(f"wal_{name}", "project", name, parent_id="wal_1", state=state)  # type: ignore[arg-type]
            await ledger.wallets.add(child, 1)
            await ledger.wallets.set_budget(child.wallet_id, "monthly", budget)
        await ledger.wallets.add_period(WalletPeriod("wal_a", "monthly", APRIL, MAY, budget=45, posted=10, leased=5))
        assert await ledger.wallets.claims("wal_1", "monthly", now) == Claims(95, 30 + 50)
        assert await ledger.wallets.claims("wal_1", "daily", now) == Claims(0, 0)
        assert [child.wallet_id for child in await ledger.wallets.children("wal_1")] == ["wal_a", "wal_b", "wal_c"]


async def test_a_wallets_place_and_options_can_change(store: LedgerStore) -> None:
    async with store.ledger() as ledger:
        before = await ledger.wallets.by_id("wal_1")
        assert before is not None
        changed = msgspec.structs.replace(
            before, state="frozen", overcommit=True, carry_over=True, fallback="parent", on_hard_cap="escalate"
        )
        await ledger.wallets.update(changed)
        assert await ledger.wallets.by_id("wal_1") == changed


async def test_a_grant_is_remembered_once(store: LedgerStore) -> None:
    async with store.ledger() as ledger:
        await ledger.leases.add(LeaseBook("lse_1", "node_1", "wal_1", 10, 0, 0, closed=False), [KEY], 1)
        await ledger.leases.add_grant("grt_1", "lse_1", 10, 1)
        assert await ledger.leases.granted("grt_1") == ("lse_1", 10)
        assert await ledger.leases.granted("grt_2") is None
    with pytest.raises(Exception, match=r"already|UNIQUE"):
        async with store.ledger() as ledger:
            await ledger.leases.add_grant("grt_1", "lse_1", 10, 1)


async def test_a_journals_position(store: LedgerStore) -> None:
    async with store.ledger() as ledger:
        assert await ledger.journals.position("node_1") is None
        await ledger.journals.advance("node_1", 7, b"\x01" * 16)
        await ledger.journals.advance("node_1", 9, b"\x02" * 16)
    async with store.ledger() as ledger:
        assert await ledger.journals.position("node_1") == (9, b"\x02" * 16)
        assert await ledger.journals.position("node_2") is None


async def test_quarantine_keeps_a_record_whole(store: LedgerStore) -> None:
    async with store.ledger() as ledger:
        await ledger.journals.quarantine("node_1", 4, b"\x00\xff", "why", 1)
    async with store.ledger() as ledger:
        [kept] = await ledger.journals.quarantined("node_1")
        assert (kept.seq, kept.record, kept.reason) == (4, b"\x00\xff", "why")
        assert await ledger.journals.quarantined("node_2") == []


async def test_a_statement_is_read_from_its_newest_line(store: LedgerStore) -> None:
    lines = [
        Entry("wal_1", "settle", n, 100 - n, "monthly:2026-04-01", f"evt_{n}", "node_1", None, n) for n in range(1, 6)
    ]
    other = Entry("wal_9", "allocate", 1, 1, "monthly:2026-04-01", None, "admin", "note", 3)
    async with store.ledger() as ledger:
        await ledger.entries.add_all([*lines[:2], other, *lines[2:]])
    async with store.ledger() as ledger:
        newest = await ledger.entries.latest("wal_1", None, 0, 100, 2)
        assert [n.entry for n in newest] == [lines[4], lines[3]]
        rest = await ledger.entries.latest("wal_1", newest[-1].number, 0, 100, 10)
        assert [n.entry for n in rest] == [lines[2], lines[1], lines[0]]
        assert [n.entry for n in await ledger.entries.latest("wal_1", None, 2, 4, 10)] == [lines[2], lines[1]]
        assert [n.entry for n in await ledger.entries.latest("wal_9", None, 0, 100, 10)] == [other]


async def test_a_call_has_one_event(store: LedgerStore) -> None:
    row = call_row(event("evt_1", (attempt("lse_1", 5),)), "node_1", 3, None)
    async with store.ledger() as ledger:
        await ledger.events.add_all([row])
        assert await ledger.events.known([f"evt_{n}" for n in range(1_200)]) == {"evt_1"}
        assert await ledger.events.known([]) == set()
    with pytest.raises(Exception, match=r"already|UNIQUE"):
        async with store.ledger() as ledger:
            await ledger.events.add_all([row])


async def test_a_threshold_fires_once_per_period(store: LedgerStore) -> None:
    async with store.ledger() as ledger:
        await ledger.alerts.add(KEY, "50", "evt_1", 1)
        await ledger.alerts.add(KEY, "soft_cap", "evt_2", 1)
        assert await ledger.alerts.fired(KEY) == {"50", "soft_cap"}
        assert await ledger.alerts.fired(PeriodKey("wal_1", "monthly", MAY)) == frozenset()
    with pytest.raises(Exception, match=r"already|UNIQUE"):
        async with store.ledger() as ledger:
            await ledger.alerts.add(KEY, "50", "evt_3", 1)


async def test_the_change_feed_is_read_in_order_from_where_one_was(store: LedgerStore) -> None:
    async with store.ledger() as ledger:
        assert await ledger.changes.last_seq() == 0
        await ledger.changes.add("key", "tok_1")
        await ledger.changes.add("wallet", "team_a", 4, True, "node_1")
        await ledger.changes.add("key", "tok_2")
    async with store.ledger() as ledger:
        assert await ledger.changes.last_seq() == 3
        news = await ledger.changes.after(1, 10)
        assert [(c.seq, c.kind, c.subject_id, c.version, c.recall, c.except_node_id) for c in news] == [
            (2, "wallet", "team_a", 4, True, "node_1"),
            (3, "key", "tok_2", 0, False, None),
        ]
        assert [c.seq for c in await ledger.changes.after(0, 2)] == [1, 2]


async def test_the_use_of_an_unknown_key_is_no_error(store: LedgerStore) -> None:
    """A key may be gone from the store while a journal that used it still arrives."""
    async with store.ledger() as ledger:
        await ledger.key_use.mark_used({"tok_gone": 5})


async def test_many_rows_are_answered_as_one_by_one(store: LedgerStore) -> None:
    lease = LeaseBook("lse_1", "node_1", "wal_1", 10, 0, 0, closed=False)
    cap = Cap("daily", 50, 40)
    movement = PeriodMovement(leased=-4, posted=4)
    async with store.ledger() as ledger:
        await ledger.wallets.set_budget("wal_1", "monthly", 100)
        await ledger.wallets.add_cap("wal_1", "node_1", cap)
        await ledger.wallets.set_short("wal_1", 7)
        await ledger.leases.add(lease, [KEY], 1)
        await ledger.leases.add_grant("grt_1", "lse_1", 10, 1)
        await ledger.wallets.lease_out(KEY, 10, None)
    spent = msgspec.structs.replace(lease, settled=4)
    async with store.ledger() as ledger:
        many, absent = ledger.many, PeriodKey("wal_0", "monthly", APRIL)
        assert await many.wallets_named(["project:x", "team:team_a"]) == {"team:team_a": WALLET}
        assert await many.wallets(["wal_0", "wal_1"]) == {"wal_1": WALLET}
        assert await many.budgets(["wal_0", "wal_1"]) == {"wal_1": {"monthly": 100}}
        assert await many.caps(["wal_0", "wal_1"]) == {"wal_1": [("node_1", cap)]}
        assert await many.waiting_since(["wal_0", "wal_1"]) == {"wal_1": 7}
        assert await many.leases(["lse_0", "lse_1"]) == {"lse_1": lease}
        assert await many.lines(["lse_0", "lse_1"]) == {"lse_1": [KEY]}
        assert await many.granted(["grt_0", "grt_1"]) == {"grt_1"}
        assert await many.periods([]) == {}
        await many.update_leases([spent])
        await many.post({KEY: movement})
        assert await many.periods([absent, KEY]) == {KEY: await ledger.wallets.period(KEY)}
        assert await ledger.leases.find("lse_1") == spent
    assert (await period(store)).posted == 4
