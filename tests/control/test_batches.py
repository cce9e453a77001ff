"""Applying journals: every record once, in order, without a gap; truth is posted whatever the budgets say."""

from datetime import timedelta

import msgspec
import pytest

from keeptrusts.control.context import Tools
from keeptrusts.control.journal_reading import JournalFork, JournalGap
from keeptrusts.core.ledger.alerts import Threshold
from keeptrusts.core.ledger.journal_format import GENESIS, DamagedJournal, encode_group
from keeptrusts.core.ledger.records import Boot, Close, CloseLease, Granted, Return, encode_record
from keeptrusts.core.ledger.standing import Cap, key_of
from keeptrusts.store.contracts import LedgerStore
from tests.control.funds import account, fund, set_budget
from tests.hand_clock import HandClock
from tests.ledger_node import LedgerNode, attempt, event, reserve

pytestmark = pytest.mark.anyio

BOOT = Boot("node_1", "boot", 1)


async def statement(store: LedgerStore, wallet_id: str = "wal_team_a") -> list[tuple[str, int, int, str | None]]:
    """Type, amount, balance and event of each line, oldest first."""
    async with store.ledger() as ledger:
        lines = await ledger.entries.latest(wallet_id, None, 0, 2**63 - 1, 100)
    return [(n.entry.type, n.entry.amount, n.entry.balance, n.entry.event_id) for n in reversed(lines)]


async def known(store: LedgerStore, *event_ids: str) -> set[str]:
    async with store.ledger() as ledger:
        return await ledger.events.known(event_ids)


async def quarantined(store: LedgerStore, node_id: str = "node_1") -> list[tuple[int, str]]:
    async with store.ledger() as ledger:
        return [(kept.seq, kept.reason) for kept in await ledger.journals.quarantined(node_id)]


async def test_a_settled_call_moves_from_leased_to_posted_with_a_line_and_an_event(
    store: LedgerStore, tools: Tools
) -> None:
    wallet = await fund(store, monthly=1_000, daily=500)
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=100)
    await node.settle("evt_1", "lse_1", 60, hold=100)
    for kind in ("monthly", "daily"):
        now = await account(store, wallet, kind, tools.now())
        assert (now.posted, now.leased, now.overrun) == (60, 40, 0)
    assert await statement(store) == [("settle", 60, 940, "evt_1")]
    assert await known(store, "evt_1", "evt_2") == {"evt_1"}


async def test_balances_run_through_a_batch_in_the_journals_order(store: LedgerStore, tools: Tools) -> None:
    await fund(store, monthly=1_000)
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=500)
    node.write(*(event(f"evt_{n}", (attempt("lse_1", n * 10),)) for n in (1, 2)))
    node.write(event("evt_3", (attempt("lse_1", 0, hold=70, outcome="void"),), status="upstream_error"))
    node.write(event("evt_4", (attempt("lse_1", 5, outcome="indeterminate"),), status="recovered"))
    await node.ship()
    assert await statement(store) == [
        ("settle", 10, 990, "evt_1"),
        ("settle", 20, 970, "evt_2"),
        ("void", 70, 970, "evt_3"),
        ("settle", 5, 965, "evt_4"),
    ]


async def test_a_batch_that_comes_twice_is_applied_once(store: LedgerStore, tools: Tools) -> None:
    """The answer was lost on its way: the node ships again (L7)."""
    wallet = await fund(store, monthly=1_000)
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=100)
    node.write(event("evt_1", (attempt("lse_1", 60),)))
    node.write(event("evt_2", (attempt("lse_1", 10),)))
    assert await node.ship() == 2
    assert await node.ship_groups(node.groups) == 2
    assert await node.ship_groups(node.groups[1:]) == 2
    assert (await account(store, wallet, "monthly", tools.now())).posted == 70
    assert len(await statement(store)) == 2
    assert await quarantined(store) == []


