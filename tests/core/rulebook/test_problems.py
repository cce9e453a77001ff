"""Whatever is wrong is named, all of it at once, with its place and what would be right."""

import pytest

from keeptrusts.core.rulebook.from_yaml import compile_rulebook
from tests.core.rulebook.files import SMALLEST, compiled, places

TARGET = "version: '1'\nproviders:\n  targets:\n    - id: a\n"

# What is added to the smallest file (its line 6 on), and what must be said: code, path, line, column.
ADDED = {
    "unknown key": ("cost_tracking: {wallet_enforcment: true}", "unknown_key", "cost_tracking.wallet_enforcment", 6, 17),
    "unknown key at top": ("consumer_group: []", "unknown_key", "consumer_group", 6, 1),
    "text for a number": ("cache: {ttl: '60'}", "wrong_type", "cache.ttl", 6, 14),
    "a fraction for a whole number": ("cache: {ttl: 1.5}", "wrong_type", "cache.ttl", 6, 14),
    "text for a switch": ("cache: {enabled: yes}", "wrong_type", "cache.enabled", 6, 18),
    "a number for text": ("consumer_groups: [{name: 5}]", "wrong_type", "consumer_groups[0].name", 6, 26),
    "a mapping for a list": ("policies: {a: b}", "wrong_type", "policies", 6, 11),
    "a list for a mapping": ("cache: []", "wrong_type", "cache", 6, 8),
    "nothing for a list": ("policies:", "no_value", "policies", 6, 1),
    "empty name": ("consumer_groups: [{name: ''}]", "out_of_range", "consumer_groups[0].name", 6, 26),
    "control character": ('consumer_groups: [{name: "a\\e[2J"}]', "bad_text", "consumer_groups[0].name", 6, 26),
    "key with a blank": ("consumer_groups: [{name: a, api_key: kt cg}]", "bad_text", "consumer_groups[0].api_key", 6, 38),
    "limit of nothing": (
        "consumer_groups: [{name: a, rate_limit: {requests_per_minute: 0}}]",
        "out_of_range", "consumer_groups[0].rate_limit.requests_per_minute", 6, 63,
    ),
    "both spellings": (
        "consumer_groups: [{name: a, rate_limits: {}, rate_limit: {}}]",
        "given_twice", "consumer_groups[0].rate_limit", 6, 46,
    ),
    "no model at all": ("allowed_models: []", "empty", "allowed_models", 6, 17),
    "group twice": ("consumer_groups: [{name: a}, {name: a}]", "duplicate", "consumer_groups[1].name", 6, 37),
    "ttl of nothing": ("cache: {ttl: 0}", "out_of_range", "cache.ttl", 6, 14),
    "ttl in the past": ("cache: {ttl_seconds: -1}", "out_of_range", "cache.ttl_seconds", 6, 22),
    "unknown scope": ("cache: {scope: teams}", "unknown_value", "cache.scope", 6, 16),
    "a store without an address": ("cache: {backend: redis}", "missing_key", "cache.backend", 6, 18),
    "an address without a store": ("cache: {url: 'redis://x'}", "contradiction", "cache.url", 6, 14),
    "two addresses": (
        "cache: {backend: redis, url: 'redis://x', url_env: X}",
        "given_twice",
        "cache.url_env",
        6,
        52,
    ),
    "a password in the store's address": (
        "cache: {backend: redis, url: 'redis://:hush@x'}",
        "literal_secret",
        "cache.url",
        6,
        30,
    ),
    "no store's address": ("cache: {backend: redis, url: 'http://x'}", "bad_address", "cache.url", 6, 30),
    "a store that comes later": ("cache: {backend: s3}", "not_supported", "cache.backend", 6, 18),
    "unknown mode": ("cache: {mode: fuzzy}", "unknown_value", "cache.mode", 6, 15),
    "a threshold of nothing": ("cache: {threshold: 0.9}", "contradiction", "cache.threshold", 6, 20),
    "an embedder of equal calls": (
        "cache: {embedder: {target: openai, model: m}}", "contradiction", "cache.embedder", 6, 19,
    ),
    "an embedder that is no target": (
        "cache: {mode: semantic, embedder: {target: opnai, model: m}}", "unknown_target", "cache.embedder.target", 6, 44,
    ),
    "an embedder without a model": (
        "cache: {mode: semantic, embedder: {target: openai}}", "missing_key", "cache.embedder.model", 6, 35,
    ),
    "more than alike": ("cache: {mode: semantic, threshold: 1.5}", "out_of_range", "cache.threshold", 6, 36),
    "a group of nothing": ("model_groups: [{name: g}]", "missing_key", "model_groups[0]", 6, 16),
    "unknown target": ("model_groups: [{name: g, targets: [opnai]}]", "unknown_target", "model_groups[0].targets[0]", 6, 36),
    "target of any model": ("model_groups: [{name: g, targets: [openai]}]", "missing_key", "model_groups[0].targets[0]", 6, 36),
    "alias twice": (
        "model_groups: [{name: g, aliases: [g], models: [{provider: openai, model: m}]}]",
        "duplicate", "model_groups[0].aliases[0]", 6, 36,
    ),
    "fallback to nobody": (
        "model_groups: [{name: g, fallback_group: h, models: [{provider: openai, model: m}]}]",
        "unknown_group", "model_groups[0].fallback_group", 6, 42,
    ),
    "fallback to itself": (
        "model_groups: [{name: g, fallback_group: g, models: [{provider: openai, model: m}]}]",
        "contradiction", "model_groups[0].fallback_group", 6, 42,
    ),
    "weight below nothing": (
        "model_groups: [{name: g, models: [{provider: openai, model: m, weight: -1}]}]",
        "out_of_range", "model_groups[0].models[0].weight", 6, 72,
    ),
    "unknown strategy": ("failover: {strategy: fastest}", "unknown_value", "failover.strategy", 6, 22),
    "unknown trigger": ("failover: {triggers: [rate_limits]}", "unknown_value", "failover.triggers[0]", 6, 23),
    "a model for itself": (
        "failover: {model_mapping: {a: a}}", "contradiction", "failover.model_mapping.a", 6, 31,
    ),
    "attempts without end": (
        "failover: {retry: {max_attempts: 11}}", "out_of_range", "failover.retry.max_attempts", 6, 34,
    ),
    "another way of failing over": ("failover: {content_policy: next}", "unknown_value", "failover.content_policy", 6, 28),
    "failover by two names": ("failover: {}\nprovider_fallback: {}", "given_twice", "provider_fallback", 7, 1),
    "two strategies": (
        "failover: {strategy: cost}\nprovider_routing: {strategy: cost}", "given_twice", "failover.strategy", 6, 22,
    ),
    "budget above all": ("failover: {retry: {budget: 2}}", "out_of_range", "failover.retry.budget", 6, 28),
    "breaker of nothing": ("circuit_breaker: {failure_threshold: 0}", "out_of_range", "circuit_breaker.failure_threshold", 6, 38),
    "unknown routing": (
        "model_groups: [{name: g, routing: cost-prio, models: [{provider: openai, model: m}]}]",
        "unknown_value", "model_groups[0].routing", 6, 35,
    ),
    "empty model group": ("model_groups: [{name: g, models: []}]", "out_of_range", "model_groups[0].models", 6, 34),
    "unserved provider": (
        "model_groups: [{name: g, models: [{provider: simulated, model: m}]}]",
        "unknown_provider", "model_groups[0].models[0].provider", 6, 46,
    ),
    "unknown policy": ("policies: [{name: p, type: filter}]", "unknown_value", "policies[0].type", 6, 28),
    "an answer that waits for a person": (
        "policies: [{name: p, type: content_filter, action: escalate, phase: both}]", "contradiction", "policies[0].phase", 6, 69,
    ),
    "places that a person is asked about": (
        "policies: [{name: p, type: data_residency, action: escalate, config: {regions: [eu]}}]",
        "contradiction", "policies[0].action", 6, 52,
    ),
    "an action that the kind lacks": (
        "policies: [{name: p, type: model_allowlist, action: redact, config: {models: [m]}}]",
        "contradiction", "policies[0].action", 6, 53,
    ),
    "a phase that the kind lacks": (
        "policies: [{name: p, type: max_input_tokens, phase: output, config: {limit: 5}}]",
        "contradiction", "policies[0].phase", 6, 53,
    ),
    "no pattern": (
        "policies: [{name: p, type: regex, config: {patterns: ['(a']}}]", "bad_pattern", "policies[0].config.patterns[0]", 6, 55,
    ),
    "a pattern of another engine": (
        "policies: [{name: p, type: regex, config: {patterns: ['(?<=a)b']}}]",
        "bad_pattern", "policies[0].config.patterns[0]", 6, 55,
    ),
    "a pattern that is always met": (
        "policies: [{name: p, type: regex, config: {patterns: ['a*']}}]", "empty_pattern", "policies[0].config.patterns[0]", 6, 55,
    ),
    "no words": ("policies: [{name: p, type: keyword, config: {words: ['--']}}]", "no_words", "policies[0].config.words[0]", 6, 54),
    "no tools": ("policies: [{name: p, type: tool_allowlist, config: {}}]", "no_tools", "policies[0].config", 6, 52),
    "a marker that JSON can't hold": (
        "policies: [{name: p, type: regex, config: {patterns: [a], marker: 'a\"b'}}]",
        "bad_marker", "policies[0].config.marker", 6, 67,
    ),
    "a group of an unknown policy": (
        "consumer_groups: [{name: a, api_key: kt_cg_a_0123456789abcdef, policies: [none]}]",
        "unknown_policy", "consumer_groups[0].policies[0]", 6, 75,
    ),
    "unknown category": (
        "policies: [{name: p, type: content_filter, config: {categories: [hate, hats]}}]",
        "unknown_value", "policies[0].config.categories[1]", 6, 72,
    ),
    "unknown key of a policy": (
        "policies: [{name: p, type: content_filter, config: {category: hate}}]",
        "unknown_key", "policies[0].config.category", 6, 53,
    ),
    "enforcement without api": (
        "cost_tracking: {wallet_enforcement: true}", "missing_key", "cost_tracking.wallet_enforcement", 6, 37,
    ),
    "enforcement without tracking": (
        "cost_tracking: {enabled: false, enforce_budget: true}\napi: {url: 'http://a'}",
        "contradiction", "cost_tracking.enforce_budget", 6, 49,
    ),
    "threshold of nothing": ("budget_alerts: [0]", "out_of_range", "budget_alerts[0].threshold_percent", 6, 17),
    "threshold over all": (
        "budget_alerts: [{threshold_percent: 101}]", "out_of_range", "budget_alerts[0].threshold_percent", 6, 37,
    ),
    "threshold twice": ("budget_alerts: [50, {threshold_percent: 50}]", "duplicate", "budget_alerts[1]", 6, 21),
    "alerts in both places": (
        "budget_alerts: [50]\ncost_tracking: {alert_thresholds: [60]}", "given_twice", "budget_alerts", 6, 16,
    ),
    "soft cap above hard": (
        "spend_controls: [{team: a, hard_cap: 10, soft_cap: 11}]",
        "contradiction", "spend_controls[0].soft_cap", 6, 52,
    ),
    "ten decimals": (
        "spend_controls: [{team: a, hard_cap: 0.1234567891}]", "out_of_range", "spend_controls[0].hard_cap", 6, 38,
    ),
    "ten decimals behind many digits": (
        "spend_controls: [{team: a, hard_cap: 1.0000000000000000000000000001}]",
        "out_of_range", "spend_controls[0].hard_cap", 6, 38,
    ),
    "negative money": ("spend_controls: [{team: a, hard_cap: -1}]", "out_of_range", "spend_controls[0].hard_cap", 6, 38),
    "money without end": (
        "spend_controls: [{team: a, hard_cap: .inf}]", "wrong_type", "spend_controls[0].hard_cap", 6, 38,
    ),
    "money as a switch": (
        "spend_controls: [{team: a, hard_cap: true}]", "wrong_type", "spend_controls[0].hard_cap", 6, 38,
    ),
    "cap twice": (
        "spend_controls: [{team: a, hard_cap: 1}, {team: a, hard_cap: 2, period: monthly}]",
        "duplicate", "spend_controls[1]", 6, 42,
    ),
    "address of the api": ("api: {url: localhost:8080}", "bad_address", "api.url", 6, 12),
    "unknown dimension": ("attribution: {required: [teams]}", "unknown_value", "attribution.required[0]", 6, 26),
    "later key": ("traffic_mirroring: {enabled: true}", "not_supported", "traffic_mirroring", 6, 1),
    "pack dialect": ("pack: {name: a}", "not_supported", "pack", 6, 1),
}  # fmt: skip


