"""Rules about policies that no single value can break: types that nobody knows, actions that a type does not have, groups that
name a policy that is not there."""

from collections.abc import Callable

from keeptrusts.core.policies.registry import KINDS, NAMES
from keeptrusts.core.rulebook.nearest import did_you_mean
from keeptrusts.core.rulebook.quoting import listed, quoted
from keeptrusts.core.rulebook.survey import Survey


def policy_types_are_known(survey: Survey) -> None:
    """Every policy's ``type`` names a kind that can judge."""
    for policy in survey.items("policies"):
        kind = survey.text(*policy, "type")
        if kind is not None and kind not in KINDS:
            message = f"unknown policy type {quoted(kind)}"
            survey.error("unknown_value", (*policy, "type"), message, did_you_mean(kind, NAMES))


def policies_can_do_it(survey: Survey) -> None:
    """Not every kind can redact, and not every kind has a say in the answer."""
    for policy in survey.items("policies"):
        name = survey.text(*policy, "type")
        kind = KINDS.get(name or "")
        if kind is None or name is None:
            continue
        action, phase = survey.text(*policy, "action"), survey.text(*policy, "phase")
        if action is not None and action not in kind.actions and action in ANY:
            message = f"a policy of type {quoted(name)} can't {action}"
            survey.error("contradiction", (*policy, "action"), message, f"use one of {listed(sorted(kind.actions))}")
        if phase is not None and phase not in kind.phases and phase in PHASES:
            message = f"a policy of type {quoted(name)} judges calls, not answers"
            survey.error("contradiction", (*policy, "phase"), message, "write `phase: input`, or leave it out")
        elif action == "escalate" and phase in ("output", "both"):
            message = "a call is held before it is sent: an answer, which is paid for and may be a stream, can't be"
            hint = "write `phase: input`, or for answers `action: redact` or `block` in a policy of their own"
            survey.error("contradiction", (*policy, "phase"), message, hint)


ANY = frozenset({"flag", "redact", "block", "escalate"})
PHASES = frozenset({"input", "output", "both"})


def groups_name_policies(survey: Survey) -> None:
    """A group is judged by policies that there are."""
    known = [name for policy in survey.items("policies") if (name := survey.text(*policy, "name")) is not None]
    for group in survey.items("consumer_groups"):
        for place in survey.items(*group, "policies"):
            name = survey.text(*place)
            if name is not None and name not in known:
                survey.error("unknown_policy", place, f"no policy is named {quoted(name)}", did_you_mean(name, known))


def residency_can_be_met(survey: Survey) -> None:
    """Where data must stay somewhere, targets must say where they keep it."""
    for policy in survey.items("policies"):
        if (survey.text(*policy, "type") or "").replace("-", "_") != "data_residency":
            continue
        for target in survey.items("providers", "targets"):
            if survey.first_given(target, "residency", "region") is None:
                message = "this target does not say where it keeps data: the residency policy keeps calls from it"
                survey.warning("no_residency", target, message, "for example `residency: eu`")


def somebody_can_be_asked(survey: Survey) -> None:
    """What is left to a person needs the control plane, where people are asked."""
    if "api" in survey.document:
        return
    for policy in survey.items("policies"):
        if survey.text(*policy, "action") == "escalate" and survey.value(*policy, "shadow") is not True:
            message = "without `api` nobody can be asked: what this policy finds is refused"
            hint = "add `api: {url: 'http://localhost:8080', token_env: KEEPTRUSTS_API_TOKEN}`, or write `block`"
            survey.warning("nobody_to_ask", (*policy, "action"), message, hint)


POLICY_RULES: tuple[Callable[[Survey], None], ...] = (
    policy_types_are_known,
    policies_can_do_it,
    groups_name_policies,
    residency_can_be_met,
    somebody_can_be_asked,
)
