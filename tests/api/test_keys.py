"""What keys are issued with beside limits and models: additions, networks, new secrets, and their budget's hand on them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from keeptrusts.api.app import create_app
from keeptrusts.api.resources.token_shapes import IssuedToken, Token
from keeptrusts.control.context import Control
from keeptrusts.control.exhaustion import look
from keeptrusts.control.nodes import heartbeat, register, snapshot
from keeptrusts.control.opening import open_control
from keeptrusts.core.identity.attribution import Attribution
from keeptrusts.core.identity.gateway_key import KeyRecord, key_digest
from keeptrusts.core.ledger.records import Event
from keeptrusts.core.link import Heartbeat, Registration
from tests.api.asgi import Answer, Caller
from tests.api.conftest import ADMIN_TOKEN
from tests.hand_clock import HandClock
from tests.ledger_node import LedgerNode, attempt, event
from tests.store.real_postgres import ledger_database

pytestmark = pytest.mark.anyio

CENT = 10_000_000
NODE = Registration("node_1", "h", "1", ("openai",), True, (), (), ())


@pytest.fixture(params=["sqlite", "postgres"])
async def either(request: pytest.FixtureRequest, tmp_path: Path, clock: HandClock) -> AsyncIterator[Control]:
    """The control plane on each engine."""
    if request.param == "sqlite":
        async with open_control(tmp_path / "data", ADMIN_TOKEN, clock) as opened:
            yield opened
    else:
        async with ledger_database() as url, open_control(tmp_path / "data", ADMIN_TOKEN, clock, url) as opened:
            yield opened


async def issue(admin: Caller, **fields: Any) -> dict[str, Any]:
    answer = await admin.post("/v1/tokens", {"token_type": "gateway", "name": "k", **fields})
    assert answer.status == 201, answer.text
    found: dict[str, Any] = answer.json
    return found


async def key_at_nodes(control: Control) -> KeyRecord:
    """The one key as gateways know it."""
    await register(control, NODE)
    [found] = (await snapshot(control, "node_1")).keys
    return found


def problem_fields(answer: Answer) -> list[str]:
    return [problem["field"] for problem in answer.json["error"]["details"]["problems"]]


async def test_a_key_says_what_its_clients_may_add_and_from_where(either: Control) -> None:
    admin = Caller(create_app(either), ADMIN_TOKEN)
    asked = {"feature": ["ranking", "answers"], "user": "*", "cost_center": ["42"]}
    issued = await issue(admin, allowed_dimensions=asked, allowed_ips=["10.0.0.0/8", "192.0.2.7"], team_id="t")
    IssuedToken.model_validate(issued)
    assert issued["allowed_dimensions"] == {"feature": ["ranking", "answers"], "user": ["*"], "cost_center": ["42"]}
    assert issued["allowed_ips"] == ["10.0.0.0/8", "192.0.2.7/32"]
    known = await key_at_nodes(either)
    assert known.allowed_dimensions == {"feature": ("ranking", "answers"), "user": ("*",), "cost_center": ("42",)}
    assert known.allowed_ips == ("10.0.0.0/8", "192.0.2.7/32")
    path = f"/v1/tokens/{issued['id']}"
    kept = (await admin.patch(path, {"name": "other"})).json
    assert (kept["allowed_dimensions"], kept["allowed_ips"]) == (issued["allowed_dimensions"], issued["allowed_ips"])
    gone = (await admin.patch(path, {"allowed_dimensions": None, "allowed_ips": []})).json
    assert (gone["allowed_dimensions"], gone["allowed_ips"]) == ({}, [])


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"allowed_dimensions": {"team": ["a"]}}, "allowed_dimensions.team"),
        ({"allowed_dimensions": {"organization": "*"}}, "allowed_dimensions.organization"),
        ({"allowed_dimensions": {"feature": []}}, "allowed_dimensions.feature"),
        ({"allowed_dimensions": {"feature": "ranking"}}, "allowed_dimensions.feature"),
        ({"allowed_dimensions": {"feature": ["x" * 129]}}, "allowed_dimensions.feature.0"),
        ({"allowed_dimensions": {"feature": ["a"] * 1001}}, "allowed_dimensions.feature"),
        ({"allowed_dimensions": {"feature": "*"}, "attribution": {"feature": "f"}}, "allowed_dimensions"),
        ({"allowed_ips": ["10.0.0.1/8"]}, "allowed_ips.0"),
        ({"allowed_ips": "10.0.0.0/8"}, "allowed_ips"),
        ({"on_exhausted": "delete"}, "on_exhausted"),
        ({"token_type": "access", "allowed_ips": ["::1"]}, "allowed_ips"),
        ({"token_type": "access", "on_exhausted": "suspend"}, "on_exhausted"),
    ],
)
async def test_what_a_key_cannot_be_issued_with(admin: Caller, fields: dict[str, Any], field: str) -> None:
    answer = await admin.post("/v1/tokens", {"token_type": "gateway", "name": "k", **fields})
    assert answer.status == 400
    assert problem_fields(answer) == [field]


async def test_what_a_key_is_bound_to_can_be_added_by_no_later_change(admin: Caller) -> None:
    issued = await issue(admin, allowed_dimensions={"feature": "*"})
    answer = await admin.patch(f"/v1/tokens/{issued['id']}", {"attribution": {"feature": "f"}})
    assert answer.status == 400
    assert "feature" in answer.json["error"]["message"]


async def test_what_is_for_calls_is_refused_on_an_access_key(admin: Caller) -> None:
    issued = await issue(admin, token_type="access")
    assert (await admin.patch(f"/v1/tokens/{issued['id']}", {"allowed_ips": ["::1"]})).status == 400


async def test_a_new_secret_has_the_same_id_and_the_old_one_an_end(either: Control, clock: HandClock) -> None:
    admin = Caller(create_app(either), ADMIN_TOKEN)
    issued = await issue(admin, rate_limit=7, team_id="t")
    rotated = await admin.post(f"/v1/tokens/{issued['id']}/rotate", {"overlap_seconds": 3600})
    assert rotated.status == 200
    IssuedToken.model_validate(rotated.json)
    assert (rotated.json["id"], rotated.json["rate_limit"]) == (issued["id"], 7)
    assert rotated.json["token"] != issued["token"]
    assert rotated.json["hint"].endswith(rotated.json["token"][-4:])
    assert (rotated.json["rotated_at"], rotated.json["old_secret_until"]) == (
        "2026-04-15T09:30:00Z",
        "2026-04-15T10:30:00Z",
    )
    known = await key_at_nodes(either)
    assert known.digest == key_digest(either.pepper, rotated.json["token"])
    assert known.old_digest == key_digest(either.pepper, issued["token"])
    assert known.old_until is not None
    assert known.old_until.isoformat() == "2026-04-15T10:30:00+00:00"
    clock.turn(timedelta(hours=1))
    shown = (await admin.get(f"/v1/tokens/{issued['id']}")).json
    Token.model_validate(shown)
    assert shown["old_secret_until"] is None


async def test_gateways_hear_of_a_new_secret_with_their_next_heartbeat(control: Control, admin: Caller) -> None:
    issued = await issue(admin)
    await key_at_nodes(control)
    seen = (await snapshot(control, "node_1")).seq
    rotated = await admin.post(f"/v1/tokens/{issued['id']}/rotate")
    changes = await heartbeat(control, "node_1", Heartbeat(seen, {}))
    [key] = changes.keys
    assert key.digest == key_digest(control.pepper, rotated.json["token"])
    assert key.old_until is not None, "without an overlap the old secret has ended, and is told so"


async def test_rotations_at_once_leave_one_secret_and_the_one_before(either: Control) -> None:
    """Each of two operators has a secret that works, or is the one that still does during the overlap."""
    admin = Caller(create_app(either), ADMIN_TOKEN)
    issued = await issue(admin)
    path = f"/v1/tokens/{issued['id']}/rotate"
    answers = await asyncio.gather(*(admin.post(path, {"overlap_seconds": 60}) for _ in range(2)))
    assert {answer.status for answer in answers} == {200}, [answer.text for answer in answers]
    known = await key_at_nodes(either)
    assert {known.digest, known.old_digest} == {key_digest(either.pepper, answer.json["token"]) for answer in answers}


async def test_a_rotation_whose_answer_was_lost_is_told_again(either: Control, clock: HandClock) -> None:
    admin = Caller(create_app(either), ADMIN_TOKEN)
    issued = await issue(admin)
    path, key = f"/v1/tokens/{issued['id']}/rotate", {"idempotency-key": "0b3c-once"}

    async def ask(headers: dict[str, str], overlap_seconds: int = 60) -> Answer:
        return await admin.send("POST", path, b'{"overlap_seconds":%d}' % overlap_seconds, headers)

    first = await ask(key)
    clock.turn(timedelta(seconds=5))
    again = await ask(key)
    assert (first.status, again.status) == (200, 200)
    assert again.json == first.json
    known = await key_at_nodes(either)
    assert known.old_digest == key_digest(either.pepper, issued["token"]), "it was rotated once"
    assert (await ask(key, 61)).status == 409, "another request under the same key"
    other = await ask({"idempotency-key": "0b3c-other"})
    assert other.json["token"] != first.json["token"]
    assert (await ask(key)).json["token"] == first.json["token"], "it works still"
    await ask({})
    assert (await ask(key)).code == "token_rotated"
    async with either.store.read() as books:
        acts = [row.action for row in await books.audit.of_subject(issued["id"])]
    assert acts == ["token.create", *["token.rotate"] * 3]


@pytest.mark.parametrize("overlap", [-1, 30 * 86_400 + 1, "60", 1.5, True, None])
async def test_an_overlap_has_bounds(admin: Caller, overlap: Any) -> None:
    issued = await issue(admin)
    answer = await admin.post(f"/v1/tokens/{issued['id']}/rotate", {"overlap_seconds": overlap})
    assert answer.status == 400
    assert problem_fields(answer) == ["overlap_seconds"]


async def test_what_has_ended_gets_no_new_secret(admin: Caller, clock: HandClock) -> None:
    expired = await issue(admin, expires_at="2026-04-16T00:00:00Z")
    revoked = await issue(admin)
    await admin.delete(f"/v1/tokens/{revoked['id']}")
    clock.turn(timedelta(days=1))
    told = [await admin.post(f"/v1/tokens/{each}/rotate") for each in (expired["id"], revoked["id"], "tok_no")]
    assert [(answer.status, answer.code) for answer in told] == [
        (409, "token_expired"),
        (409, "token_revoked"),
        (404, "token_not_found"),
    ]


async def test_an_access_key_is_rotated_too(admin: Caller, app: Any, clock: HandClock) -> None:
    issued = await issue(admin, token_type="access")
    rotated = await admin.post(f"/v1/tokens/{issued['id']}/rotate", {"overlap_seconds": 60})
    old, new = Caller(app, issued["token"]), Caller(app, rotated.json["token"])
    assert [(await each.get("/v1/tokens")).status for each in (old, new)] == [200, 200]
    clock.turn(timedelta(seconds=60))
    assert [(await each.get("/v1/tokens")).status for each in (old, new)] == [401, 200]


async def test_a_rotation_is_on_the_audit_trail_without_a_secret(admin: Caller, control: Control) -> None:
    issued = await issue(admin)
    rotated = await admin.post(f"/v1/tokens/{issued['id']}/rotate")
    async with control.store.read() as books:
        rows = await books.audit.of_subject(issued["id"])
    assert [row.action for row in rows] == ["token.create", "token.rotate"]
    assert "digest" not in str(rows)
    assert not {issued["token"], rotated.json["token"]} & {str(row.after) for row in rows}


# What a budget does


class Spending:
    """A team with a budget of ten cents, a key that is suspended with it, and a gateway that books the key's calls."""

    def __init__(self, control: Control) -> None:
        self.control = control
        self.admin = Caller(create_app(control), ADMIN_TOKEN)
        self.node = LedgerNode(control.store, control.tools)
        self.key_id = ""
        self._calls = 0

    async def begin(self, **fields: Any) -> "Spending":
        await self.allocate("0.10")
        await register(self.control, NODE)
        self.key_id = (await issue(self.admin, team_id="team_a", **{"on_exhausted": "suspend", **fields}))["id"]
        return self

    async def allocate(self, amount: str, **where: str) -> None:
        answer = await self.admin.post("/v1/wallets/allocate", {"amount": amount, **(where or {"team_id": "team_a"})})
        assert answer.status == 200, answer.text

    async def spend(self, nanos: int) -> None:
        """A call of the key that cost so much."""
        await self._book(attempts=(attempt(None, nanos),))

    async def run_short(self) -> None:
        """A call of the key that was refused for want of money."""
        await self._book(status="blocked", reason="insufficient_balance")

    async def _book(self, attempts: Any = (), **fields: Any) -> None:
        self._calls += 1
        at_ns = self.control.tools.clock.unix_ns()
        booked: Event = event(f"evt_{self._calls}", attempts, key_id=self.key_id, at_ns=at_ns, **fields)
        self.node.write(booked)
        await self.node.ship()

    async def standing(self) -> tuple[str, str | None]:
        """The key after the next look."""
        await look(self.control)
        shown = (await self.admin.get(f"/v1/tokens/{self.key_id}")).json
        return shown["status"], shown["suspended_reason"]

    async def acts(self) -> list[tuple[str, str]]:
        async with self.control.store.read() as books:
            return [(row.actor, row.action) for row in await books.audit.of_subject(self.key_id)]


