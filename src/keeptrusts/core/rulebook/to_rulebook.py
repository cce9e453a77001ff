"""A checked policy file to the Rulebook that a gateway decides by."""

from hashlib import sha256
from typing import Any

import msgspec

from keeptrusts.core.ledger.alerts import Threshold
from keeptrusts.core.pricing.names import given_pieces, given_rates, given_tiers
from keeptrusts.core.pricing.price import Price, Rates, Tier
from keeptrusts.core.providers.vendors import VENDORS
from keeptrusts.core.routing.target import SimulatedSettings, Target
from keeptrusts.core.rulebook.policy_file import caching, groups, limits, pricing, spending, targets, watching
from keeptrusts.core.rulebook.policy_file.document import PolicyFile
from keeptrusts.core.rulebook.routes import groups_of, routed, routing_of
from keeptrusts.core.rulebook.rulebook import (
    AdminRules,
    ApiLink,
    CacheRules,
    ConsumerGroup,
    Embedder,
    OtlpRules,
    Policy,
    Rulebook,
    SpendControl,
    TelemetryRules,
)
from keeptrusts.core.rulebook.to_limits import limit_rules, limit_set

VENDOR_SECRET_ENVS = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "gemini": "GEMINI_API_KEY",
    **{name: vendor.secret_env for name, vendor in VENDORS.items()},
}
"""Where a vendor's own key is looked for when the file does not say."""

"""Taken for a target of provider ``openai`` that names neither a key nor an address: the key goes to its own vendor only."""

LIKE_IN_WORDS = 0.85
LIKE_IN_MEANING = 0.95
"""How alike questions are that are taken for the same, where the file does not say."""

ANY_MODEL = "*"


def to_rulebook(file: PolicyFile) -> Rulebook:
    """One edition of the rules from a file that ``from_yaml`` found without errors."""
    alerts = file.cost_tracking.budget_alerts if file.budget_alerts is None else file.budget_alerts
    return Rulebook(
        targets=tuple(map(_target, file.providers.targets)),
        groups=tuple(_group(group, file.rate_limit_defaults) for group in file.consumer_groups),
        model_groups=groups_of(file),
        routing=routing_of(file),
        spend_controls=tuple(map(_spend_control, file.spend_controls)),
        policies=tuple(
            Policy(p.name, p.type, p.action, p.config, p.phase, p.shadow, p.fail_mode) for p in file.policies
        ),
        cache=_cache(file),
        cost_tracking=file.cost_tracking.enabled,
        wallet_enforcement=file.cost_tracking.wallet_enforcement,
        thresholds=tuple(sorted((Threshold(a.threshold_percent, a.action) for a in alerts), key=lambda t: t.percent)),
        api=ApiLink(file.api.url, file.api.token_env) if file.api else None,
        model_allowlist=_models(file.allowed_models),
        attribution_required=tuple(file.attribution.required),
        trusted_proxies=tuple(file.gateway.trusted_proxies),
        default_output_tokens=file.gateway.default_output_tokens,
        unpriced_ceiling=_ceiling(file.cost_tracking.unpriced_ceiling),
        reserve_wait_ms=file.gateway.reserve_wait_ms,
        hold_wait_s=file.gateway.hold_wait_s,
        max_held_calls=file.gateway.max_held_calls,
        max_body_bytes=file.size_limits.max_body_bytes or file.gateway.max_body_bytes,
        max_file_bytes=file.gateway.max_file_bytes,
        limits=limit_rules(file),
        max_stale_s=file.gateway.max_stale_s,
        durability=file.gateway.durability,
        max_journal_bytes=file.gateway.max_journal_bytes,
        journal_retention_s=file.gateway.journal_retention_s,
        admin=AdminRules(file.gateway.admin.listen, file.gateway.admin.token_env),
        max_response_bytes=file.size_limits.max_response_bytes,
        telemetry=_telemetry(file.telemetry),
    )


