"""What clients say of their attribution: the same answer through every door and in every carrier, and bounds that hold."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keeptrusts.core.calls.form import Part, write_form
from keeptrusts.core.identity.attribution import Attribution
from keeptrusts.core.limits.limit_set import LimitSet
from keeptrusts.core.limits.quotas import UNLIMITED_QUOTAS, quotas_of
from keeptrusts.core.limits.rules import LimitRules, Scoped
from keeptrusts.core.refusal import Refused
from keeptrusts.core.rulebook.rulebook import ConsumerGroup
from keeptrusts.gateway import caller as callers_file
from keeptrusts.gateway.attributing import attribute
from keeptrusts.gateway.caller import Caller, callers_of
from keeptrusts.gateway.doors import CHAT, COMPLETIONS, DOORS, EMBEDDINGS, MESSAGES, RESPONSES, Door
from keeptrusts.gateway.scopes import Meters
from tests.gateway.hand_loop import HandLoop
from tests.gateway.house import TEAM, House, ask, reply, with_rules
from tests.gateway.keys import record, secret, tell

ANYBODY = {"user": ("*",)}
FEATURES = {"feature": ("ranking", "answers")}
BODIES: dict[str, dict[str, Any]] = {
    CHAT.name: {"model": "m", "messages": []},
    COMPLETIONS.name: {"model": "m", "prompt": "p"},
    RESPONSES.name: {"model": "m", "input": "p"},
    EMBEDDINGS.name: {"model": "m", "input": "p"},
    MESSAGES.name: {"model": "m", "messages": [], "max_tokens": 1},
    "images/generations": {"model": "m", "prompt": "p"},
    "audio/speech": {"model": "m", "input": "p"},
    "moderations": {"model": "m", "input": "p"},
    **{
        name: {"model": "m", "prompt": "p"}
        for name in ("images/edits", "images/variations", "audio/transcriptions", "audio/translations")
    },
}


def body_of(door: Door, fields: dict[str, Any]) -> bytes:
    """JSON, or a form with a file, where what is no text is written as JSON."""
    if not door.takes_files:
        return json.dumps(fields).encode()
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
    file = Part("image" if "images" in door.name else "file", b"...", b"a.bin")
    return write_form((*(Part(name, text.encode()) for name, text in texts.items()), file))[1]


THROUGH = pytest.mark.parametrize("door", DOORS.values(), ids=lambda door: door.name)


class Index:
    """The callers of one group, and one call's way through the attribution."""

    def __init__(self, allowed: dict[str, tuple[str, ...]], **bound: str) -> None:
        group = ConsumerGroup("g", api_key="k", wallet_team_id=TEAM, allowed_dimensions=allowed, attribution=bound)
        self.callers = callers_of(b"p", with_rules(groups=(group,)), Meters())
        found = self.callers.find(b"k")
        assert found is not None
        self.caller = found

    def call(self, door: Door, headers: dict[str, str], **fields: Any) -> tuple[Caller, dict[str, Any]]:
        """The caller that comes of it, and the fields that go on."""
        request = door.parse(body_of(door, {**BODIES[door.name], **fields}))
        assert self.caller.additions is not None
        lines = {name.lower().encode(): value.encode() for name, value in headers.items()}
        found = attribute(self.callers, self.caller, self.caller.additions, lines, request)
        return found, request.decoded()

    def answer(self, door: Door, headers: dict[str, str], **fields: Any) -> str:
        """The attribution, or why not, as text."""
        try:
            return str(self.call(door, headers, **fields)[0].attribution)
        except Refused as refused:
            return f"{refused.reason}: {refused.message} {dict(refused.details)}"


@THROUGH
@pytest.mark.parametrize(
    ("dimension", "value"),
    [
        ("feature", "ranking"),
        ("feature", " ranking "),
        ("feature", "other"),
        ("feature", "Ranking"),
        ("feature", ""),
        ("environment", "production"),
        ("environment", "staging"),
        ("project", "atlas"),
        ("team", TEAM),
        ("team", "team_b"),
        ("organization", "o"),
        ("user", "alice"),
        ("user", "x" * 200),
        ("cost_center", "42"),
    ],
)
def test_header_and_metadata_get_the_same_answer_through_every_door(door: Door, dimension: str, value: str) -> None:
    index = Index({**FEATURES, **ANYBODY}, environment="production")
    header = index.answer(door, {f"X-Keeptrusts-{dimension.replace('_', '-').title()}": value})
    assert index.answer(door, {}, metadata={dimension: value}) == header
    expected = index.answer(CHAT, {"x-keeptrusts-" + dimension.replace("_", "-"): value})
    assert header == expected
    if dimension == "user":
        assert index.answer(door, {}, user=value) == header
        assert index.answer(door, {}, metadata={"user_id": value}) == header


@THROUGH
@pytest.mark.parametrize(
    "metadata",
    [
        {"feature": ["ranking"]},
        {"feature": {"feature": "ranking"}},
        {"feature": 1},
        {"feature": True},
        {"feature": "ranking", "user_id": ["a"]},
    ],
)
def test_a_value_that_is_no_text_is_refused(door: Door, metadata: dict[str, Any]) -> None:
    assert Index({**FEATURES, **ANYBODY}).answer(door, {}, metadata=metadata).startswith("invalid_request")


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({"x-keeptrusts-feature": "ranking"}, {"metadata": {"feature": "answers"}}),
        ({"x-keeptrusts-user": "alice"}, {"user": "bob"}),
        ({}, {"user": "alice", "metadata": {"user_id": "bob"}}),
    ],
)
def test_two_carriers_that_disagree_are_refused(headers: dict[str, str], fields: dict[str, Any]) -> None:
    assert Index({**FEATURES, **ANYBODY}).answer(CHAT, headers, **fields).startswith("invalid_request")


