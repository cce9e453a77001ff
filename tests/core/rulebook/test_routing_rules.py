"""What a file says of routing, in whichever of its spellings and places."""

import pytest

from keeptrusts.core.routing.rules import BreakerRules, Failover, Retry, Routing
from keeptrusts.core.routing.target import NO_PRIORITY, GroupModel, HealthCheck, MaxPrice
from tests.core.rulebook.files import SMALLEST, compiled


def rulebook(more="", base=SMALLEST):
    result = compiled(more, base)
    assert result.rulebook is not None, result.problems
    return result.rulebook


def test_left_out_everything_is_as_it_was():
    assert rulebook().routing == Routing()


@pytest.mark.parametrize("key", ["failover: ", "provider_fallback: ", "fallback: "])
@pytest.mark.parametrize("triggers", ["triggers", "retry_on"])
@pytest.mark.parametrize("bound", ["max_fallback_attempts", "max_retries"])
def test_failover_goes_by_all_its_names(key, triggers, bound):
    block = f"{{enabled: true, {triggers}: [5xx, rate_limit_exceeded], {bound}: 2}}"
    wanted = Failover(triggers=frozenset({"unavailable", "rate_limit"}), max_fallbacks=2)
    assert rulebook(key + block).routing.failover == wanted
    assert rulebook(base=SMALLEST + f"  fallback: {block}\n").routing.failover == wanted


def test_the_tutorials_failover():
    routing = rulebook("""
        failover:
          enabled: true
          strategy: priority
          model_mapping: {gpt-4o: claude-sonnet-4-5}
          retry: {max_attempts: 2, timeout_seconds: 30}
    """).routing
    assert routing.strategy == "ordered"
    assert routing.failover == Failover(
        retry=Retry(max_attempts=2, timeout_s=30.0), model_mapping={"gpt-4o": "claude-sonnet-4-5"}
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("ordered", "ordered"),
        ("lowest_latency", "lowest-latency"),
        ("latency", "lowest-latency"),
        ("cost", "lowest-cost"),
        ("highest_throughput", "highest-throughput"),
        ("round_robin", "round-robin"),
        ("cost_priority", "cost-priority"),
        ("single", "single"),
    ],
)
def test_a_strategy_goes_by_all_its_spellings_in_all_its_places(written, meant):
    assert rulebook(base=SMALLEST + f"  strategy: {written}\n").routing.strategy == meant
    assert rulebook(f"provider_routing: {{strategy: {written}}}").routing.strategy == meant
    assert rulebook(f"failover: {{strategy: {written}}}").routing.strategy == meant
    [group] = rulebook(
        f"model_groups: [{{name: g, routing: {written}, models: [{{provider: openai, model: m}}]}}]"
    ).model_groups
    assert group.routing == meant


def test_a_breaker_and_what_counts_as_speed():
    routing = rulebook("""
        circuit_breaker: {failure_threshold: 2, cooldown_seconds: 1.5, half_open_probes: 3}
        provider_routing: {strategy: lowest_latency, min_sample_count: 4, window_seconds: 60}
    """).routing
    assert routing.breaker == BreakerRules(2, 1.5, 3)
    assert (routing.min_samples, routing.window_s) == (4, 60.0)
    assert rulebook("circuit_breaker: {enabled: false}").routing.breaker is None


def test_a_targets_own_settings():
    more = "      priority: 1\n      weight: 2.5\n      max_price: {output_cost_per_1k_tokens: 0.01}\n"
    more += "      timeouts: {total_s: 60}\n      health_check: {interval_seconds: 5, timeout: 1, path: /health}\n"
    [target] = rulebook(base=SMALLEST + more).targets
    assert (target.priority, target.weight, target.total_timeout_s) == (1, 2.5, 60.0)
    assert target.max_price == MaxPrice(output=10_000_000)
    assert target.health_check == HealthCheck(5.0, 1.0, path="/health")


def test_a_weighted_group_is_one_tier_unless_its_entries_have_priorities():
    [group] = rulebook("""
        model_groups:
          - name: split
            routing: weighted
            models:
              - {provider: openai, model: a, weight: 70}
              - {provider: openai, model: b, weight: 30}
              - {provider: openai, model: c, priority: 1}
    """).model_groups
    assert group.models == (
        GroupModel("openai", "c", None, 1, 1.0),
        GroupModel("openai", "a", None, NO_PRIORITY, 70.0),
        GroupModel("openai", "b", None, NO_PRIORITY, 30.0),
    )


def test_a_group_of_targets_has_their_models_and_weights():
    [group] = rulebook(
        "model_groups: [{name: g, aliases: [h], routing: weighted, targets: [b, openai]}]",
        SMALLEST
        + "      model: gpt-4o\n      weight: 3\n"
        + "    - {id: b, provider: anthropic, model: claude-sonnet-4-5}\n",
    ).model_groups
    assert group.models == (
        GroupModel("anthropic", "claude-sonnet-4-5", None, NO_PRIORITY, 1.0, "b"),
        GroupModel("openai", "gpt-4o", None, NO_PRIORITY, 3.0, "openai"),
    )
    assert group.names == ("g", "h")


def test_a_mapping_to_a_model_that_nobody_serves_is_told():
    more = "failover: {model_mapping: {gpt-4o: gpt-4o-mni}}"
    [problem] = compiled(more, SMALLEST + "      model: gpt-4o-mini\n").problems
    assert (problem.code, problem.path) == ("unknown_model", "failover.model_mapping.gpt-4o")
    assert "gpt-4o-mini" in (problem.suggestion or "")
