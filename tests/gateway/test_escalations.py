"""Calls that policies leave to a person: held without money and without a place, let through once, and never unless somebody says so."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from keeptrusts.core.ledger.records import Event
from keeptrusts.core.limits.limit_set import LimitSet
from keeptrusts.core.rulebook.rulebook import CacheRules, Policy
from tests.gateway.fake_control import FakeTicket
from tests.gateway.hand_loop import HandLoop
from tests.gateway.house import (
    BILL,
    COST,
    DONE,
    END,
    GROUP,
    SAID,
    STREAM_HEAD,
    House,
    Told,
    ask,
    chunk,
    reply,
    with_rules,
)
from tests.gateway.keys import bearer, record, tell

SAY = "Tell me about Project Aurora."
NAMES = Policy("code-names", "keyword", "escalate", {"words": ["project aurora"]})
TOOLS = Policy("tools", "tool_allowlist", "escalate", {"allowed_tools": ["search"]})
MODELS = Policy("models", "model_allowlist", "escalate", {"models": ["gpt-4o"]})
WAIT_S = 20
FOUND = "keyword_escalated:code-names"


@pytest.fixture
def loop() -> Iterator[HandLoop]:
    loop = HandLoop()
    yield loop
    for open_house in OPEN:
        open_house.stop()
    OPEN.clear()
    loop.close()
    assert loop.broken == []


OPEN: list[House] = []


def house(loop: HandLoop, tmp_path: Path, *policies: Policy, **changes: Any) -> House:
    rules = with_rules(policies=policies or (NAMES,), hold_wait_s=WAIT_S, **changes)
    OPEN.append(House(loop, tmp_path, rules))
    return OPEN[-1]


def saying(text: str = SAY, **fields: Any) -> bytes:
    return ask(messages=[{"role": "user", "content": text}], **fields)


def ticket(here: House) -> FakeTicket:
    """The one that is waited with."""
    [found] = [t for t in here.control.tickets.values() if t.status == "waiting"]
    return found


def decided(here: House, status: Any) -> str:
    """An approver speaks on the call that waits; the ticket's id."""
    ticket_id = ticket(here).request.ticket_id
    here.control.decide(ticket_id, status)
    here.loop.advance(0.1)
    return ticket_id


def answered(here: House, told: Told) -> Event:
    """The provider answers the call that was let through."""
    here.wire.says(reply())
    here.loop.turn()
    assert told.status == 200
    return here.rows()[-1]


def test_a_call_waits_without_money_and_goes_on_when_somebody_lets_it(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path)
    told = here.call(saying())
    assert here.board.wires == []
    assert here.node.treasury.purse.held_nanos() == {}
    assert len(here.node.waiting_room) == 1
    asked = ticket(here).request
    assert (asked.policies, asked.found, asked.model, asked.group) == (
        ("code-names",),
        (FOUND,),
        "gpt-4o-mini",
        "marketing",
    )
    assert b"Aurora" not in msgspec.json.encode(asked)
    ticket_id = decided(here, "approved")
    row = answered(here, told)
    assert (row.status, row.cost_nanos, row.policy_actions, row.ticket) == ("ok", COST, (FOUND,), ticket_id)
    another = here.call(saying())
    assert decided(here, "denied") != ticket_id, "an approval lets one call through"
    assert another.status == 409
    here.settled()


def test_who_is_denied_hears_of_the_ticket(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path)
    told = here.call(saying())
    ticket_id = decided(here, "denied")
    assert (told.status, told.error["code"]) == (409, "policy_violation")
    assert told.error["details"] == {"policy": "code-names", "phase": "input", "ticket": ticket_id}
    assert told.headers["x-should-retry"] == "false"
    [row] = here.rows()
    assert (row.status, row.cost_nanos, row.policy_actions, row.ticket) == ("blocked", None, (FOUND,), ticket_id)
    assert here.board.wires == []
    here.settled()


def test_a_wait_has_an_end_and_a_late_approval_is_for_a_retry_of_the_same_call(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path)
    told = here.call(saying(), idempotency_key="once")
    loop.advance(WAIT_S + 1)
    assert (told.status, "nobody decided in time" in told.error["message"]) == (409, True)
    [waiting] = here.control.tickets.values()
    assert waiting.status == "open"
    here.control.decide(waiting.request.ticket_id, "approved")
    loop.advance(2)
    other = here.call(saying(SAY + " Please."), idempotency_key="once")
    assert ticket(here) is not waiting, "an approval is of what was asked, whatever the key says"
    decided(here, "denied")
    assert other.status == 409
    row = answered(here, here.call(saying(), idempotency_key="once"))
    assert row.ticket == waiting.request.ticket_id
    here.settled()


def test_repeats_of_a_held_call_wait_with_its_ticket_and_are_told_its_answer(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path)
    first, second = (here.call(saying(), idempotency_key="once") for _ in range(2))
    assert len(here.control.tickets) == 1
    decided(here, "approved")
    answered(here, first)
    assert (second.status, second.body) == (200, first.body)
    assert len(here.board.wires) == 1
    assert here.rows()[-1].cost_nanos == 0
    here.settled()


def test_what_is_in_the_cache_is_asked_about_as_well(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path, cache=CacheRules(enabled=True))
    first = here.call(saying())
    decided(here, "approved")
    answered(here, first)
    second = here.call(saying())
    assert not second.ended
    ticket_id = decided(here, "approved")
    assert second.status == 200
    assert (here.rows()[-1].cache_hit, here.rows()[-1].ticket) == (True, ticket_id)
    here.settled()