@pytest.mark.parametrize(
    ("header", "metadata"),
    [
        ("x_keeptrusts_feature", {"Feature": "ranking"}),
        ("keeptrusts-feature", {"FEATURE": "ranking"}),
        ("x-keeptrusts-featur\u0435", {"featur\u0435": "ranking"}),
        ("x-keeptrusts-features", {"keeptrusts": {"feature": "ranking"}}),
    ],
)
def test_look_alikes_of_names_attribute_nothing(header: str, metadata: dict[str, Any]) -> None:
    index = Index(FEATURES)
    found, sent = index.call(CHAT, {header: "ranking"}, metadata=metadata)
    assert found is index.caller
    assert sent["metadata"] == metadata


def test_what_is_for_us_goes_no_further_and_the_rest_stays_as_it_was() -> None:
    index = Index({**FEATURES, **ANYBODY})
    _, sent = index.call(CHAT, {}, metadata={"feature": "ranking", "trace": "t", "user_id": "a"}, user="a")
    assert (sent["metadata"], sent["user"]) == ({"trace": "t", "user_id": "a"}, "a")
    _, sent = index.call(CHAT, {}, metadata={"feature": "ranking"})
    assert "metadata" not in sent


def test_the_providers_own_fields_are_its_own_where_no_client_names_the_user() -> None:
    index = Index(FEATURES)
    found, sent = index.call(MESSAGES, {}, metadata={"user_id": "bob"}, user=["odd"])
    assert found is index.caller
    assert (sent["metadata"], sent["user"]) == ({"user_id": "bob"}, ["odd"])


def test_the_same_words_are_the_same_caller_and_made_up_ones_do_not_fill_the_memory() -> None:
    index = Index(ANYBODY)
    alice, _ = index.call(CHAT, {"x-keeptrusts-user": "alice"})
    assert index.call(CHAT, {}, user="alice")[0] is alice
    assert alice.meters == index.caller.meters
    for number in range(callers_file.MAX_DERIVED + 10):
        index.callers.with_attribution(index.caller, Attribution(team=TEAM, user=str(number)))
    assert len(index.callers._derived) == callers_file.MAX_DERIVED


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    loop = HandLoop()
    house = House(loop, tmp_path, with_rules(attribution_required=("team", "feature")))
    yield house
    house.stop()
    loop.close()
    assert loop.broken == []


def test_a_key_that_allows_nothing_is_not_asked_and_its_metadata_passes(house: House) -> None:
    tell(house, record(attribution=Attribution(team=TEAM, feature="f")))
    house.call(ask(metadata={"feature": "x"}), x_consumer_group=secret(1), x_keeptrusts_feature="other")
    assert b'"metadata":{"feature": "x"}' in house.wire.written
    house.wire.says(reply())
    assert house.rows()[0].attribution == Attribution(team=TEAM, feature="f")


def test_an_allowed_addition_is_in_the_row_and_satisfies_what_is_required(house: House) -> None:
    tell(house, record(allowed_dimensions=FEATURES))
    refused = house.call(x_consumer_group=secret(1))
    assert (refused.status, refused.error["code"]) == (403, "attribution_required")
    told = house.call(x_consumer_group=secret(1), x_keeptrusts_feature="ranking")
    house.wire.says(reply())
    assert told.status == 200
    assert house.rows()[-1].attribution == Attribution(team=TEAM, feature="ranking")
    other = house.call(x_consumer_group=secret(1), x_keeptrusts_feature="else")
    assert (other.status, other.error["code"]) == (403, "attribution_not_allowed")
    assert other.error["details"] == {"dimension": "feature", "allowed": ["answers", "ranking"]}
    assert house.rows()[-1].reason == "attribution_not_allowed"
    house.settled()


def test_a_users_own_budget_binds_the_calls_that_name_the_user(house: House) -> None:
    tell(house, record(allowed_dimensions={**ANYBODY, "feature": ("*",)}), budgets=("user:alice",))
    for user in ("alice", "bob"):
        house.call(ask(user=user), x_consumer_group=secret(1), x_keeptrusts_feature="f")
        house.wire.says(reply())
    assert set(house.node.treasury.purse.accounts) == {(TEAM, ("user:alice",)), (TEAM, ())}


@pytest.mark.parametrize("named", [True, False])
def test_a_users_rate_limit_binds_the_users_that_clients_name_each_for_itself(tmp_path: Path, named: bool) -> None:
    one = quotas_of(LimitSet(requests_per_minute=1))
    users = Scoped(UNLIMITED_QUOTAS, {"alice": one, "bob": one}) if named else Scoped(one)
    loop = HandLoop()
    house = House(loop, tmp_path, with_rules(limits=LimitRules(users=users)))
    tell(house, record(allowed_dimensions=ANYBODY))
    told = []
    for user in ("alice", "bob", "alice"):
        call = house.call(ask(user=user), x_consumer_group=secret(1))
        if not call.ended:
            house.wire.says(reply())
        told.append(call.status)
    assert told == [200, 200, 429]
    house.stop()
    loop.close()
