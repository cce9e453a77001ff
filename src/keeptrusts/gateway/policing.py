"""What the policies say to a call before it goes anywhere: they let it pass, note it, change its words, leave it to a person, or
refuse it."""

import asyncio
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any

from keeptrusts.core.calls.request import TextRequest
from keeptrusts.core.calls.words import gathered
from keeptrusts.core.policies import data_residency, external, max_input_tokens, model_allowlist
from keeptrusts.core.policies.external import Question
from keeptrusts.core.policies.failing import FAIL_MODE, FAIL_MODE_ENV
from keeptrusts.core.policies.judge import Judge, action_name, compile_policies, judges_in
from keeptrusts.core.policies.kind import Phase
from keeptrusts.core.policies.registry import KINDS, NAMES
from keeptrusts.core.policies.tool_allowlist import TOOL_FIELDS, ToolRules, tools_of
from keeptrusts.core.pricing.bound import INPUT_MARGIN_TOKENS
from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.core.routing.plan import Choice, Hop
from keeptrusts.core.rulebook.rulebook import Policy, Rulebook
from keeptrusts.gateway.call import Call
from keeptrusts.gateway.policy_services import Service, ServiceFailed, Services
from keeptrusts.gateway.token_count import counted_input, counts_exactly


def violation(policy: str, phase: Phase) -> Refused:
    """The refusal of what a policy blocks."""
    what = "request" if phase == "input" else "answer"
    message = f"The {what} was blocked by the policy {policy!r}."
    return Refused(Reason.POLICY_VIOLATION, message, {"policy": policy, "phase": phase})


def unjudged(policy: str, phase: Phase) -> Refused:
    """The refusal of what could not be judged, and may not pass without."""
    message = f"The policy {policy!r} could not be evaluated, and nothing passes unjudged here."
    return Refused(Reason.POLICY_UNAVAILABLE, message, {"policy": policy, "phase": phase})


class Text:
    """The text policies of one phase, and what becomes of a call on which they fail."""

    def __init__(self, judge: Judge, policies: Iterable[Policy], fails_open: Callable[[Policy], bool]) -> None:
        self.judge = judge
        judging = [p for p in policies if KINDS[p.type].rules is not None]
        self.name = judging[0].name
        self.fails_open = all(p.shadow or p.action == "flag" or fails_open(p) for p in judging)


class Outside:
    """One external policy."""

    def __init__(self, policy: Policy, service: Service, fails_open: bool) -> None:
        self.policy = policy
        self.acts = policy.action != "flag" and not policy.shadow
        self.fails_open = fails_open or not self.acts
        self._service = service

    async def judge(self, call: Call, door: str, phase: Phase, texts: list[str]) -> dict[str, str]:
        """Asks the service; returns the texts that must have other words. Raises Refused."""
        policy = self.policy
        caller = call.caller
        question = Question(phase, policy.name, call.asked_model, door, call.request_id, caller.group, texts)
        try:
            answer = await self._service.ask(question)
        except ServiceFailed:
            call.policy_actions = (*call.policy_actions, f"policy_failed:{policy.name}")
            if self.fails_open:
                return {}
            raise unjudged(policy.name, phase) from None
        if answer.verdict == "allow":
            return {}
        action = action_name(policy, "external", answer.label)
        call.policy_actions = (*call.policy_actions, action)
        if not self.acts:
            return {}
        if policy.action == "escalate":
            call.escalated = (*call.escalated, (policy.name, action))
            return {}
        if policy.action == "block" or answer.texts is None:
            raise violation(policy.name, phase)
        return {text: other for text, other in zip(texts, answer.texts, strict=True) if text != other}


Find = Callable[[TextRequest, str], Sequence[str]]
TOOLS_TOLD_MAX = 20
"""So many tools that are not allowed are named."""


class Check:
    """A policy that looks at the call's settings: what it finds, by labels; none when all is well."""

    def __init__(self, policy: Policy, subject: str, find: Find) -> None:
        self.policy = policy
        self.subject = subject
        self.find = find


