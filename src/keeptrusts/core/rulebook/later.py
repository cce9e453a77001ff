"""What other versions of the format know and this version does not do: refused by name, never passed over in silence."""

from collections.abc import Mapping

LATER_KEYS: Mapping[str, frozenset[str]] = {
    "": frozenset(
        {
            "agents", "capture", "connectors", "history", "loads", "pack", "policy", "services", "traffic_mirroring",
        }
    ),
    "providers": frozenset({"ab_test", "model_groups"}),
    "providers.fallback": frozenset({"latency_window", "max_cost_per_1k_tokens", "max_latency_ms"}),
    "providers.targets[]": frozenset({"escalation_routing"}),
    "providers.targets[].secret_key_ref": frozenset({"store"}),
    "consumer_groups[]": frozenset({"capture", "providers"}),
    "consumer_groups[].attribution": frozenset({"organization"}),
}  # fmt: skip
"""Keys by the place where they would stand, ``[]`` for any list item."""

LATER_VALUES: Mapping[str, frozenset[str]] = {
    "providers.targets[].provider": frozenset({"mcp", "vertex"}),
    "cache.backend": frozenset({"filesystem", "s3"}),
}  # fmt: skip

INSTEAD: Mapping[str, str] = {
    "pack": "write the policies as a list: `policies: [{name, type, action, config}]`",
    "policy": "write the policies as a list: `policies: [{name, type, action, config}]`",
    "model_groups": "write `model_groups` at top level",
    "latency_window": "use `provider_routing: {window_seconds}`",
    "max_cost_per_1k_tokens": "use `providers.max_price`",
    "max_latency_ms": "use the targets' `timeouts`",
    "store": "use `env`: the environment variable that holds the key",
}


def comes_later(shape: str, word: str, *, is_key: bool) -> bool:
    """Whether the word belongs to the format but not to this version. ``shape`` is its parent's path (its own, for values)."""
    table = LATER_KEYS if is_key else LATER_VALUES
    return word.replace("_", "-") in {w.replace("_", "-") for w in table.get(shape, ())}