ACTIVE, EXHAUSTED, BY_HAND = ("active", None), ("suspended", "budget_exhausted"), ("suspended", "manual")


async def test_a_key_is_suspended_when_its_budget_is_used_up_and_goes_on_when_it_is_funded(either: Control) -> None:
    spending = await Spending(either).begin()
    await spending.spend(9 * CENT + CENT // 2)
    assert await spending.standing() == ACTIVE, "money is left, and nobody was refused"
    await spending.run_short()
    assert await spending.standing() == EXHAUSTED
    assert await spending.standing() == EXHAUSTED, "nothing has come"
    await spending.allocate("0.20")
    assert await spending.standing() == ACTIVE
    assert await spending.acts() == [("admin", "token.create"), ("budget", "token.suspend"), ("budget", "token.resume")]


async def test_a_new_period_resumes_it(control: Control, clock: HandClock) -> None:
    spending = await Spending(control).begin()
    await spending.spend(10 * CENT)
    await spending.run_short()
    assert await spending.standing() == EXHAUSTED
    clock.turn(timedelta(days=15))
    assert await spending.standing() == EXHAUSTED
    clock.turn(timedelta(days=1))
    assert await spending.standing() == ACTIVE


async def test_a_call_that_is_too_large_for_a_half_full_budget_suspends_nobody(control: Control) -> None:
    spending = await Spending(control).begin()
    await spending.spend(5 * CENT)
    await spending.run_short()
    assert await spending.standing() == ACTIVE


async def test_a_key_that_did_not_ask_for_it_is_never_suspended_by_its_budget(control: Control) -> None:
    spending = await Spending(control).begin(on_exhausted="refuse")
    await spending.spend(10 * CENT)
    await spending.run_short()
    assert await spending.standing() == ACTIVE


async def test_money_resumes_no_key_that_a_person_suspended(control: Control) -> None:
    spending = await Spending(control).begin()
    await spending.spend(10 * CENT)
    path = f"/v1/tokens/{spending.key_id}"
    await spending.admin.patch(path, {"status": "suspended"})
    await spending.run_short()
    assert await spending.standing() == BY_HAND
    await spending.allocate("1")
    assert await spending.standing() == BY_HAND
    await spending.admin.patch(path, {"status": "active"})
    await spending.spend(90 * CENT)
    await spending.run_short()
    assert await spending.standing() == EXHAUSTED
    await spending.admin.patch(path, {"status": "suspended"})
    await spending.allocate("5")
    assert await spending.standing() == BY_HAND, "a person's word came on top of the budget's"


async def test_a_person_may_resume_it_and_a_further_refusal_suspends_it_again(control: Control) -> None:
    spending = await Spending(control).begin()
    await spending.spend(10 * CENT)
    await spending.run_short()
    assert await spending.standing() == EXHAUSTED
    await spending.admin.patch(f"/v1/tokens/{spending.key_id}", {"status": "active"})
    assert await spending.standing() == ACTIVE
    await spending.run_short()
    assert await spending.standing() == EXHAUSTED
    await spending.admin.patch(f"/v1/tokens/{spending.key_id}", {"on_exhausted": "refuse"})
    assert await spending.standing() == ACTIVE


async def test_every_budget_of_its_calls_counts(control: Control) -> None:
    spending = await Spending(control).begin(attribution={"project": "atlas"})
    await spending.allocate("0.05", scope="project", scope_id="atlas")
    at_ns = control.tools.clock.unix_ns()
    who = Attribution(team="team_a", project="atlas")
    spending.node.write(
        event("evt_p", (attempt(None, 5 * CENT),), key_id=spending.key_id, attribution=who, at_ns=at_ns)
    )
    await spending.run_short()
    assert await spending.standing() == EXHAUSTED
    await spending.allocate("1")
    assert await spending.standing() == EXHAUSTED, "the project has no more than before"
    await spending.allocate("0.5", scope="project", scope_id="atlas")
    assert await spending.standing() == ACTIVE


async def test_the_parent_that_pays_for_an_empty_team_resumes_it(control: Control) -> None:
    spending = await Spending(control).begin()
    await spending.allocate("0.15", scope="department", scope_id="eng")
    answer = await spending.admin.post(
        "/v1/wallets/allocate",
        {"team_id": "team_a", "amount": "0.05", "parent": "department:eng", "fallback": "parent"},
    )
    assert answer.status == 200, answer.text
    await spending.spend(15 * CENT)
    await spending.run_short()
    assert await spending.standing() == EXHAUSTED
    await spending.allocate("0.30", scope="department", scope_id="eng")
    assert await spending.standing() == ACTIVE


async def test_a_revoked_key_stays_revoked(control: Control) -> None:
    spending = await Spending(control).begin()
    await spending.spend(10 * CENT)
    await spending.run_short()
    await spending.standing()
    await spending.admin.delete(f"/v1/tokens/{spending.key_id}")
    await spending.allocate("5")
    assert await spending.standing() == ("revoked", None)
