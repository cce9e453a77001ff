"""Rules that no single value can break: names used twice, references to nothing, settings that contradict each other."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import get_args

from keeptrusts.core.identity.additions import ADDABLE
from keeptrusts.core.providers.azure import names_deployment
from keeptrusts.core.providers.vendors import VENDORS
from keeptrusts.core.rulebook.cache_checks import cache_settings_fit
from keeptrusts.core.rulebook.limits_fit import limits_fit
from keeptrusts.core.rulebook.nearest import did_you_mean
from keeptrusts.core.rulebook.places import Path
from keeptrusts.core.rulebook.policy_checks import POLICY_RULES
from keeptrusts.core.rulebook.policy_file.targets import Provider
from keeptrusts.core.rulebook.quoting import quoted
from keeptrusts.core.rulebook.routing_consistency import ROUTING_RULES
from keeptrusts.core.rulebook.survey import Survey

GROUP_KEY_PREFIX = "kt_cg_"
GROUP_KEY_LENGTH_MIN = 20
ENFORCEMENT = ("wallet_enforcement", "enforce_budget")
ALERTS = ("budget_alerts", "alert_thresholds")
BASE_URL_EXAMPLES: Mapping[str, str] = {
    "openai-compatible": "http://localhost:8000/v1",
    "azure": "https://NAME.openai.azure.com/openai/v1",
    **{name: vendor.example for name, vendor in VENDORS.items() if vendor.example is not None},
}
"""Providers that are somewhere else for each customer."""

KNOWN_PROVIDERS = frozenset(get_args(Provider))
LISTS = (("model_groups", "name", "model group"), ("policies", "name", "policy"))


def names_are_unique(survey: Survey) -> None:
    """Ids, names and keys tell entries apart. A key that is given twice is never repeated in the message."""
    _unique(survey, "target id", ((*t, "id") for t in survey.items("providers", "targets")))
    _unique(survey, "consumer group", ((*g, "name") for g in survey.items("consumer_groups")))
    _unique(survey, "api_key", ((*g, "api_key") for g in survey.items("consumer_groups")), is_secret=True)
    for kind in ("key", "user", "team", "model", "provider"):
        overrides = survey.items("rate_limits", f"per_{kind}", "overrides")
        _unique(survey, f"override of {kind}", ((*o, "name") for o in overrides))
    for key, name, what in LISTS:
        _unique(survey, what, ((*item, name) for item in survey.items(key)))


def spend_controls_are_consistent(survey: Survey) -> None:
    """One cap per team and period; a soft cap lies under the hard one."""
    first: dict[Hashable, Path] = {}
    for control in survey.items("spend_controls"):
        team, period = survey.text(*control, "team"), survey.text(*control, "period") or "monthly"
        if team is not None and (earlier := first.setdefault((team, period), control)) != control:
            message = f"a {period} cap of team {quoted(team)} was given already at {survey.at(earlier)}"
            survey.error("duplicate", control, message, "keep one of them")
        hard, soft = survey.number(*control, "hard_cap"), survey.number(*control, "soft_cap")
        if hard is not None and soft is not None and soft > hard:
            message = f"the soft cap {soft} is above the hard cap {hard}: it would never be reached"
            survey.error("contradiction", (*control, "soft_cap"), message, "a usual soft cap is 80 % of the hard one")
    spending = {
        survey.text(*group, "name"): survey.text(*group, "wallet_team_id") for group in survey.items("consumer_groups")
    }
    for control in survey.items("spend_controls"):
        team = survey.text(*control, "team")
        if (meant := spending.get(team)) is not None and team not in spending.values():
            message = f"no group spends from the team {quoted(team or '')}: the group of that name spends from {quoted(meant)}"
            survey.warning("no_wallet", (*control, "team"), message, f"write `team: {meant}`")


def some_target_serves(survey: Survey) -> None:
    """Calls need somewhere to go, and a model group may only name providers that a target serves."""
    if survey.value("providers", "targets") == []:
        example = "for example `- {id: openai, provider: openai}`"
        survey.error("no_targets", ("providers", "targets"), "no target: calls would have nowhere to go", example)
    served: dict[str, set[str | None]] = {}
    for target in survey.items("providers", "targets"):
        if provider := survey.text(*target, "provider"):
            served.setdefault(provider, set()).add(survey.text(*target, "model"))
    for group in survey.items("model_groups"):
        for entry in survey.items(*group, "models"):
            _is_served(survey, entry, served)


def _is_served(survey: Survey, entry: Path, served: Mapping[str, set[str | None]]) -> None:
    provider, model = survey.text(*entry, "provider"), survey.text(*entry, "model")
    if provider is None:
        return
    if provider not in served:
        message = f"no target serves the provider {quoted(provider)}"
        is_known = provider in KNOWN_PROVIDERS
        suggestion = (
            "add a target with this provider"
            if is_known
            else did_you_mean(provider, sorted(set(served) & KNOWN_PROVIDERS))
        )
        survey.error("unknown_provider", (*entry, "provider"), message, suggestion)
    elif model is not None and not served[provider] & {None, model}:
        message = f"no target of provider {quoted(provider)} serves the model {quoted(model)}"
        known = sorted(m for m in served[provider] if m)
        survey.error("unknown_model", (*entry, "model"), message, did_you_mean(model, known))


def targets_fit_their_provider(survey: Survey) -> None:
    """An address where one is needed, none where nothing is called; a price says which model it is for."""
    for target in survey.items("providers", "targets"):
        provider = survey.text(*target, "provider")
        pricing = survey.first_given(target, "pricing")
        if pricing is not None and provider != "simulated" and survey.first_given(target, "model") is None:
            message = "without `model` on the target this price holds for every model that is called there"
            survey.warning("price_for_all", pricing, message, "name the `model`, one target for each price")
        if provider is not None and provider in BASE_URL_EXAMPLES and survey.first_given(target, "base_url") is None:
            message = f"a target of provider {quoted(provider)} needs a `base_url`"
            survey.error("missing_key", target, message, f"for example `base_url: {BASE_URL_EXAMPLES[provider]}`")
        _azure_address(survey, target, provider)
        if provider == "bedrock" and survey.first_given(target, "region") is None:
            message = "a target of provider `bedrock` needs a `region`"
            survey.error("missing_key", target, message, "for example `region: us-east-1`")
        elif provider != "bedrock" and (path := survey.first_given(target, "region")) is not None:
            survey.error("contradiction", path, "`region` is for targets of provider `bedrock`", "leave it out")
        if provider == "simulated":
            for key in ("base_url", "secret_key_ref"):
                if (path := survey.first_given(target, key)) is not None:
                    message = f"the simulated provider calls nobody: it takes no {quoted(key)}"
                    survey.error("contradiction", path, message, "leave it out")
        elif provider is not None and (path := survey.first_given(target, "simulated")) is not None:
            message = "`simulated` is for targets of provider `simulated`"
            survey.error("contradiction", path, message, "leave it out")


def _azure_address(survey: Survey, target: Path, provider: str | None) -> None:
    """Deployments are called with a version of the API; and which one is called must be known."""
    version, address = survey.first_given(target, "api_version"), survey.text(*target, "base_url") or ""
    if version is not None and provider != "azure":
        survey.error("contradiction", version, "`api_version` is for targets of provider `azure`", "leave it out")
    elif version is None and provider == "azure" and "/deployments/" in address:
        message = "the address of a deployment needs an `api_version`"
        survey.error("missing_key", target, message, "for example `api_version: 2024-10-21`")
    elif version is not None and not names_deployment(address) and survey.first_given(target, "model") is None:
        message = "which deployment is called is not said"
        survey.error("missing_key", target, message, "name the deployment as the target's `model`")


def enforcement_is_possible(survey: Survey) -> None:
    """Wallets live in the control plane: without it, or without a wallet, there is nothing to enforce."""
    path = survey.first_given(("cost_tracking",), *ENFORCEMENT)
    if path is None or survey.value(*path) is not True:
        return
    if "api" not in survey.document:
        message = f"`{path[-1]}: true` needs `api`: wallets and balances are kept there"
        suggestion = "add `api: {url: 'http://localhost:8080', token_env: KEEPTRUSTS_API_TOKEN}`, or turn it off"
        survey.error("missing_key", path, message, suggestion)
    if survey.value("cost_tracking", "enabled") is False:
        message = f"`{path[-1]}: true` contradicts `enabled: false`: what is not counted cannot be limited"
        survey.error("contradiction", path, message, "write `enabled: true`")
    for group in survey.items("consumer_groups"):
        name = survey.text(*group, "name")
        if name is not None and survey.first_given(group, "wallet_team_id") is None:
            message = f"group {quoted(name)} has no `wallet_team_id`: its calls have no wallet of their own to draw on"
            survey.warning("no_wallet", group, message, f"for example `wallet_team_id: team_{name}`")


def thresholds_are_distinct(survey: Survey) -> None:
    """One list of alerts, each percentage once; a block means something only where balances are enforced."""
    top, nested = survey.first_given((), *ALERTS), survey.first_given(("cost_tracking",), *ALERTS)
    if top and nested:
        message = f"the budget alerts were given already at {survey.at(nested)}"
        survey.error("given_twice", top, message, "keep one of the two lists")
    enforced = any(survey.value("cost_tracking", key) is True for key in ENFORCEMENT)
    for alerts in (top, nested):
        first: dict[Hashable, Path] = {}
        for alert in survey.items(*alerts) if alerts else ():
            percent = survey.number(*alert)
            percent = survey.number(*alert, "threshold_percent") if percent is None else percent
            if percent is not None and (earlier := first.setdefault(percent, alert)) != alert:
                message = f"the threshold {percent} was given already at {survey.at(earlier)}"
                survey.error("duplicate", alert, message, "keep one of them")
            if survey.text(*alert, "action") == "block" and not enforced:
                message = "`block` only notifies here: `wallet_enforcement` is off"
                survey.warning(
                    "only_notifies", (*alert, "action"), message, "set `cost_tracking.wallet_enforcement: true`"
                )


def group_keys_are_strong(survey: Survey) -> None:
    """A group's key is a secret that people chose: it should look like one. Its text is never shown."""
    for group in survey.items("consumer_groups"):
        key = survey.text(*group, "api_key")
        if key is not None and not key.startswith(GROUP_KEY_PREFIX):
            message = f"this key does not begin with `{GROUP_KEY_PREFIX}`: secret scanners will not know it"
            survey.warning("odd_key", (*group, "api_key"), message, f"write `{GROUP_KEY_PREFIX}<group>_<random>`")
        elif key is not None and len(key) < GROUP_KEY_LENGTH_MIN:
            message = f"this key is short: {len(key)} characters can be guessed"
            survey.warning("weak_key", (*group, "api_key"), message, "use 20 characters or more, drawn at random")


