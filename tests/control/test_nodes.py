"""What gateways are told: everything at first, then every change within a moment, and nothing that is not theirs."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from keeptrusts.control import balances, nodes, prices, tokens, wallets
from keeptrusts.control.context import Actor, Control
from keeptrusts.control.denial import Denial
from keeptrusts.control.wallets import Allocation
from keeptrusts.core.identity.gateway_key import key_digest
from keeptrusts.core.ledger.alerts import Threshold
from keeptrusts.core.limits.limit_set import LimitSet
from keeptrusts.core.link import Heartbeat, RegisteredControl, RegisteredGroup, Registration
from keeptrusts.core.pricing.price import Price, Rates
from tests.hand_clock import HandClock

pytestmark = pytest.mark.anyio

ADMIN = Actor("admin", "admin")
REGISTRATION = Registration(
    node_id="node_1",
    hostname="host",
    version="0.1.0",
    providers=("openai",),
    wallet_enforcement=True,
    thresholds=(Threshold(50, "notify"),),
    groups=(RegisteredGroup("engineering", "team_engineering", LimitSet(requests_per_minute=10)),),
    spend_controls=(RegisteredControl("search", "monthly", 10_000, 8_000, "block"),),
)
WISH = tokens.Wish("gateway", "key", None, None, None, 5, ["gpt-4o"], "team_a", None, {"application": "app"}, None)
PRICE = Price("", "openai", "gpt-4o", Rates(1, 2))


def beat(seen_seq: int, **held: int) -> Heartbeat:
    return Heartbeat(seen_seq, held)


async def test_a_registered_node_is_known_by_its_token_alone(control: Control) -> None:
    registered = await nodes.register(control, REGISTRATION)
    actor = await nodes.node_of_token(control, registered.node_token)
    assert actor == Actor("node", "node_1")
    assert registered.key_pepper == control.pepper.hex()
    assert await nodes.node_of_token(control, "kt_nk_other") is None


async def test_registering_again_gives_a_fresh_token_and_changes_nothing_else(control: Control) -> None:
    """A recovery introduces the dead node once more: its old token dies with it."""
    first = await nodes.register(control, REGISTRATION)
    again = Registration("node_1", "other", "9", (), False, (), (), ())
    second = await nodes.register(control, again)
    assert await nodes.node_of_token(control, first.node_token) is None
    assert await nodes.node_of_token(control, second.node_token) is not None
    assert await nodes.registration_of(control, "node_1") == REGISTRATION


async def test_a_node_without_an_id_is_refused(control: Control) -> None:
    with pytest.raises(Denial, match="node_id"):
        await nodes.register(control, Registration("", "h", "1", (), True, (), (), ()))


async def test_a_snapshot_has_all_gateway_keys_and_the_prices_of_the_nodes_providers(control: Control) -> None:
    await nodes.register(control, REGISTRATION)
    row, secret = await tokens.create(control, ADMIN, WISH)
    await tokens.create(
        control, ADMIN, tokens.Wish("access", "ci", None, None, "admin", None, None, None, None, {}, None)
    )
    ours = await prices.post(control, ADMIN, PRICE, None)
    await prices.post(control, ADMIN, Price("", "anthropic", "claude", Rates(1, 2)), None)
    found = await nodes.snapshot(control, "node_1")
    [key] = found.keys
    assert (key.key_id, key.digest, key.status) == (row.token_id, key_digest(control.pepper, secret), "provisioned")
    assert (key.attribution.team, key.attribution.application, key.allowed_models) == ("team_a", "app", ("gpt-4o",))
    assert found.prices == (ours,)
    assert found.seq == control.bell.last_seq


async def test_a_heartbeat_brings_what_changed_since(control: Control) -> None:
    await nodes.register(control, REGISTRATION)
    seen = (await nodes.snapshot(control, "node_1")).seq
    row, _ = await tokens.create(control, ADMIN, WISH)
    await tokens.change(control, ADMIN, row.token_id, {}, "suspended")
    price = await prices.post(control, ADMIN, PRICE, None)
    await prices.post(control, ADMIN, Price("", "anthropic", "claude", Rates(1, 2)), None)
    await wallets.allocate(control, ADMIN, Allocation("team", "team_a", 1_000))
    await wallets.allocate(control, ADMIN, Allocation("team", "team_a", 10))
    await wallets.allocate(control, ADMIN, Allocation("team", "team_a", 20))
    news = await nodes.heartbeat(control, "node_1", beat(seen))
    assert [(key.key_id, key.status) for key in news.keys] == [(row.token_id, "suspended")]
    assert news.prices == (price,)
    [change] = news.wallets
    assert (change.name, change.version, change.recall) == ("team:team_a", 3, True)
    assert news.seq == control.bell.last_seq
    assert not news.resync


async def test_a_waiting_heartbeat_hears_of_a_commit_at_once(control: Control) -> None:
    await nodes.register(control, REGISTRATION)
    waiting = asyncio.create_task(nodes.heartbeat(control, "node_1", beat(0)))
    await asyncio.sleep(0)
    await wallets.allocate(control, ADMIN, Allocation("team", "team_a", 1_000))
    async with asyncio.timeout(0.9):
        news = await waiting
    assert [change.name for change in news.wallets] == ["team:team_a"]


async def test_a_heartbeat_without_news_is_answered_after_its_wait(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "HEARTBEAT_WAIT_S", 0.01)
    await nodes.register(control, REGISTRATION)
    news = await nodes.heartbeat(control, "node_1", beat(0))
    assert (news.seq, news.keys, news.prices, news.wallets, news.resync) == (0, (), (), (), False)


async def test_a_node_that_saw_more_than_there_is_takes_a_new_snapshot(control: Control) -> None:
    """The store was restored from a backup: the node's knowledge is of a future that never was."""
    await nodes.register(control, REGISTRATION)
    assert (await nodes.heartbeat(control, "node_1", beat(99))).resync