async def test_a_batch_that_overlaps_what_is_applied_adds_the_rest(store: LedgerStore, tools: Tools) -> None:
    wallet = await fund(store, monthly=1_000)
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=100)
    for number in range(1, 4):
        node.write(event(f"evt_{number}", (attempt("lse_1", 10),)))
    await node.ship_groups(node.groups[:2])
    assert await node.ship_groups(node.groups[1:]) == 3
    assert (await account(store, wallet, "monthly", tools.now())).posted == 30


async def test_a_gap_is_refused_with_the_place_to_go_on_from(store: LedgerStore, tools: Tools) -> None:
    node = LedgerNode(store, tools)
    for _ in range(3):
        node.write(BOOT)
    await node.ship_groups(node.groups[:1])
    with pytest.raises(JournalGap) as gap:
        await node.ship_groups(node.groups[2:])
    assert gap.value.last_seq == 1
    fresh = LedgerNode(store, tools, "node_2")
    with pytest.raises(JournalGap) as gap:
        await fresh.ship_groups(node.groups[1:])
    assert gap.value.last_seq == 0


async def test_a_journal_with_another_past_is_refused(store: LedgerStore, tools: Tools) -> None:
    """Records that replaced applied ones (a journal restored from an old copy) must not be taken for repeats."""
    node, twin = LedgerNode(store, tools), LedgerNode(store, tools)
    node.write(BOOT)
    node.write(reserve("evt_1", None, 0))
    await node.ship()
    twin.write(BOOT)
    twin.write(reserve("evt_other", None, 0))
    twin.write(reserve("evt_more", None, 0))
    with pytest.raises(JournalFork):
        await twin.ship()
    with pytest.raises(JournalFork):
        await twin.ship_groups(twin.groups[2:])
    grown = LedgerNode(store, tools)
    grown.write(BOOT)
    grown.write(reserve("evt_1", None, 0), reserve("evt_2", None, 0))
    with pytest.raises(JournalFork):
        await grown.ship()


async def test_damaged_bytes_change_nothing(store: LedgerStore, tools: Tools) -> None:
    node = LedgerNode(store, tools)
    node.write(BOOT)
    node.write(BOOT)
    (first, seq, chain), second = node.groups
    broken = bytearray(first)
    broken[-1] ^= 1
    with pytest.raises(DamagedJournal):
        await node.ship_groups([(bytes(broken) + second[0], seq, chain)])
    async with store.ledger() as ledger:
        assert await ledger.journals.position("node_1") is None


async def test_a_group_that_is_cut_off_at_the_end_waits_for_its_rest(store: LedgerStore, tools: Tools) -> None:
    node = LedgerNode(store, tools)
    node.write(BOOT)
    node.write(BOOT)
    (first, seq, chain), (second, _, _) = node.groups
    assert await node.ship_groups([(first + second[:-3], seq, chain)]) == 1
    assert await node.ship_groups(node.groups[1:]) == 2


async def test_a_record_that_cannot_be_read_is_kept_whole_and_the_rest_is_applied(
    store: LedgerStore, tools: Tools
) -> None:
    """Otherwise one bad record would block its node for ever."""
    await fund(store, monthly=1_000)
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=100)
    later = msgspec.msgpack.encode(["of a later release", 1])
    not_utf8 = b"\x93\xa6return\xa1\xff\x05"
    node.write(b"\xc1 not msgpack", later, not_utf8, event("evt_1", (attempt("lse_1", 10),)))
    assert await node.ship() == 4
    assert [seq for seq, _ in await quarantined(store)] == [1, 2, 3]
    assert await known(store, "evt_1") == {"evt_1"}