class Policing:
    """The policies that judge one group's calls."""

    def __init__(self, policies: tuple[Policy, ...], environment: Mapping[str, str], services: Services) -> None:
        default = environment.get(FAIL_MODE_ENV, FAIL_MODE)

        def fails_open(policy: Policy) -> bool:
            return (policy.fail_mode or default) == "allow"

        def text(phase: Phase) -> Text | None:
            judging = [p for p in policies if judges_in(p, phase)]
            judge = compile_policies(judging, phase)
            return None if judge is None else Text(judge, judging, fails_open)

        def outside(phase: Phase) -> list[Outside]:
            return [
                Outside(p, services.service(external.settings_of(p.config), environment), fails_open(p))
                for p in policies
                if KINDS[p.type].judges == "service" and judges_in(p, phase)
            ]

        self._text = text("input")
        self._outside = outside("input")
        self._checks = [check for p in policies if (check := _check(p)) is not None]
        self.on_targets = [p for p in policies if KINDS[p.type].judges == "target"]
        self.output_text = text("output")
        self.output_outside = outside("output")
        self.judges_answers = self.output_text is not None or bool(self.output_outside)
        self._only_text = not self._outside and not self._checks

    def passes(self, body: bytes) -> bool:
        """Whether nothing in the call can concern a policy: the common case, told by its raw body."""
        return self._only_text and (self._text is None or self._text.judge.passes(body))

    async def judge(self, call: Call, request: TextRequest, model: str) -> None:
        """Judges a call, changes its words where a policy redacts, and notes the actions, and which policies leave it to a person.
        ``model`` is what will read it.

        Raises Refused.
        """
        for check in self._checks:
            policy = check.policy
            for label in check.find(request, model):
                action = action_name(policy, check.subject, label)
                call.policy_actions = (*call.policy_actions, action)
                if policy.action == "block" and not policy.shadow:
                    raise violation(policy.name, "input")
                if policy.action == "escalate" and not policy.shadow:
                    call.escalated = (*call.escalated, (policy.name, action))
        if self._text is not None:
            await self._judge_text(self._text, call, request)
        for outside in self._outside:
            others = await outside.judge(call, request.door, "input", await in_turns(gathered(request.texts())))
            if outside.acts:
                await in_turns(request.reword(others, every=True))

    async def _judge_text(self, text: Text, call: Call, request: TextRequest) -> None:
        try:
            verdict = await in_turns(text.judge.examine(request.texts()))
            call.policy_actions += verdict.actions
            if verdict.blocked_by is None and text.judge.rule_set.changes_text:
                await in_turns(request.reword(verdict.redacted, every=True))
        except Refused:
            raise
        except Exception:
            call.policy_actions = (*call.policy_actions, f"policy_failed:{text.name}")
            if not text.fails_open:
                raise unjudged(text.name, "input") from None
            return
        if verdict.blocked_by is not None:
            raise violation(verdict.blocked_by, "input")
        call.escalated += verdict.escalated


class LanePolicies:
    """What the policies say to all calls of a lane: ``choices`` are the ways that are left for them."""

    __slots__ = ("_actions", "_barred", "_escalated", "choices", "policing")

    def __init__(self, policing: Policing, model: str, choices: tuple[Choice, ...]) -> None:
        self.policing = policing
        self.choices = choices
        self._barred: Refused | None = None
        actions: list[str] = []
        escalated: list[tuple[str, str]] = []
        for policy in policing.on_targets:
            subject, label, kept = _kept(policy, model, self.choices)
            if kept == self.choices:
                continue
            acts = policy.action == "block" and not policy.shadow
            if not acts or not kept:
                actions.append(action_name(policy, subject, label))
            if policy.action == "escalate" and not policy.shadow:
                escalated.append((policy.name, actions[-1]))
            if acts and not kept:
                self._barred = violation(policy.name, "input")
                break
            if acts:
                self.choices = kept
        self._actions = tuple(actions)
        self._escalated = tuple(escalated)

    def may_reach(self, hop: Hop) -> bool:
        """Whether a call's words may go there too, beside the ways that are left for it."""
        residency = (policy for policy in self.policing.on_targets if KINDS[policy.type] is NAMES["data_residency"])
        return all(policy.action == "flag" or policy.shadow or _is_within(policy, hop) for policy in residency)

    def pass_at_once(self, call: Call, body: bytes) -> bool:
        """Whether a call may go on without a closer look, as nearly all may. Raises Refused when none of the lane may."""
        call.policy_actions = self._actions
        call.escalated = self._escalated
        if self._barred is not None:
            raise self._barred.again()
        return self.policing.passes(body)