def _target(target: targets.Target) -> Target:
    vendor_env = VENDOR_SECRET_ENVS.get(target.provider) if target.base_url is None else None
    env = target.secret_key_ref.env if target.secret_key_ref else vendor_env
    settings = target.simulated or targets.Simulated()
    return Target(
        id=target.id,
        provider=target.provider,
        base_url=target.base_url,
        secret_env=env,
        model=target.model,
        region=target.region,
        residency=target.residency,
        api_version=target.api_version,
        price=_price(target, target.pricing) if target.pricing else None,
        connect_timeout_s=target.timeouts.connect_s,
        first_byte_timeout_s=target.timeouts.first_byte_s,
        idle_timeout_s=target.timeouts.idle_s,
        **routed(target),
        simulated=SimulatedSettings(**settings.model_dump()) if target.provider == "simulated" else None,
    )


def _price(target: targets.Target, written: pricing.Pricing) -> Price:
    base = _rates(written, None)
    tiers = sorted(written.tiers, key=lambda tier: tier.above_input_tokens)
    price = Price(
        version="",
        provider=target.provider,
        model=target.model or ANY_MODEL,
        rates=base,
        tiers=tuple(Tier(tier.above_input_tokens, _rates(tier, base)) for tier in tiers),
        request_nanos=written.request_cost,
        max_output_tokens=written.max_output_tokens,
        context_window=written.context_window,
        source="policy-config",
        pieces=given_pieces(written),
        service_tiers=given_tiers(written),
    )
    return _versioned(price, target.id)


def _rates(written: pricing.RatesEntry, base: Rates | None) -> Rates:
    """The rates as given; what a tier leaves out is taken from ``base``."""
    said: dict[str, Any] = given_rates(written)
    return msgspec.structs.replace(base, **said) if base else Rates(**said)


def _ceiling(ceiling: spending.CeilingPrice | None) -> Price | None:
    if ceiling is None:
        return None
    rates = Rates(ceiling.input_cost_per_1k_tokens, ceiling.output_cost_per_1k_tokens)
    return _versioned(Price("", ANY_MODEL, ANY_MODEL, rates, source="policy-config"), "unpriced_ceiling")


def _versioned(price: Price, name: str) -> Price:
    """The same numbers have the same version, wherever and whenever the file is read; other numbers have another."""
    digest = sha256(msgspec.json.encode(price)).hexdigest()[:12]
    return msgspec.structs.replace(price, version=f"file:{name}:{digest}")


def _group(group: groups.ConsumerGroup, defaults: limits.Limits) -> ConsumerGroup:
    return ConsumerGroup(
        name=group.name,
        api_key=group.api_key,
        wallet_team_id=group.wallet_team_id,
        limits=limit_set(group.rate_limits, defaults),
        allowed_models=_models(group.allowed_models),
        attribution=group.attribution.model_dump(exclude_none=True),
        allowed_dimensions={name: tuple(values) for name, values in group.allowed_dimensions if values is not None},
        allowed_ips=tuple(group.allowed_ips),
        policies=None if group.policies is None else tuple(group.policies),
    )


def _spend_control(control: spending.SpendControl) -> SpendControl:
    return SpendControl(
        control.team, control.hard_cap, control.soft_cap, control.period, control.on_soft_cap, control.on_hard_cap
    )


def _threshold(cache: caching.Cache) -> float | None:
    if cache.mode == "exact":
        return None
    usual = LIKE_IN_WORDS if cache.embedder is None else LIKE_IN_MEANING
    return cache.similarity_threshold or usual


def _cache(file: PolicyFile) -> CacheRules:
    cache = file.cache
    return CacheRules(
        cache.enabled,
        cache.ttl,
        cache.scope,
        cache.max_entries,
        cache.deterministic_only,
        cache.max_bytes,
        cache.single_flight_timeout_ms / 1000,
        cache.url,
        cache.url_env,
        _threshold(cache),
        frozenset(group.name for group in file.consumer_groups if not group.cache),
        None if cache.embedder is None else Embedder(cache.embedder.target, cache.embedder.model),
    )


def _telemetry(telemetry: watching.Telemetry) -> TelemetryRules:
    otlp = telemetry.otlp
    return TelemetryRules(telemetry.access_log, None if otlp is None else OtlpRules(**otlp.model_dump()))


def _models(models: list[str] | None) -> frozenset[str] | None:
    """None means every model; so does a list that holds ``*``."""
    return None if models is None or "*" in models else frozenset(models)