@pytest.mark.parametrize(
    "record",
    [
        event("evt_x", (attempt("lse_1", 2**63),)),
        event("evt_x", (attempt("lse_1", -1),)),
        event("evt_x", latency_ms=-1),
        event("evt_x", at_ns=2**64 - 1),
        event(""),
        event("evt_\0"),
        event("e" * 3_000),
        event("evt_x", key_id="k" * 3_000),
        Close("evt_x", attempt("lse_1", 0, hold=-5, outcome="void")),
        Close("evt_x", attempt("lse_1", 0, hold=2**63, outcome="void")),
        CloseLease("lse_\0", "team_a"),
        Granted("grt_\0", "lse_1", 5, "team_a", (), 1),
        Close("evt_x", attempt("lse_1", -5)),
        Return("lse_1", -5),
    ],
)
async def test_a_record_that_no_column_can_hold_is_kept_whole(store: LedgerStore, tools: Tools, record: object) -> None:
    wallet = await fund(store, monthly=1_000)
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=100)
    node.write(record, event("evt_1", (attempt("lse_1", 10),)))  # type: ignore[arg-type]
    assert await node.ship() == 2
    assert [seq for seq, _ in await quarantined(store)] == [1]
    now = await account(store, wallet, "monthly", tools.now())
    assert (now.posted, now.leased) == (10, 90)


async def test_a_batch_that_moves_nothing_is_applied_all_the_same(store: LedgerStore, tools: Tools) -> None:
    """A reserve alone says only that a call is under way."""
    await fund(store, monthly=1_000)
    node = LedgerNode(store, tools)
    node.write(reserve("evt_1", None, 10))
    assert await node.ship() == 1
    node.write(event("evt_1", (attempt(None, 10),)))
    assert await node.ship() == 2
    assert await known(store, "evt_1") == {"evt_1"}
    assert await quarantined(store) == []


async def test_a_second_event_of_a_call_is_kept_whole_and_moves_no_money(store: LedgerStore, tools: Tools) -> None:
    """L5: one row per call, in one batch or over two."""
    wallet = await fund(store, monthly=1_000)
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=100)
    done = event("evt_1", (attempt("lse_1", 10),))
    node.write(done, done)
    await node.ship()
    node.write(done)
    await node.ship()
    assert [seq for seq, _ in await quarantined(store)] == [2, 3]
    assert (await account(store, wallet, "monthly", tools.now())).posted == 10


async def test_spend_beyond_the_lease_is_posted_as_overrun(store: LedgerStore, tools: Tools) -> None:
    """Truth is never refused: a provider that bills more than its bound is recorded."""
    wallet = await fund(store, monthly=1_000)
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=100)
    node.write(event("evt_1", (attempt("lse_1", 130, hold=100),)))
    await node.ship()
    now = await account(store, wallet, "monthly", tools.now())
    assert (now.posted, now.overrun, now.leased, now.spent) == (100, 30, 0, 130)


async def test_an_earlier_attempt_settles_with_its_own_record(store: LedgerStore, tools: Tools) -> None:
    wallet = await fund(store, monthly=1_000)
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=100)
    first, second = attempt("lse_1", 0, 40, "void", 1), attempt("lse_1", 25, 40, number=2)
    node.write(Close("evt_1", first))
    await node.ship()
    node.write(event("evt_1", (first, second)))
    await node.ship()
    assert (await account(store, wallet, "monthly", tools.now())).posted == 25
    assert await statement(store) == [("void", 40, 1_000, "evt_1"), ("settle", 25, 975, "evt_1")]


async def test_money_that_comes_back_can_be_granted_again(store: LedgerStore, tools: Tools) -> None:
    wallet = await fund(store, monthly=1_000)
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=1_000)
    node.write(Return("lse_1", 300))
    await node.ship()
    assert (await account(store, wallet, "monthly", tools.now())).available == 300
    node.write(Return("lse_1", 5_000))
    await node.ship()
    assert (await account(store, wallet, "monthly", tools.now())).available == 1_000, "never more than it had"


async def test_closing_a_lease_gives_its_rest_back_once(store: LedgerStore, tools: Tools) -> None:
    wallet = await fund(store, monthly=1_000)
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=500)
    await node.settle("evt_1", "lse_1", 120)
    node.write(CloseLease("lse_1", "team_a"), CloseLease("lse_1", "team_a"))
    await node.ship()
    now = await account(store, wallet, "monthly", tools.now())
    assert (now.leased, now.posted, now.available) == (0, 120, 880)


