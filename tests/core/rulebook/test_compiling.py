"""A valid file says what the gateway decides by, whichever of its spellings was used."""

import pytest

from keeptrusts.core.ledger.alerts import Threshold
from keeptrusts.core.limits.limit_set import LimitSet
from keeptrusts.core.pricing.price import Rates
from keeptrusts.core.routing.target import GroupModel
from keeptrusts.core.rulebook.rulebook import ApiLink, CacheRules, SpendControl
from tests.architecture.sources import ROOT
from tests.core.rulebook.files import SMALLEST, compiled

EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


def rulebook(more="", base=SMALLEST):
    result = compiled(more, base)
    assert result.rulebook is not None, result.problems
    return result.rulebook


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_valid_without_a_warning(path):
    assert compiled(base=path.read_text(encoding="utf-8")).problems == ()


def test_the_example_of_every_setting_leaves_none_out():
    """A setting without an example is one that people do not find."""
    from keeptrusts.core.rulebook.policy_file.document import PolicyFile
    from keeptrusts.core.rulebook.policy_file.entry import spellings
    from keeptrusts.core.rulebook.shape import entries_under

    text = (ROOT / "examples" / "every-setting.yaml").read_text(encoding="utf-8")
    keys = {
        spelling
        for entry in entries_under(PolicyFile)
        for name, field in entry.model_fields.items()
        for spelling in spellings(name, field)
    }
    assert {key for key in keys if key not in text} == set()


@pytest.mark.parametrize("version", ["'1'", '"1"', "1"])
def test_the_version_may_be_text_or_a_number(version):
    assert rulebook(base=SMALLEST.replace("'1'", version))


def test_left_out_settings_have_their_defaults():
    book = rulebook()
    assert (book.wallet_enforcement, book.api, book.model_allowlist) == (False, None, None)
    assert book.cache == CacheRules()
    assert book.attribution_required == ("team",)


def test_a_vendor_target_finds_its_usual_key_and_sends_it_nowhere_else():
    """With an address of its own, a target that names no key sends none: not the vendor's to a stranger."""
    assert rulebook().targets[0].secret_env == "OPENAI_API_KEY"
    elsewhere = rulebook(base=SMALLEST + "      base_url: http://localhost:9/v1/\n").targets[0]
    assert (elsewhere.secret_env, elsewhere.base_url) == (None, "http://localhost:9/v1")


@pytest.mark.parametrize("key", ["rate_limit", "rate_limits"])
def test_limits_go_by_either_name(key):
    book = rulebook(f"""
        consumer_groups:
          - name: a
            {key}: {{requests_per_minute: 5, tokens_per_day: 7}}
    """)
    assert book.groups[0].limits == LimitSet(requests_per_minute=5, tokens_per_day=7)


@pytest.mark.parametrize("key", ["allowed_models", "model_allowlist"])
def test_model_lists_go_by_either_name_on_a_group_and_at_top(key):
    book = rulebook(f"""
        {key}: [m, n]
        consumer_groups:
          - name: a
            {key}: [m]
          - name: b
            {key}: ['*']
    """)
    assert book.model_allowlist == {"m", "n"}
    assert [group.allowed_models for group in book.groups] == [{"m"}, None]


@pytest.mark.parametrize("key", ["ttl", "ttl_seconds"])
def test_the_cache_goes_by_either_name(key):
    assert rulebook(f"cache: {{enabled: true, {key}: 60, scope: key}}").cache == CacheRules(True, 60, "key")


@pytest.mark.parametrize("key", ["wallet_enforcement", "enforce_budget"])
def test_enforcement_goes_by_either_name(key):
    book = rulebook(f"cost_tracking: {{{key}: true}}\napi: {{url: 'http://localhost:8080'}}")
    assert book.wallet_enforcement
    assert book.api == ApiLink("http://localhost:8080", "KEEPTRUSTS_API_TOKEN")


@pytest.mark.parametrize("key", ["budget_alerts", "alert_thresholds"])
@pytest.mark.parametrize("where", ["{}", "cost_tracking: {{{}}}"], ids=["top", "nested"])
def test_alerts_go_by_either_name_in_either_place_and_a_number_notifies(key, where):
    book = rulebook(where.format(f"{key}: [80, {{threshold_percent: 50, action: block}}]"))
    assert book.thresholds == (Threshold(50, "block"), Threshold(80, "notify"))


def test_money_keeps_every_digit():
    book = rulebook("""
        spend_controls:
          - {team: a, hard_cap: 9007199.254740993, soft_cap: '0.000000001'}
    """)
    assert book.spend_controls == (SpendControl("a", 9_007_199_254_740_993, 1, "monthly", "notify", "block"),)


def test_a_price_is_counted_in_pico_dollars_and_tiers_inherit_what_they_leave_out():
    [target] = rulebook(
        base=SMALLEST
        + "      model: m\n"
        + "      pricing:\n"
        + "        input_cost_per_1k_tokens: 0.00015\n"
        + "        output_cost_per_1k_tokens: 0.0006\n"
        + "        request_cost: 0.01\n"
        + "        tiers: [{above_input_tokens: 100, input_cost_per_1k_tokens: 0.0003}]\n"
    ).targets
    assert target.price is not None
    assert target.price.rates == Rates(150_000, 600_000)
    assert target.price.tiers[0].rates == Rates(300_000, 600_000)
    assert target.price.request_nanos == 10_000_000


def test_a_price_has_the_same_version_until_it_changes():
    """Ledger rows name the version: a reload of the same file must not make a new one."""
    pricing = "      model: m\n      pricing: {{input_cost_per_1k_tokens: {}, output_cost_per_1k_tokens: 2}}\n"
    first, again, changed = (
        rulebook(base=SMALLEST + pricing.format(price)).targets[0].price.version for price in ("1", "1.0", "1.1")
    )
    assert first == again != changed


def test_a_model_group_is_sorted_by_priority_and_keeps_the_order_of_the_file_without_one():
    book = rulebook("""
        model_groups:
          - name: sorted
            models:
              - {provider: openai, model: dear, priority: 2}
              - {provider: openai, model: cheap, priority: 1, max_tokens: 1000}
          - name: listed
            models: [{provider: openai, model: a}, {provider: openai, model: b}]
    """)
    assert book.model_groups[0].models == (
        GroupModel("openai", "cheap", 1000, 1),
        GroupModel("openai", "dear", None, 2),
    )
    assert [entry.model for entry in book.model_groups[1].models] == ["a", "b"]


def test_a_mapping_may_be_anchored_and_merged():
    book = rulebook("""
        consumer_groups:
          - &base {name: a, rate_limit: {requests_per_minute: 5}}
          - {<<: *base, name: b}
    """)
    assert [(group.name, group.limits.requests_per_minute) for group in book.groups] == [("a", 5), ("b", 5)]


def test_json_is_yaml():
    assert rulebook(base='{"version": "1", "providers": {"targets": [{"id": "a", "provider": "simulated"}]}}')


def test_a_byte_order_mark_is_passed_over():
    assert rulebook(base="\ufeff" + SMALLEST)
