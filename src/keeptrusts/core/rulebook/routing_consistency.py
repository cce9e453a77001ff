"""What settings of routing must agree on with one another: names that lead somewhere, one place for each setting."""

from collections.abc import Callable
from typing import Any

from keeptrusts.core.rulebook.nearest import did_you_mean
from keeptrusts.core.rulebook.places import Path
from keeptrusts.core.rulebook.quoting import quoted
from keeptrusts.core.rulebook.survey import Survey

FAILOVER_PLACES: tuple[Path, ...] = (
    ("failover",),
    ("provider_fallback",),
    ("fallback",),
    ("providers", "fallback"),
)
STRATEGY_PLACES: tuple[Path, ...] = (
    ("providers", "strategy"),
    ("provider_routing", "strategy"),
    *((*place, "strategy") for place in FAILOVER_PLACES),
)


def routing_is_said_once(survey: Survey) -> None:
    """A setting that may stand in several places stands in one."""
    for places in (STRATEGY_PLACES, (FAILOVER_PLACES[0], FAILOVER_PLACES[3]), (FAILOVER_PLACES[1], FAILOVER_PLACES[3]),
                   (FAILOVER_PLACES[2], FAILOVER_PLACES[3])):  # fmt: skip
        given = [place for place in places if survey.value(*place) is not None]
        for place in given[1:]:
            message = f"this was given already at {survey.at(given[0])}"
            survey.error("given_twice", place, message, "keep one of them")


def groups_lead_somewhere(survey: Survey) -> None:
    """A group has models or targets, its names are its own, and its fallbacks end."""
    ids = {survey.text(*target, "id"): target for target in survey.items("providers", "targets")}
    taken: dict[str, Path] = {}
    for group in survey.items("model_groups"):
        if (name := survey.text(*group, "name")) is not None:
            taken.setdefault(name, (*group, "name"))
    for group in survey.items("model_groups"):
        _has_members(survey, group, ids)
        for alias in survey.items(*group, "aliases"):
            text = survey.text(*alias)
            if text is not None and (earlier := taken.setdefault(text, alias)) != alias:
                message = f"the name {quoted(text)} was given already at {survey.at(earlier)}"
                survey.error("duplicate", alias, message, "each must be its own")
    for group in survey.items("model_groups"):
        _falls_back_well(survey, group, taken)


def _has_members(survey: Survey, group: Path, ids: dict[str | None, Path]) -> None:
    models, targets = survey.first_given(group, "models"), survey.first_given(group, "targets")
    if models is None and targets is None:
        example = "for example `models: [{provider: openai, model: gpt-4o-mini}]`"
        survey.error("missing_key", group, "`models` is missing", example)
    elif models is not None and targets is not None:
        survey.error("contradiction", targets, "a group has `models` or `targets`, not both", "keep one of them")
    for item in survey.items(*group, "targets"):
        name = survey.text(*item)
        if name is None:
            continue
        if name not in ids:
            known = sorted(known for known in ids if known is not None)
            survey.error("unknown_target", item, f"no target has the id {quoted(name)}", did_you_mean(name, known))
        elif survey.text(*ids[name], "model") is None:
            message = f"the target {quoted(name)} does not say which model it serves"
            survey.error("missing_key", item, message, "give that target a `model`, or list `models` here")


def _falls_back_well(survey: Survey, group: Path, taken: dict[str, Path]) -> None:
    path = (*group, "fallback_group")
    following, seen = survey.text(*path), {survey.text(*group, "name")}
    if following is not None and following not in taken:
        known = sorted(taken)
        survey.error("unknown_group", path, f"no group is called {quoted(following)}", did_you_mean(following, known))
    while following is not None and following in taken:
        owner = taken[following][:2]
        name = survey.text(*owner, "name")
        if name in seen:
            survey.error("contradiction", path, "these groups fall back to one another without end", "leave one out")
            return
        seen.add(name)
        following = survey.text(*owner, "fallback_group")


def mapped_models_are_served(survey: Survey) -> None:
    """A model that stands in for another must be one that some target or group serves."""
    models = [survey.text(*target, "model") for target in survey.items("providers", "targets")]
    names: list[Any] = [survey.text(*group, "name") for group in survey.items("model_groups")]
    names += [
        survey.text(*alias) for group in survey.items("model_groups") for alias in survey.items(*group, "aliases")
    ]
    for place in FAILOVER_PLACES:
        mapping = survey.value(*place, "model_mapping")
        for asked, mapped in mapping.items() if isinstance(mapping, dict) else ():
            if not isinstance(mapped, str):
                continue
            path = (*place, "model_mapping", asked)
            if mapped == asked:
                survey.error("contradiction", path, "a model can't stand in for itself", "leave it out")
            elif None not in models and mapped not in models and mapped not in names:
                known = sorted(name for name in (*models, *names) if name)
                message = f"no target serves the model {quoted(mapped)}"
                survey.error("unknown_model", path, message, did_you_mean(mapped, known))


def checks_have_somebody_to_ask(survey: Survey) -> None:
    """The simulated provider is in this process: there is nobody to ask how it is."""
    for target in survey.items("providers", "targets"):
        path = survey.first_given(target, "health_check")
        if path is not None and survey.text(*target, "provider") == "simulated":
            message = "the simulated provider calls nobody: it takes no `health_check`"
            survey.error("contradiction", path, message, "leave it out")


ROUTING_RULES: tuple[Callable[[Survey], None], ...] = (
    routing_is_said_once,
    groups_lead_somewhere,
    mapped_models_are_served,
    checks_have_somebody_to_ask,
)