async def test_what_nobody_can_prove_goes_to_suspense_and_counts_as_used(store: LedgerStore, tools: Tools) -> None:
    wallet = await fund(store, monthly=1_000)
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=500)
    await node.settle("evt_1", "lse_1", 120)
    node.write(CloseLease("lse_1", "team_a", to_suspense=True))
    await node.ship()
    now = await account(store, wallet, "monthly", tools.now())
    assert (now.leased, now.posted, now.suspense, now.available) == (0, 120, 380, 500)


async def test_a_node_cannot_touch_another_nodes_lease(store: LedgerStore, tools: Tools) -> None:
    """Its journal may say what it likes: what it spent is its own, posted outside of any lease."""
    wallet = await fund(store, monthly=1_000)
    owner, other = LedgerNode(store, tools), LedgerNode(store, tools, "node_2")
    await owner.ask("lse_1", need=500)
    other.write(CloseLease("lse_1", "team_a"), Return("lse_1", 100))
    await other.ship()
    await other.settle("evt_1", "lse_1", 30)
    now = await account(store, wallet, "monthly", tools.now())
    assert (now.leased, now.posted, now.unleased) == (500, 0, 30)
    await owner.settle("evt_2", "lse_1", 500)
    assert (await account(store, wallet, "monthly", tools.now())).posted == 500


async def test_spend_of_a_lease_that_the_store_never_granted_is_posted_outside_of_any(
    store: LedgerStore, tools: Tools
) -> None:
    """The store was restored from a backup that is older than the grant: what was spent is still true."""
    wallet = await fund(store, monthly=1_000)
    node = LedgerNode(store, tools)
    await node.settle("evt_1", "lse_lost", 30)
    node.write(CloseLease("lse_lost", "team_a"))
    await node.ship()
    await node.settle("evt_2", "lse_lost", 5)
    now = await account(store, wallet, "monthly", tools.now())
    assert (now.unleased, now.posted, now.leased, now.available) == (35, 0, 0, 965)


async def test_an_attempt_that_ended_in_an_earlier_batch_is_not_counted_again_with_its_event(
    store: LedgerStore, tools: Tools
) -> None:
    """The first attempt was paid by a lease of which the batch with the event says nothing more."""
    wallet = await fund(store, monthly=1_000)
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=100)
    await node.ask("lse_2", need=100)
    first, second = attempt("lse_1", 30, outcome="indeterminate"), attempt("lse_2", 20, number=2)
    node.write(Close("evt_1", first))
    await node.ship()
    node.write(event("evt_1", (first, second), settles=1))
    await node.ship()
    now = await account(store, wallet, "monthly", tools.now())
    assert (now.posted, now.unleased, now.overrun) == (50, 0, 0)
    assert [line[:2] for line in await statement(store)] == [("settle", 30), ("settle", 20)]


async def test_unenforced_spend_is_seen_in_the_wallet(store: LedgerStore, tools: Tools) -> None:
    """A gateway that holds nothing still spends the team's money."""
    wallet = await fund(store, monthly=1_000)
    node = LedgerNode(store, tools, enforced=False)
    await node.settle("evt_1", None, 70)
    now = await account(store, wallet, "monthly", tools.now())
    assert (now.unleased, now.spent, now.available) == (70, 70, 930)
    assert await statement(store) == [("settle", 70, 930, "evt_1")]


