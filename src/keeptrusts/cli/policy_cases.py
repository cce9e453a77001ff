"""`kt policy test`: golden cases held against the policies of a file, by the same code that judges in the gateway."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from keeptrusts.cli.printable import printable
from keeptrusts.core.calls.chat import ChatRequest, parse_chat
from keeptrusts.core.identity.attribution import Attribution
from keeptrusts.core.policies.registry import KINDS
from keeptrusts.core.pricing.price_book import PriceBook
from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.core.routing.plan import plan
from keeptrusts.core.rulebook.policy_cases import Case, Verdict
from keeptrusts.core.rulebook.rulebook import Policy, Rulebook
from keeptrusts.gateway.call import Call
from keeptrusts.gateway.caller import Caller
from keeptrusts.gateway.policing import LanePolicies, Policing
from keeptrusts.gateway.policy_services import Services
from keeptrusts.gateway.watching import Watch

DONE: tuple[tuple[str, Verdict], ...] = (("_escalated:", "escalate"), ("_redacted:", "redact"), ("_flagged:", "flag"))


class Outcome(Struct, frozen=True):
    """What became of a case."""

    action: Verdict
    policies: tuple[str, ...]
    actions: tuple[str, ...]
    text: str


class Result(Struct, frozen=True):
    """A case, its outcome, and everything in which that is not what was expected."""

    case: Case
    outcome: Outcome
    wrong: tuple[str, ...]


def run_cases(rulebook: Rulebook, cases: Sequence[Case], environment: Mapping[str, str]) -> list[Result]:
    """The cases' results, in order. Raises Refused for a case whose messages are none."""
    return asyncio.run(_run(rulebook, cases, environment))


async def _run(rulebook: Rulebook, cases: Sequence[Case], environment: Mapping[str, str]) -> list[Result]:
    made: dict[tuple[str, ...], Policing] = {}

    def policing(policies: Sequence[Policy]) -> Policing:
        names = tuple(policy.name for policy in policies)
        if names not in made:
            made[names] = Policing(tuple(policies), environment, Services())
        return made[names]

    results = []
    for case in cases:
        chosen = _judging(rulebook, case.group)
        outcome = await _outcome(rulebook, policing(chosen), case)
        # A policy has a part in it when it finds something by itself.
        each = [(p.name, await _outcome(rulebook, policing([p]), case)) for p in chosen] if outcome.actions else []
        outcome = Outcome(
            outcome.action, tuple(name for name, alone in each if alone.actions), outcome.actions, outcome.text
        )
        results.append(Result(case, outcome, tuple(_differences(case, outcome))))
    return results


def unasked(rulebook: Rulebook) -> list[str]:
    """The policies whose services are not asked here."""
    return [policy.name for policy in rulebook.policies if KINDS[policy.type].judges == "service"]


def _judging(rulebook: Rulebook, group: str | None) -> tuple[Policy, ...]:
    named = next((g.policies for g in rulebook.groups if g.name == group), None)
    asked = set(unasked(rulebook))
    return tuple(p for p in rulebook.policies if p.name not in asked and (named is None or p.name in named))


async def _outcome(rulebook: Rulebook, policing: Policing, case: Case) -> Outcome:
    call = Call("evt_case", 0, 0.0, Caller(None, case.group, Attribution(), "case", (), ()), "req_case")
    call.asked_model = case.model
    request = _request(case)
    text = _words(request)
    choices = plan(rulebook.targets, rulebook.model_groups, PriceBook(), case.model, rulebook.routing).choices
    lane = LanePolicies(policing, case.model, choices)
    try:
        if not lane.pass_at_once(call, _body(case)):
            await policing.judge(call, request, case.model)
        text = _words(request)
        if case.output is not None:
            text = case.output
            if policing.judges_answers:
                text = await _answer(Watch(policing, call, "chat"), case.output)
    except Refused as refused:
        if refused.reason is not Reason.POLICY_VIOLATION:
            raise
        return Outcome("block", (), call.policy_actions, "")
    action: Verdict = next((verdict for mark, verdict in DONE if any(mark in a for a in call.policy_actions)), "allow")
    return Outcome(action, (), call.policy_actions, text)


async def _answer(watch: Watch, output: str) -> str:
    choice = {"index": 0, "message": {"role": "assistant", "content": output}, "finish_reason": "stop"}
    told = json.loads(await watch.whole(json.dumps({"choices": [choice]}).encode()))
    content: str = told["choices"][0]["message"]["content"]
    return content


def _body(case: Case) -> bytes:
    messages = case.messages if case.messages is not None else [{"role": "user", "content": case.input or ""}]
    body: dict[str, Any] = {"model": case.model, "messages": messages}
    if case.tools:
        body["tools"] = [{"type": "function", "function": {"name": name}} for name in case.tools]
    return json.dumps(body, ensure_ascii=False).encode(errors="replace")


def _request(case: Case) -> ChatRequest:
    return parse_chat(_body(case))


def _words(request: ChatRequest) -> str:
    """The last message, as it goes on."""
    messages = request.value("messages")
    last = messages[-1] if messages else {}
    content = last.get("content") if isinstance(last, dict) else None
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


def _differences(case: Case, outcome: Outcome) -> list[str]:
    expect = case.expect
    found = []
    if outcome.action != expect.action:
        found.append(f"expected {expect.action}, got {outcome.action}")
    if expect.policies is not None and set(expect.policies) != set(outcome.policies):
        found.append(f"expected the policies {_listed(expect.policies)}, got {_listed(outcome.policies)}")
    if expect.actions is not None and set(expect.actions) != set(outcome.actions):
        found.append(f"expected the actions {_listed(expect.actions)}, got {_listed(outcome.actions)}")
    if expect.redacted is not None and expect.redacted != outcome.text:
        found.append(f"expected the text {expect.redacted!r}, got {outcome.text!r}")
    return found


def _listed(names: Sequence[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def result_lines(results: Sequence[Result], skipped: Sequence[str]) -> list[str]:
    """A line for each case, what is wrong below it, and how many passed."""
    width = max(len(result.case.name) for result in results)
    lines = []
    for result in results:
        mark = "FAIL" if result.wrong else "ok"
        told = ", ".join(result.outcome.actions)
        lines.append(f"{mark:<4}  {result.case.name:<{width}}  {result.outcome.action:<8}  {told}".rstrip())
        lines += [f"      {wrong}" for wrong in result.wrong]
    failed = sum(1 for result in results if result.wrong)
    lines.append(f"{len(results) - failed} of {len(results)} cases passed")
    if skipped:
        lines.append(f"not asked, since their services are elsewhere: {', '.join(skipped)}")
    return [printable(line) for line in lines]


def results_json(results: Sequence[Result], skipped: Sequence[str]) -> dict[str, Any]:
    """The same for programs."""
    return {
        "ok": not any(result.wrong for result in results),
        "results": [
            {
                "name": result.case.name,
                "verdict": result.outcome.action,
                "passed": not result.wrong,
                "policies": list(result.outcome.policies),
                "policy_actions": list(result.outcome.actions),
                "text": result.outcome.text,
                "wrong": list(result.wrong),
            }
            for result in results
        ],
        "not_asked": list(skipped),
    }