async def test_a_node_too_far_behind_takes_a_new_snapshot(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keeptrusts.store.changes.KEPT", 2)
    await nodes.register(control, REGISTRATION)
    for number in range(5):
        await wallets.allocate(control, ADMIN, Allocation("team", f"team_{number}", 1_000))
    async with control.store.write() as books:
        assert await books.changes.forget_old() == 3
    assert (await nodes.heartbeat(control, "node_1", beat(1))).resync
    assert not (await nodes.heartbeat(control, "node_1", beat(3))).resync


async def test_a_recall_is_not_sent_to_the_node_that_asked_for_it(control: Control) -> None:
    await nodes.register(control, REGISTRATION)
    async with control.store.write() as books:
        await books.changes.add("wallet", "team_a", 1, recall=True, except_node_id="node_1")
    news = await nodes.heartbeat(control, "node_1", beat(0))
    assert (news.wallets, news.seq) == ((), 1)


async def test_holds_count_for_as_long_as_their_node_is_heard_of(control: Control, clock: HandClock) -> None:
    await nodes.register(control, REGISTRATION)
    wallet_id = (await wallets.allocate(control, ADMIN, Allocation("team", "team_a", 1_000))).wallet.wallet_id
    await nodes.heartbeat(control, "node_1", beat(0, **{wallet_id: 70}))
    found = await balances.balance(control, "team_a", None)
    assert (found.held_nanos, found.available_nanos, found.balance_nanos) == (70, 930, 1_000)
    assert (await nodes.terms_of(control, "node_1")).alive == {"node_1"}
    clock.turn(timedelta(seconds=11))
    assert (await balances.balance(control, "team_a", None)).held_nanos == 0
    assert (await nodes.terms_of(control, "node_1")).alive == frozenset()


async def test_a_spend_control_of_a_living_node_is_shown_with_the_wallet(control: Control, clock: HandClock) -> None:
    await nodes.register(control, REGISTRATION)
    await wallets.allocate(control, ADMIN, Allocation("team", "search", 50_000))
    await nodes.heartbeat(control, "node_1", beat(0))
    assert (await balances.balance(control, "search", None)).cap_nanos == 10_000
    clock.turn(timedelta(seconds=11))
    assert (await balances.balance(control, "search", None)).cap_nanos is None


async def test_a_team_is_called_by_the_one_group_that_names_it(control: Control) -> None:
    await nodes.register(control, REGISTRATION)
    await wallets.allocate(control, ADMIN, Allocation("team", "team_engineering", 1_000))
    await wallets.allocate(control, ADMIN, Allocation("team", "team_other", 1_000))
    assert {b.wallet.scope_id: b.team for b in await balances.every(control) if b.wallet.scope_id != "search"} == {
        "team_engineering": "engineering",
        "team_other": "other",
    }
    assert (await balances.balance(control, "engineering", None)).wallet.scope_id == "team_engineering"


async def test_a_known_node_introduces_itself_anew_when_its_rules_change(control: Control) -> None:
    """Its groups, its caps and its terms are the new ones, and what was leased under the old caps comes back."""
    await nodes.register(control, REGISTRATION)
    seen = control.bell.last_seq
    changed = msgspec.structs.replace(
        REGISTRATION,
        wallet_enforcement=False,
        groups=(RegisteredGroup("sales", "team_sales", LimitSet()),),
        spend_controls=(RegisteredControl("search", "monthly", 5_000, None, "block"),),
        config_version=7,
    )
    await nodes.introduce(control, changed)
    assert (await nodes.terms_of(control, "node_1")).enforced is False
    assert (await nodes.registration_of(control, "node_1")).config_version == 7
    async with control.store.read() as books:
        wallet = await books.wallets.find("team", "search")
        assert wallet is not None
        [(node_id, cap)] = await books.wallets.caps(wallet.wallet_id)
        assert (node_id, cap.hard_nanos) == ("node_1", 5_000)
        assert {row.group.name for row in await books.groups.every()} == {"engineering", "sales"}
    news = await nodes.heartbeat(control, "node_1", beat(seen))
    assert [(change.name, change.recall) for change in news.wallets] == [("team:search", True)]


async def test_a_node_that_nobody_knows_cannot_introduce_itself(control: Control) -> None:
    with pytest.raises(Denial, match="not registered"):
        await nodes.introduce(control, REGISTRATION)