async def test_unenforced_spend_belongs_to_the_period_of_its_call(
    store: LedgerStore, tools: Tools, clock: HandClock
) -> None:
    wallet = await fund(store, daily=1_000)
    node = LedgerNode(store, tools, enforced=False)
    called_at, yesterday = clock.unix_ns(), tools.now()
    clock.turn(timedelta(days=1))
    node.write(event("evt_1", (attempt(None, 70),), at_ns=called_at))
    node.write(event("evt_2", (attempt(None, 5),), at_ns=clock.unix_ns()))
    await node.ship()
    assert (await account(store, wallet, "daily", yesterday)).unleased == 70
    assert (await account(store, wallet, "daily", tools.now())).unleased == 5


async def test_spend_of_a_team_without_a_wallet_or_of_nobody_is_an_event_alone(
    store: LedgerStore, tools: Tools
) -> None:
    node = LedgerNode(store, tools, enforced=False)
    await node.settle("evt_1", None, 70, team="team_nobody")
    await node.settle("evt_2", None, 70, team=None)
    assert await known(store, "evt_1", "evt_2") == {"evt_1", "evt_2"}


async def test_a_blocked_call_is_an_event_without_a_line(store: LedgerStore, tools: Tools) -> None:
    await fund(store, monthly=1_000)
    node = LedgerNode(store, tools)
    node.write(event("evt_1", status="blocked", reason="insufficient_balance"))
    await node.ship()
    assert await known(store, "evt_1") == {"evt_1"}
    assert await statement(store) == []


async def test_each_threshold_fires_once_per_period(store: LedgerStore, tools: Tools, clock: HandClock) -> None:
    wallet = await fund(store, daily=100)
    node = LedgerNode(
        store, tools, thresholds=(Threshold(50, "notify"), Threshold(80, "notify"), Threshold(100, "block"))
    )
    await node.ask("lse_1", need=100)

    async def fired() -> set[str]:
        now = await account(store, wallet, "daily", tools.now())
        async with store.ledger() as ledger:
            return set(await ledger.alerts.fired(key_of(now)))

    await node.settle("evt_1", "lse_1", 49)
    assert await fired() == set()
    await node.settle("evt_2", "lse_1", 1)
    assert await fired() == {"50"}
    await node.settle("evt_3", "lse_1", 35)
    await node.settle("evt_4", "lse_1", 1)
    assert await fired() == {"50", "80"}
    clock.turn(timedelta(days=1))
    await node.ask("lse_2", need=100)
    await node.settle("evt_5", "lse_2", 100)
    assert await fired() == {"50", "80", "100"}


async def test_a_soft_cap_tells_and_does_not_block(store: LedgerStore, tools: Tools) -> None:
    wallet = await fund(store, monthly=1_000)
    async with store.ledger() as ledger:
        await ledger.wallets.add_cap(wallet.wallet_id, "node_1", Cap("monthly", 500, 100))
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=300)
    await node.settle("evt_1", "lse_1", 100)
    await node.settle("evt_2", "lse_1", 100)
    now = await account(store, wallet, "monthly", tools.now())
    async with store.ledger() as ledger:
        assert await ledger.alerts.fired(key_of(now)) == {"soft_cap"}


async def test_a_budget_lowered_under_the_spend_keeps_every_figure_true(store: LedgerStore, tools: Tools) -> None:
    wallet = await fund(store, monthly=1_000)
    node = LedgerNode(store, tools)
    await node.ask("lse_1", need=500)
    await node.settle("evt_1", "lse_1", 400)
    await set_budget(store, wallet, "monthly", 10, tools.now())
    await node.settle("evt_2", "lse_1", 100)
    now = await account(store, wallet, "monthly", tools.now())
    assert (now.posted, now.overrun, now.leased, now.available) == (500, 0, 0, -490)
    assert (await statement(store))[-1] == ("settle", 100, -490, "evt_2")


async def test_an_empty_shipment_changes_nothing(store: LedgerStore, tools: Tools) -> None:
    node = LedgerNode(store, tools)
    assert await node.ship_groups([(b"", 1, GENESIS)]) == 0
    data, _ = encode_group([encode_record(BOOT)], 1, GENESIS)
    assert await node.ship_groups([(data[:10], 1, GENESIS)]) == 0