def _kept(policy: Policy, model: str, choices: tuple[Choice, ...]) -> tuple[str, str, tuple[Choice, ...]]:
    if KINDS[policy.type] is NAMES["model_allowlist"]:
        return "model", "not_listed", choices if model_allowlist.allows(policy.config, model) else ()
    within = [
        Choice(choice.strategy, tuple(hop for hop in choice.hops if _is_within(policy, hop))) for choice in choices
    ]
    return "residency", "outside", tuple(choice for choice in within if choice.hops)


def _is_within(policy: Policy, hop: Hop) -> bool:
    return data_residency.is_within(policy.config, (hop.target.residency, hop.target.region))


def _check(policy: Policy) -> Check | None:
    kind = KINDS[policy.type]
    if kind is NAMES["max_input_tokens"]:
        return Check(policy, "input_tokens", _over(max_input_tokens.limit_of(policy.config)))
    if kind is NAMES["tool_allowlist"]:
        return Check(policy, "tool", _forbidden(ToolRules(policy.config)))
    return None


def _over(limit: int) -> Find:
    def find(request: TextRequest, model: str) -> Sequence[str]:
        most = request.size_bytes + INPUT_MARGIN_TOKENS
        if most > limit and counts_exactly(model) and not request.has_media():
            most = counted_input(request)
        return (f"over_{limit}",) if most > limit else ()

    return find


def _forbidden(rules: ToolRules) -> Find:
    def find(request: TextRequest, model: str) -> Sequence[str]:
        del model
        if request.fields.keys().isdisjoint(TOOL_FIELDS):
            return ()
        tools = dict.fromkeys(tool[:64] for tool in tools_of(request) if rules.refuses(tool))
        request.write_anew(TOOL_FIELDS)
        return ["".join(c if c.isalnum() or c in "_-." else "_" for c in tool) for tool in [*tools][:TOOLS_TOLD_MAX]]

    return find


class PolicyBook:
    """The policing of every group, made once for each set of policies."""

    def __init__(self, rulebook: Rulebook, environment: Mapping[str, str], services: Services) -> None:
        made: dict[tuple[str, ...] | None, Policing | None] = {}

        def compile_chosen(chosen: tuple[Policy, ...]) -> Policing:
            return Policing(chosen, environment, services)

        def policing(names: tuple[str, ...] | None) -> Policing | None:
            if names not in made:
                chosen = tuple(p for p in rulebook.policies if names is None or p.name in names)
                made[names] = services.compiled(chosen, compile_chosen) if chosen else None
            return made[names]

        self._everyone = policing(None)
        self._groups = {g.name: policing(g.policies) for g in rulebook.groups if g.policies is not None}

    def of(self, group: str | None) -> Policing | None:
        """What judges the calls of this group; None: nothing does."""
        return self._everyone if group is None else self._groups.get(group, self._everyone)


async def in_turns(steps: Generator[None, None, Any]) -> Any:
    """What the steps come to. Between any two, whoever else wants to run does."""
    try:
        next(steps)
        while True:
            await asyncio.sleep(0)
            next(steps)
    except StopIteration as end:
        return end.value