def test_a_group_has_models_or_targets():
    more = "model_groups: [{name: g, models: [{provider: openai, model: m}], targets: [openai]}]"
    [problem] = compiled(more, SMALLEST + "      model: m\n").problems
    assert (problem.code, problem.path) == ("contradiction", "model_groups[0].targets")


@pytest.mark.parametrize("name", ADDED)
def test_one_thing_wrong_is_one_error_at_its_place(name):
    more, code, path, line, column = ADDED[name]
    result = compiled(more)
    errors = [p for p in result.problems if p.severity == "error"]
    assert [(p.code, p.path, p.line, p.column) for p in errors] == [(code, path, line, column)], result.problems
    assert result.rulebook is None


# Targets, written from the smallest file's fifth line on.
TARGETS = {
    "unknown provider": ("      provider: opnai\n", "unknown_value", "providers.targets[0].provider", 5, 17),
    "a check of nobody": (
        "      provider: simulated\n      health_check: {}\n",
        "contradiction", "providers.targets[0].health_check", 6, 21,
    ),
    "a path that is none": (
        "      provider: openai\n      health_check: {path: models}\n",
        "bad_text", "providers.targets[0].health_check.path", 6, 28,
    ),
    "checks without a pause": (
        "      provider: openai\n      health_check: {interval_seconds: 0.01}\n",
        "out_of_range", "providers.targets[0].health_check.interval_seconds", 6, 40,
    ),
    "later provider": ("      provider: vertex\n", "not_supported", "providers.targets[0].provider", 5, 17),
    "provider and model in one": (
        "      provider: openai:gpt-4o\n", "unknown_value", "providers.targets[0].provider", 5, 17,
    ),
    "no provider": ("      model: m\n", "missing_key", "providers.targets[0].provider", 4, 7),
    "a literal key": (
        "      provider: openai\n      api_key: sk-abc\n", "literal_secret", "providers.targets[0].api_key", 6, 7,
    ),
    "no address": ("      provider: openai-compatible\n", "missing_key", "providers.targets[0]", 4, 7),
    "address of files": (
        "      provider: openai\n      base_url: file:///etc/passwd\n",
        "bad_address", "providers.targets[0].base_url", 6, 17,
    ),
    "address with a password": (
        "      provider: openai\n      base_url: https://me:pass@host/v1\n",
        "bad_address", "providers.targets[0].base_url", 6, 17,
    ),
    "address that is none": (
        "      provider: openai\n      base_url: 'http://[::1'\n",
        "bad_address", "providers.targets[0].base_url", 6, 17,
    ),
    "a secret in the place of its name": (
        "      provider: openai\n      secret_key_ref: {env: sk-proj-abc}\n",
        "bad_text", "providers.targets[0].secret_key_ref.env", 6, 29,
    ),
    "secret in a store": (
        "      provider: openai\n      secret_key_ref: {env: A, store: b}\n",
        "not_supported", "providers.targets[0].secret_key_ref.store", 6, 32,
    ),
    "simulated settings elsewhere": (
        "      provider: openai\n      simulated: {latency_ms: 5}\n",
        "contradiction", "providers.targets[0].simulated", 6, 18,
    ),
    "address of the simulated": (
        "      provider: simulated\n      base_url: http://a\n",
        "contradiction", "providers.targets[0].base_url", 6, 17,
    ),
    "id twice": (
        "      provider: openai\n    - id: a\n      provider: openai\n", "duplicate", "providers.targets[1].id", 6, 11,
    ),
    "free by mistake": (
        "      provider: simulated\n      pricing: {input_cost_per_1k_tokens: 1}\n",
        "missing_key", "providers.targets[0].pricing.output_cost_per_1k_tokens", 6, 16,
    ),
    "no time at all": (
        "      provider: openai\n      timeouts: {connect_s: 0}\n",
        "out_of_range", "providers.targets[0].timeouts.connect_s", 6, 29,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TARGETS)
def test_one_thing_wrong_with_a_target_is_one_error_at_its_place(name):
    more, code, path, line, column = TARGETS[name]
    result = compile_rulebook(TARGET + more)
    assert places(result) == [(code, path, line, column)], result.problems


# Each line one level deeper than the one before it.
ANCHORED = "a0: &a0 []\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 100))

# Whole texts of which nothing can be made.
TEXTS = {
    "empty": ("", "empty", 1, 1),
    "a comment": ("# nothing yet\n", "empty", 1, 1),
    "null": ("~", "empty", 1, 1),
    "a list": ("- a\n- b\n", "wrong_type", 1, 1),
    "a word": ("hello", "wrong_type", 1, 1),
    "an open quote": ("version: '1\nproviders: {}\n", "yaml_syntax", 3, 1),
    "a tab": ("version: '1'\nproviders:\n\ttargets: []\n", "yaml_syntax", 3, 1),
    "two colons": ("version: a: b\n", "yaml_syntax", 1, 11),
    "an open list": ("version: [1\nb: 2\n", "yaml_syntax", 2, 2),
    "lines that do not line up": ("version: '1'\n providers: {}\n", "yaml_syntax", 2, 2),
    "an alias of nothing": ("version: *nothing\n", "yaml_syntax", 1, 10),
    "an alias of itself": ("version: &a [*a]\n", "yaml_syntax", 1, 14),
    "a tag": ("version: !!python/object:os.system 1\n", "yaml_syntax", 1, 10),
    "a key that is a list": ("? [a]\n: b\n", "yaml_syntax", 1, 3),
    "a control character": ("version: \x00\n", "yaml_syntax", 1, 10),
    "a second document": (SMALLEST + "---\na: b\n", "yaml_syntax", 6, 1),
    "a merge of a word": ("<<: word\n", "yaml_syntax", 1, 5),
    "too deep": ("a: " + "[" * 100, "too_large", 1, 36),
    "too deep through anchors": (ANCHORED, "too_large", 32, 12),
    "too many": ("a: &a [" + "1," * 300 + "]\nb: &b [" + "*a," * 300 + "]\n", "too_large", 2, 4),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_that_cannot_be_read_says_where_it_stops(name):
    text, code, line, column = TEXTS[name]
    result = compile_rulebook(text)
    assert [(p.code, p.line, p.column) for p in result.problems] == [(code, line, column)], result.problems
    assert result.rulebook is None


def test_a_file_over_the_bound_is_refused_unread():
    assert [p.code for p in compile_rulebook("#" * 1_000_001).problems] == ["too_large"]


def test_a_key_that_stands_twice_names_both_places():
    [problem] = compiled("cache: {}\ncache: {enabled: true}").problems
    assert (problem.code, problem.path, problem.line, problem.column) == ("duplicate_key", "cache", 7, 1)
    assert "line 6, column 1" in problem.message


def test_version_and_targets_are_needed():
    assert places(compile_rulebook("version: '2'\nproviders: {targets: []}")) == [
        ("unknown_value", "version", 1, 10),
        ("no_targets", "providers.targets", 2, 22),
    ]
    assert {p.path for p in compile_rulebook("cache: {}").problems} == {"version", "providers"}


def test_everything_wrong_is_told_at_once_in_the_order_of_the_file():
    """Types, unknown keys, rules across entries and a policy's own config: none hides another."""
    result = compile_rulebook(
        """\
version: 2
providers:
  targets:
    - {id: a, provider: openai}
    - {id: a, provider: opnai}
cach: {}
policies:
  - {name: p, type: content_filter, config: {treshold: low}}
"""
    )
    assert places(result) == [
        ("wrong_type", "version", 1, 10),
        ("duplicate", "providers.targets[1].id", 5, 12),
        ("unknown_value", "providers.targets[1].provider", 5, 25),
        ("unknown_key", "cach", 6, 1),
        ("unknown_key", "policies[0].config.treshold", 8, 46),
    ]


@pytest.mark.parametrize(
    ("more", "suggestion"),
    [
        ("cost_tracking: {wallet_enforcment: true}", "did you mean `wallet_enforcement`?"),
        ("consumer_groups: [{name: a, rate-limit: {}}]", "did you mean `rate_limit`?"),
        ("cache: {enabled: on}", "write `true`, without quotes"),
        ("cache: {ttl: '60'}", "write the number without quotes"),
        ("consumer_groups: [{name: 5}]", "put it in quotes: '5'"),
        ("cache: {scope: Team}", "did you mean `team`? known here: `key`, `team`, `organization`"),
        ("policies: [{name: p, type: content_filtr}]", "did you mean `content_filter`?"),
        ("consumer_groups: [{name: a, rate_limit: 5}]", "for example `rate_limit: {requests_per_minute: 500}`"),
        ("consumer_groups: [{name: a, attribution: {team: b}}]", "set `wallet_team_id` on the group"),
        ("consumer_groups: [{name: a, zzz: 1}]", "known here: `name`, `api_key`"),
    ],
)
def test_a_suggestion_says_what_would_be_right(more, suggestion):
    [problem] = compiled(more).problems
    assert problem.suggestion is not None
    assert suggestion in problem.suggestion


def test_a_compact_provider_is_taken_apart():
    [problem] = compile_rulebook(TARGET + "      provider: openai:gpt-4o\n").problems
    assert problem.suggestion == "write `provider: openai` and `model: gpt-4o`"
