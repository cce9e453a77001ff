"""Policies on a call's way: what is redacted never leaves, what is blocked is paid for truly, and each event says what was done."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keeptrusts.core.rulebook.rulebook import Policy
from tests.gateway.hand_loop import HandLoop
from tests.gateway.house import (
    BILL,
    COST,
    DONE,
    END,
    GROUP,
    STREAM_HEAD,
    USAGE,
    House,
    Told,
    answer,
    ask,
    chunk,
    reply,
    with_rules,
)

MAIL = "Write to bob@example.com, please."
PII = Policy("personal", "pii", "redact", {"entities": ["email"]}, "both")
NAMES = Policy("names", "keyword", "block", {"words": ["project aurora"]}, "both")


@pytest.fixture
def loop() -> Iterator[HandLoop]:
    loop = HandLoop()
    yield loop
    for open_house in OPEN:
        open_house.stop()
    OPEN.clear()
    loop.close()


OPEN: list[House] = []


def house(loop: HandLoop, tmp_path: Path, *policies: Policy, **changes: Any) -> House:
    OPEN.append(House(loop, tmp_path, with_rules(policies=policies, **changes)))
    return OPEN[-1]


def saying(text: str, **fields: Any) -> bytes:
    return ask(messages=[{"role": "user", "content": text}], **fields)


def telling(text: str, **message: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": "stop"}
    return reply(choices=[choice])


def said(text: str, **fields: Any) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": text}, **fields}]}).encode() + b"\n\n"


def sent(here: House) -> dict[str, Any]:
    """The body that the provider has got."""
    body: dict[str, Any] = json.loads(here.wire.written.partition(b"\r\n\r\n")[2])
    return body


def content(told: Told) -> str:
    text: str = json.loads(told.body)["choices"][0]["message"]["content"]
    return text


def streamed(told: Told) -> str:
    payloads = [line[6:] for line in told.body.split(b"\n") if line.startswith(b"data: {")]
    deltas = [choice["delta"] for p in payloads for choice in json.loads(p).get("choices", [])]
    return "".join(delta.get("content") or "" for delta in deltas)


def test_what_is_redacted_does_not_reach_the_provider(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path, PII)
    told = here.call(saying(MAIL))
    assert sent(here)["messages"] == [{"role": "user", "content": "Write to [EMAIL], please."}]
    assert sent(here)["max_tokens"] == 25
    here.wire.says(reply())
    loop.turn()
    assert told.status == 200
    [row] = here.rows()
    assert row.policy_actions == ("pii_redacted:email",)
    here.settled()


def test_a_repeated_key_hides_nothing(loop: HandLoop, tmp_path: Path) -> None:
    """Who reads the first of two equal keys must not read what was not checked."""
    here = house(loop, tmp_path, PII, NAMES)
    here.call(
        b'{"model":"gpt-4o-mini","max_tokens":25,"messages":'
        b'[{"role":"user","content":"bob@example.com, project aurora","content":"hello"}]}'
    )
    assert b"bob" not in here.wire.written
    assert b"aurora" not in here.wire.written
    assert sent(here)["messages"] == [{"role": "user", "content": "hello"}]
    here.wire.says(reply())
    loop.turn()
    here.settled()


def test_a_blocked_call_never_leaves_and_frees_its_place(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path, NAMES)
    told = here.call(saying("About Project  Aurora"))
    assert (told.status, told.error["code"]) == (409, "policy_violation")
    assert told.error["details"] == {"policy": "names", "phase": "input"}
    assert told.headers["x-should-retry"] == "false"
    assert here.board.wires == []
    [row] = here.rows()
    assert (row.status, row.cost_nanos, row.policy_actions) == ("blocked", None, ("keyword_blocked:names",))
    here.settled()


def test_a_whole_answer_is_redacted_and_paid_for(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path, PII)
    told = here.call()
    here.wire.says(telling("It is bob@example.com.", logprobs=None))
    loop.turn()
    assert content(told) == "It is [EMAIL]."
    assert json.loads(told.body)["usage"] == USAGE
    [row] = here.rows()
    assert (row.status, row.cost_nanos, row.policy_actions) == ("ok", COST, ("pii_redacted:email",))
    here.settled()


def test_a_clean_answer_is_relayed_byte_by_byte(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path, PII, NAMES)
    told = here.call()
    whole = reply()
    here.wire.says(whole)
    loop.turn()
    assert told.body == whole.partition(b"\r\n\r\n")[2]
    here.settled()


def test_a_blocked_answer_is_paid_for_and_not_to_be_asked_for_again(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path, NAMES)
    told = here.call()
    here.wire.says(telling("That is project aurora."))
    loop.turn()
    assert (told.status, told.error["code"], told.error["details"]["phase"]) == (409, "policy_violation", "output")
    assert told.headers["x-should-retry"] == "false"
    assert b"aurora" not in told.body
    [row] = here.rows()
    assert (row.status, row.cost_nanos, row.http_status) == ("blocked", COST, 409)
    here.settled()


def test_a_stream_is_redacted_across_its_pieces(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path, PII)
    told = here.call(ask(stream=True))
    here.wire.says(STREAM_HEAD)
    for piece in ("It is b", "ob@exam", "ple.com. B", "ye."):
        here.wire.says(chunk(said(piece)))
        loop.turn()
    assert b"bob" not in told.body
    assert b"ob@" not in told.body
    here.wire.says(chunk(said("", finish_reason="stop") + BILL + DONE) + END)
    loop.turn()
    assert streamed(told) == "It is [EMAIL]. Bye."
    assert told.body.endswith(DONE)
    assert told.recorded_at_end
    [row] = here.rows()
    assert (row.status, row.cost_nanos, row.policy_actions) == ("ok", COST, ("pii_redacted:email",))
    here.settled()


def test_a_stream_that_is_only_flagged_is_relayed_at_once_and_untouched(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path, Policy("names", "keyword", "flag", {"words": ["project aurora"]}, "output"))
    told = here.call(ask(stream=True))
    here.wire.says(STREAM_HEAD)
    loop.turn()
    for piece in ("project", " aurora", " it is"):
        here.wire.says(chunk(said(piece)))
        loop.turn()
        assert told.body.endswith(said(piece))
    here.wire.says(chunk(BILL + DONE) + END)
    loop.turn()
    [row] = here.rows()
    assert row.policy_actions == ("keyword_flagged:names",)
    here.settled()


def test_a_stream_is_cut_before_what_is_blocked_and_read_to_its_bill(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path, NAMES)
    told = here.call(ask(stream=True))
    here.wire.says(STREAM_HEAD + chunk(said("We call it project aur")))
    loop.turn()
    here.wire.says(chunk(said("ora because " + "x" * 400)))
    loop.turn()
    assert streamed(told) == "We call it "
    assert b'"code":"policy_violation"' in told.body, "the client learns it at once"
    assert not told.ended
    here.wire.says(chunk(said("more") + BILL + DONE) + END)
    loop.turn()
    assert told.ended
    assert b"aur" not in told.body
    assert b"[DONE]" not in told.body
    [row] = here.rows()
    assert (row.status, row.reason, row.cost_nanos) == ("blocked", "policy_violation", COST)
    here.settled()


def test_a_block_at_the_very_end_of_a_stream_is_a_block(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path, NAMES)
    told = here.call(ask(stream=True))
    here.wire.says(STREAM_HEAD + chunk(said("It is project aurora") + BILL + DONE) + END)
    loop.turn()
    assert streamed(told) == "It is "
    assert b"[DONE]" not in told.body
    assert b'"code":"policy_violation"' in told.body
    [row] = here.rows()
    assert (row.status, row.cost_nanos) == ("blocked", COST)
    here.settled()


def test_a_stream_that_breaks_off_tells_what_it_had(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path, PII)
    told = here.call(ask(stream=True))
    here.wire.says(STREAM_HEAD + chunk(said("It is bob@example.com")))
    loop.turn()
    here.wire.closes()
    loop.turn()
    assert streamed(told) == "It is [EMAIL]"
    assert b"broke off" in told.body
    [row] = here.rows()
    assert row.status == "interrupted"
    here.settled()


def test_in_shadow_a_policy_is_recorded_and_never_acts(loop: HandLoop, tmp_path: Path) -> None:
    shadows = [
        Policy("personal", "pii", "redact", {"entities": ["email"]}, "both", shadow=True),
        Policy("names", "keyword", "block", {"words": ["project aurora"]}, "both", shadow=True),
    ]
    here = house(loop, tmp_path, *shadows)
    told = here.call(saying(f"{MAIL} About project aurora."))
    assert sent(here)["messages"][0]["content"] == f"{MAIL} About project aurora."
    here.wire.says(telling("project aurora is bob@example.com"))
    loop.turn()
    assert content(told) == "project aurora is bob@example.com"
    [row] = here.rows()
    assert row.policy_actions == ("pii_redacted_shadow:email", "keyword_blocked_shadow:names")
    here.settled()


def test_a_kept_answer_is_judged_for_whoever_gets_it(loop: HandLoop, tmp_path: Path) -> None:
    """One group's answers are redacted, another's are not, and they share a cache."""
    from keeptrusts.core.rulebook.rulebook import CacheRules, ConsumerGroup

    free = ConsumerGroup("free", api_key="kt_cg_free_0123456789", wallet_team_id=GROUP.wallet_team_id, policies=())
    here = house(loop, tmp_path, PII, groups=(GROUP, free), cache=CacheRules(enabled=True))
    first = here.call(x_consumer_group="kt_cg_free_0123456789")
    here.wire.says(telling("It is bob@example.com."))
    loop.turn()
    assert content(first) == "It is bob@example.com."
    second = here.call()
    loop.turn()
    assert content(second) == "It is [EMAIL]."
    third = here.call(ask(stream=True))
    loop.turn()
    assert streamed(third) == "It is [EMAIL]."
    assert [(row.status, row.policy_actions) for row in here.rows()] == [
        ("ok", ()),
        ("cached", ("pii_redacted:email",)),
        ("cached", ("pii_redacted:email",)),
    ]
    here.settled()


def test_what_a_policy_touched_is_not_kept_for_others(loop: HandLoop, tmp_path: Path) -> None:
    from keeptrusts.core.rulebook.rulebook import CacheRules

    here = house(loop, tmp_path, PII, cache=CacheRules(enabled=True))
    for _ in range(2):
        told = here.call()
        here.wire.says(telling("It is bob@example.com."))
        loop.turn()
        assert content(told) == "It is [EMAIL]."
    assert [row.status for row in here.rows()] == ["ok", "ok"]
    here.settled()


def test_equal_calls_once_redacted_share_an_answer(loop: HandLoop, tmp_path: Path) -> None:
    from keeptrusts.core.rulebook.rulebook import CacheRules

    here = house(loop, tmp_path, Policy("p", "pii", "redact", {"entities": ["email"]}), cache=CacheRules(enabled=True))
    here.call(saying("Write to bob@example.com"))
    here.wire.says(reply())
    loop.turn()
    told = here.call(saying("Write to eve@example.com"))
    loop.turn()
    assert told.status == 200
    assert [row.status for row in here.rows()] == ["ok", "cached"]


TOOLS = [{"type": "function", "function": {"name": "shell", "parameters": {}}}]


@pytest.mark.parametrize(
    ("policy", "fields", "action"),
    [
        (Policy("t", "tool_allowlist", "block", {"blocked": ["sh*"]}), {"tools": TOOLS}, "tool_blocked:shell"),
        (Policy("t", "tool_allowlist", "block", {"allowed": []}), {"tools": TOOLS}, "tool_blocked:shell"),
        (Policy("m", "max_input_tokens", "block", {"limit": 5}), {}, "input_tokens_blocked:over_5"),
        (Policy("m", "model_allowlist", "block", {"models": ["gpt-5*"]}), {}, "model_blocked:not_listed"),
        (Policy("r", "data_residency", "block", {"regions": ["eu"]}), {}, "residency_blocked:outside"),
    ],
    ids=lambda value: value.type if isinstance(value, Policy) else None,
)
def test_a_call_is_refused_for_what_it_is(
    loop: HandLoop, tmp_path: Path, policy: Policy, fields: Any, action: str
) -> None:
    here = house(loop, tmp_path, policy)
    told = here.call(ask(**fields))
    loop.turn()
    assert (told.status, told.error["details"]) == (409, {"policy": policy.name, "phase": "input"})
    [row] = here.rows()
    assert row.policy_actions == (action,)
    here.settled()


NAMED_TWICE = b'{"model":"gpt-4o-mini","messages":[],"tools":[{"type":"function","function":{"name":"shell"},"function":{"name":"ok"}}]}'


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "function", "name": "shell", "function": {"name": "ok"}}]},
        {"tools": [{"type": "function", "name": "ok", "custom": {"name": "shell"}}]},
        {"tools": [{"type": "namespace", "name": "ok", "tools": [{"type": "function", "name": "shell"}]}]},
        {"mcp_servers": [{"type": "url", "name": "elsewhere", "url": "https://elsewhere.example"}]},
        {"web_search_options": {}},
    ],
    ids=["a name beside", "a name within", "a tool within a tool", "a server of tools", "a search"],
)
def test_a_tool_has_no_other_name_by_which_it_passes(loop: HandLoop, tmp_path: Path, fields: Any) -> None:
    here = house(loop, tmp_path, Policy("t", "tool_allowlist", "block", {"allowed": ["ok"]}))
    told = here.call(ask(**fields))
    loop.turn()
    assert told.status == 409
    here.settled()


def test_a_tool_that_is_named_twice_goes_on_by_the_name_that_was_judged(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path, Policy("t", "tool_allowlist", "block", {"allowed": ["ok"]}))
    here.call(NAMED_TWICE)
    loop.turn()
    assert b"shell" not in bytes(here.wire.written)
    here.wire.says(reply())
    loop.turn()
    here.settled()


SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "a", "schema": {"properties": {"b": {"description": "project aurora"}}}},
}
ASIDE = {
    "an answer's schema": ("chat", {"response_format": SCHEMA}),
    "a name in a schema": ("chat", {"tools": [{"function": {"name": "f", "parameters": {"properties": {"project aurora": {}}}}}]}),
    "what a function is for": ("chat", {"functions": [{"name": "f", "description": "project aurora"}]}),
    "the answer foretold": ("chat", {"prediction": {"type": "content", "content": "project aurora"}}),
    "a field of the server's": ("chat", {"documents": [{"id": "project aurora"}]}),
    "the server's template": ("chat", {"chat_template_kwargs": {"type": "project aurora"}}),
    "a role of one's own": ("chat", {"messages": [{"role": "project aurora", "content": "x"}]}),
    "Responses' schema": ("responses", {"input": "x", "text": {"format": {"type": "json_schema", "schema": {"title": "project aurora"}}}}),
    "a stored prompt's words": ("responses", {"input": "x", "prompt": {"id": "p", "variables": {"type": "project aurora"}}}),
    "Messages' schema": ("messages", {"max_tokens": 5, "output_config": {"format": {"type": "json_schema", "schema": {"a": "project aurora"}}}}),
}  # fmt: skip


@pytest.mark.parametrize("where", ASIDE)
def test_words_are_judged_wherever_the_model_may_read_them(loop: HandLoop, tmp_path: Path, where: str) -> None:
    door, fields = ASIDE[where]
    here = house(loop, tmp_path, NAMES)
    path = {"chat": "/v1/chat/completions"}.get(door, f"/v1/{door}")
    told = here.send(path, ask(**fields))
    loop.turn()
    assert told.status == 409, told.body
    here.settled()


def test_a_redacted_call_keeps_no_name_either(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path, PII)
    schema = {"type": "object", "properties": {"bob@example.com": {"type": "string"}}}
    here.call(ask(tools=[{"type": "function", "function": {"name": "f", "parameters": schema}}]))
    loop.turn()
    assert b"bob@" not in bytes(here.wire.written)
    assert b"[EMAIL]" in bytes(here.wire.written)
    here.wire.says(reply())
    loop.turn()
    here.settled()


SIGNS = Policy("signs", "keyword", "block", {"words": ["acme/internal", 'the "plan"', "project aurora"]})


@pytest.mark.parametrize(
    "said",
    [
        rb'"see acme\/internal"',
        rb'"see the \"plan\" now"',
        rb'"{\"a\": \"hello\\nproject\\naurora\"}"',
        rb'"{\"a\": \"acme\\/internal\"}"',
        rb'"{\"a\": \"project \\u0061urora\"}"',
    ],
)
def test_no_way_to_write_json_hides_a_word(loop: HandLoop, tmp_path: Path, said: bytes) -> None:
    here = house(loop, tmp_path, SIGNS)
    told = here.call(b'{"model":"gpt-4o-mini","messages":[{"role":"tool","content":%b}]}' % said)
    loop.turn()
    assert told.status == 409
    here.settled()


def test_calls_go_only_where_data_may_stay(loop: HandLoop, tmp_path: Path) -> None:
    from keeptrusts.core.routing.target import Target

    targets = (
        Target("us", "openai", base_url="http://us/v1", secret_env="PROVIDER_KEY", residency="us"),
        Target("eu", "openai", base_url="http://eu/v1", secret_env="PROVIDER_KEY", residency="eu-central"),
    )
    here = house(loop, tmp_path, Policy("r", "data_residency", "block", {"regions": ["eu"]}), targets=targets)
    here.call()
    here.wire.says(reply())
    loop.turn()
    [row] = here.rows()
    assert [attempt.target for attempt in row.attempts] == ["eu"]


class Broken:
    def examine(self, texts: object) -> Any:
        raise RuntimeError("secret text")

    def passes(self, body: bytes) -> bool:
        return False


@pytest.mark.parametrize(("fail_mode", "status"), [("block", 503), ("allow", 200)])
def test_when_judging_fails_the_fail_mode_decides(loop: HandLoop, tmp_path: Path, fail_mode: Any, status: int) -> None:
    here = house(loop, tmp_path, Policy("names", "keyword", "block", {"words": ["x"]}, fail_mode=fail_mode))
    edition = here.node.edition()
    policing = edition.policies.of("marketing")
    assert policing is not None
    assert policing._text is not None
    policing._text.judge = Broken()  # type: ignore[assignment]
    told = here.call()
    if status == 200:
        here.wire.says(reply())
    loop.turn()
    assert told.status == status
    assert b"secret text" not in told.body
    [row] = here.rows()
    assert row.policy_actions == ("policy_failed:names",)
    here.settled()


def test_an_answer_that_is_no_json_is_not_handed_on_unjudged(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path, Policy("own", "regex", "block", {"patterns": ["aurora"]}, "output"))
    told = here.call()
    here.wire.says(answer(200, b'{"choices": [{"message": {"content": "aurora"}'))
    loop.turn()
    assert told.status in (502, 503)
    assert b"aurora" not in told.body
    here.settled()


def test_much_to_judge_leaves_turns_to_others(loop: HandLoop, tmp_path: Path) -> None:
    here = house(loop, tmp_path, NAMES)
    told = here.call(saying("ﷺ" * 200_000))
    assert not here.board.wires or not told.ended, "it takes more than one turn"
    for _ in range(500):
        loop.turn()
    here.wire.says(reply())
    loop.turn()
    assert told.status == 200