def test_a_held_call_gives_its_place_up(loop: HandLoop, tmp_path: Path) -> None:
    group = msgspec.structs.replace(GROUP, limits=LimitSet(concurrent_requests=1))
    here = house(loop, tmp_path, groups=(group,))
    told = here.call(saying())
    answered(here, here.call())
    decided(here, "approved")
    assert here.call().status == 429, "it has its place back"
    answered(here, told)
    here.settled()


def test_a_stream_waits_before_its_first_byte(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path)
    told = here.call(saying(stream=True))
    assert told.started == {}
    decided(here, "approved")
    here.wire.says(STREAM_HEAD + chunk(SAID) + chunk(BILL) + chunk(DONE) + END)
    loop.turn()
    assert told.status == 200
    here.settled()


def test_without_the_control_plane_nothing_passes(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path)
    here.control.down = True
    told = here.call(saying())
    assert (told.status, told.error["code"]) == (503, "policy_unavailable")
    assert "out of reach" in told.error["message"]
    here.control.down = False
    loop.advance(3)
    told = here.call(saying())
    here.control.down = True
    loop.advance(5)
    assert not told.ended, "who has a ticket waits on"
    here.control.down = False
    here.control.decide(ticket(here).request.ticket_id, "approved")
    loop.advance(5)
    answered(here, told)
    here.settled()


def test_a_wait_that_ends_while_the_control_plane_is_away_says_so(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path)
    told = here.call(saying())
    ticket_id = ticket(here).request.ticket_id
    here.control.down = True
    loop.advance(WAIT_S + 1)
    assert (told.status, told.error["details"]["ticket"]) == (503, ticket_id)
    here.control.down = False
    loop.advance(3)
    here.settled()


def test_no_more_calls_are_held_than_may_be(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path, max_held_calls=1)
    told, more = here.call(saying()), here.call(saying())
    assert (more.status, "gateway.max_held_calls" in more.error["message"]) == (503, True)
    decided(here, "denied")
    assert told.status == 409
    here.settled()


def test_a_gateway_that_stops_answers_who_is_held(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path)
    told = here.call(saying())
    waiting = ticket(here)
    here.node.waiting_room.close()
    here.node.escalations.close()
    loop.turn()
    assert (told.status, told.error["details"]["ticket"]) == (409, waiting.request.ticket_id)
    assert waiting.status == "open"
    assert here.call(saying()).status == 503
    here.settled()


def test_a_call_that_is_cut_off_while_it_waits_has_its_row(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path)
    told = here.call(saying())
    told.task.cancel()
    loop.turn()
    loop.turn()
    [row] = here.rows()
    assert (row.status, row.cost_nanos) == ("interrupted", None)
    assert len(here.node.waiting_room) == 0
    here.settled()


def test_shadow_never_holds(loop: HandLoop, tmp_path: Path) -> None:
    here = house(
        loop, tmp_path, msgspec.structs.replace(NAMES, shadow=True), msgspec.structs.replace(MODELS, shadow=True)
    )
    row = answered(here, here.call(saying()))
    assert row.policy_actions == ("model_escalated_shadow:not_listed", "keyword_escalated_shadow:code-names")
    assert here.control.tickets == {}
    here.settled()


def test_a_block_needs_no_person(loop: HandLoop, tmp_path: Path) -> None:
    block = Policy("no", "keyword", "block", {"words": ["aurora"]})
    here = house(loop, tmp_path, NAMES, block)
    assert here.call(saying()).error["details"]["policy"] == "no"
    assert here.control.tickets == {}
    here.settled()


def test_all_that_was_found_is_one_ticket(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path, NAMES, TOOLS, MODELS)
    told = here.call(saying(tools=[{"type": "function", "function": {"name": "shell"}}]))
    asked = ticket(here).request
    assert asked.policies == ("models", "tools", "code-names")
    assert asked.found == ("model_escalated:not_listed", "tool_escalated:shell", FOUND)
    decided(here, "approved")
    answered(here, told)
    here.settled()


def test_an_approver_hears_of_every_tool(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path, TOOLS)
    names = ["shell", "search", "shell", *(f"t{n}" for n in range(30))]
    here.call(ask(tools=[{"type": "function", "function": {"name": name}} for name in names]))
    assert ticket(here).request.found == ("tool_escalated:shell", *(f"tool_escalated:t{n}" for n in range(19)))
    decided(here, "denied")
    here.settled()


def test_only_what_was_read_goes_on(loop: HandLoop, tmp_path: Path) -> None:
    """Who reads the first of two equal keys must not read what nobody was asked about."""
    here = house(loop, tmp_path)
    told = here.call(
        b'{"model":"gpt-4o-mini","max_tokens":25,"messages":'
        b'[{"role":"user","content":"project aurora","content":"hello"}]}'
    )
    assert here.control.tickets == {}
    assert b"aurora" not in here.wire.written
    answered(here, told)
    here.settled()


def test_a_key_that_was_revoked_meanwhile_is_worth_nothing(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path)
    tell(here, record())
    told = here.call(saying(), **bearer())
    tell(here, record(status="revoked"))
    decided(here, "approved")
    assert (told.status, told.error["code"]) == (403, "key_revoked")
    assert here.board.wires == []
    here.settled()


def test_a_group_that_is_gone_meanwhile_may_call_no_more(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path)
    told = here.call(saying())
    rules = msgspec.structs.replace(here.node.rulebook, groups=())
    callers = here.node.callers
    assert callers is not None
    here.node.go_by(rules, callers.under(rules, here.node.meters), ())
    decided(here, "approved")
    assert (told.status, told.error["code"]) == (401, "invalid_key")
    assert here.board.wires == []
    here.settled()
