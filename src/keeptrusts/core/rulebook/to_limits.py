"""All forms of limits in a checked policy file to the LimitRules that a gateway counts by."""

from keeptrusts.core.limits.limit_set import LimitSet
from keeptrusts.core.limits.quotas import UNLIMITED_QUOTAS, Counted, Quota, Quotas, both, quotas_of
from keeptrusts.core.limits.rules import LimitRules, Scoped, StoreAddress
from keeptrusts.core.rulebook.policy_file import limits
from keeptrusts.core.rulebook.policy_file.document import PolicyFile

LIMIT_NAMES = frozenset(LimitSet.__struct_fields__)


def limit_set(given: limits.Limits, defaults: limits.Limits) -> LimitSet:
    """A group's own limits; what it does not say comes from the defaults."""
    said = {**_said(defaults), **_said(given)}
    return LimitSet(**said)


def limit_rules(file: PolicyFile) -> LimitRules:
    """Everything that the file says of limits, but for its groups' own."""
    by_scope, users, tokens = file.rate_limits, file.user_rate_limit, file.token_rate_limit
    whole, addresses = file.global_rate_limit, file.ip_rate_limit
    everybody = _quotas(by_scope.everybody)
    if whole is not None:
        everybody = both(everybody, _window("requests", whole.max_requests, whole.window_seconds))
    scoped = {
        "key": _scoped(by_scope.per_key),
        "user": _scoped(by_scope.per_user),
        "team": _scoped(by_scope.per_team),
        "model": _scoped(by_scope.per_model),
        "provider": _scoped(by_scope.per_provider),
    }
    if users is not None and users.max_requests is not None:
        window = _window("requests", users.max_requests, users.window_seconds)
        scoped["user"] = _and_each(scoped["user"], window)
    if tokens is not None:
        window = _window("tokens", tokens.max_tokens, tokens.window_seconds)
        if tokens.scope == "global":
            everybody = both(everybody, window)
        else:
            scoped[tokens.scope] = _and_each(scoped[tokens.scope], window)
    shown = file.rate_limit_defaults.response_headers if file.response_headers is None else file.response_headers
    return LimitRules(
        keys=scoped["key"],
        keys_of_no_group=_quotas(file.rate_limit_defaults),
        users=scoped["user"],
        teams=scoped["team"],
        models=scoped["model"],
        targets=scoped["provider"],
        everybody=everybody,
        addresses=UNLIMITED_QUOTAS
        if addresses is None
        else _window("requests", addresses.max_requests, addresses.window_seconds),
        user_headers=tuple(
            name.lower().encode() for name in (limits.UserWindow() if users is None else users).header_names
        ),
        trusted_proxies=0 if addresses is None else addresses.trust_proxy_depth,
        proxies=tuple(file.gateway.trusted_proxies),
        shown=shown,
        nodes=file.limits.nodes,
        store=_store(file.limits),
    )


def _store(shared: limits.SharedLimits) -> StoreAddress | None:
    if shared.store is None and shared.store_env is None:
        return None
    secret = None if shared.secret_key_ref is None else shared.secret_key_ref.env
    return StoreAddress(shared.store, shared.store_env, secret, shared.timeout_ms)


def _said(given: limits.Limits) -> dict[str, int]:
    return {name: value for name, value in given.model_dump(include=set(LIMIT_NAMES)).items() if value is not None}


def _quotas(given: limits.Limits) -> Quotas:
    return quotas_of(LimitSet(**_said(given)))


def _scoped(given: limits.LimitsOfEach) -> Scoped:
    return Scoped(_quotas(given), {own.name: _quotas(own) for own in given.overrides})


def _and_each(scoped: Scoped, window: Quotas) -> Scoped:
    """The same, and this window for each; those that are named have theirs instead."""
    return Scoped(both(scoped.each, window), scoped.named)


def _window(counts: Counted, allowed: int, window_s: int) -> Quotas:
    return Quotas((Quota(counts, allowed, window_s),))