def dimensions_are_distinct(survey: Survey) -> None:
    """A dimension is required or not; twice is a slip."""
    _unique(survey, "dimension", survey.items("attribution", "required"))


def additions_are_not_bound(survey: Survey) -> None:
    """What a group binds is no client's to say."""
    for group in survey.items("consumer_groups"):
        for name in ADDABLE:
            path = survey.first_given((*group, "allowed_dimensions"), name)
            bound = survey.first_given((*group, "attribution"), name)
            if path is not None and bound is not None:
                message = f"{quoted(name)} is bound by the group at {survey.at(bound)}: no client can add it"
                survey.error("contradiction", path, message, "keep one of the two")


RULES: tuple[Callable[[Survey], None], ...] = (
    names_are_unique,
    some_target_serves,
    targets_fit_their_provider,
    group_keys_are_strong,
    spend_controls_are_consistent,
    enforcement_is_possible,
    thresholds_are_distinct,
    *POLICY_RULES,
    dimensions_are_distinct,
    limits_fit,
    cache_settings_fit,
    *ROUTING_RULES,
    additions_are_not_bound,
)


def _unique(survey: Survey, what: str, paths: Iterable[Path], *, is_secret: bool = False) -> None:
    first: dict[str, Path] = {}
    for path in paths:
        text = survey.text(*path)
        if text is None or (earlier := first.setdefault(text, path)) == path:
            continue
        named = f"this {what}" if is_secret else f"the {what} {quoted(text)}"
        survey.error("duplicate", path, f"{named} was given already at {survey.at(earlier)}", "each must be its own")
