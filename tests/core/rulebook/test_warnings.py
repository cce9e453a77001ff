"""What is allowed and probably not meant is told, and stops nothing."""

import pytest

from keeptrusts.core.rulebook.missing_secrets import missing_secrets
from tests.core.rulebook.files import SMALLEST, compiled

API = "api: {url: 'http://localhost:8080'}\n"
ENFORCED = API + "cost_tracking: {wallet_enforcement: true}\n"

WARNED = {
    "block without enforcement": ("budget_alerts: [{threshold_percent: 100, action: block}]", "only_notifies"),
    "group without a wallet": (ENFORCED + "consumer_groups: [{name: a}]", "no_wallet"),
    "short key": ("consumer_groups: [{name: a, api_key: kt_cg_a}]", "weak_key"),
    "cap of a group's name": (
        "spend_controls: [{team: a, hard_cap: 5}]\nconsumer_groups: [{name: a, wallet_team_id: team_a}]",
        "no_wallet",
    ),
    "nobody to ask": ("policies: [{name: p, type: content_filter, action: escalate}]", "nobody_to_ask"),
    "odd key": ("consumer_groups: [{name: a, api_key: a-long-and-random-key-1234}]", "odd_key"),
}


@pytest.mark.parametrize("name", WARNED)
def test_a_warning_leaves_the_file_valid(name):
    more, code = WARNED[name]
    result = compiled(more)
    assert [(p.code, p.severity) for p in result.problems] == [(code, "warning")]
    assert result.rulebook is not None


def test_who_is_asked_by_nobody_is_not_missed():
    policy = "policies: [{name: p, type: content_filter, action: escalate%s}]\n"
    assert compiled(policy % "" + API).problems == ()
    assert compiled(policy % ", shadow: true").problems == ()


def test_a_price_without_a_model_is_warned_of():
    pricing = "      pricing: {input_cost_per_1k_tokens: 1, output_cost_per_1k_tokens: 1}\n"
    assert [p.code for p in compiled(base=SMALLEST + pricing).problems] == ["price_for_all"]
    assert compiled(base=SMALLEST + "      model: m\n" + pricing).problems == ()


def test_a_missing_secret_is_a_warning_at_the_line_that_names_it():
    result = compiled(API, SMALLEST + "      secret_key_ref: {env: MY_KEY}\n")
    assert result.rulebook is not None
    found = missing_secrets(result.rulebook, {}, result.places)
    assert [(p.severity, p.path, p.line, p.column) for p in found] == [
        ("warning", "providers.targets[0].secret_key_ref.env", 6, 29),
        ("warning", "api.token_env", 7, 6),
    ]
    assert "MY_KEY" in found[0].message
    assert missing_secrets(result.rulebook, {"MY_KEY": "a", "KEEPTRUSTS_API_TOKEN": "b"}) == []


def test_an_empty_secret_is_a_missing_one():
    result = compiled()
    assert result.rulebook is not None
    assert len(missing_secrets(result.rulebook, {"OPENAI_API_KEY": ""})) == 1


def test_without_places_a_missing_secret_still_has_its_path():
    rulebook = compiled().rulebook
    assert rulebook is not None
    [problem] = missing_secrets(rulebook, {})
    assert (problem.path, problem.line) == ("providers.targets[0].secret_key_ref.env", None)


def test_a_service_without_its_token_is_a_warning():
    more = "policies: [{name: g, type: external, config: {url: 'http://guard/', secret_env: GUARD_TOKEN}}]"
    result = compiled(more)
    assert result.rulebook is not None
    [problem] = missing_secrets(result.rulebook, {"OPENAI_API_KEY": "a"}, result.places)
    assert (problem.code, problem.path) == ("missing_secret", "policies[0].config.secret_env")


STARTS = {
    "cache: {enabled: true, backend: redis, url_env: STORE}": "cache.url_env",
    "limits: {store_env: STORE}": "limits.store_env",
    "limits: {store: 'redis://valkey:6379/0', secret_key_ref: {env: STORE}}": "limits.secret_key_ref.env",
    "telemetry: {otlp: {endpoint: 'http://collector:4318', headers_env: STORE}}": "telemetry.otlp.headers_env",
    "gateway: {admin: {listen: '127.0.0.1:41003', token_env: STORE}}": "gateway.admin.listen",
}


@pytest.mark.parametrize("more", STARTS)
def test_what_a_gateway_does_not_start_without_is_told_before_it_starts(more):
    result = compiled(more)
    assert result.rulebook is not None
    [problem] = missing_secrets(result.rulebook, {"OPENAI_API_KEY": "a"}, result.places)
    assert (problem.path, problem.line) == (STARTS[more], 6)
    assert problem.message.startswith("STORE is not set: the gateway does not ")
    assert missing_secrets(result.rulebook, {"OPENAI_API_KEY": "a", "STORE": "b"}) == []


def test_an_admin_listener_without_an_api_wants_the_api_token():
    rulebook = compiled("gateway: {admin: {listen: '127.0.0.1:41003'}}").rulebook
    assert rulebook is not None
    [problem] = missing_secrets(rulebook, {"OPENAI_API_KEY": "a"})
    assert problem.message.startswith("KEEPTRUSTS_API_TOKEN is not set")


def test_a_signed_target_wants_both_halves_of_its_key():
    rulebook = compiled(base=SMALLEST.replace("openai", "bedrock") + "      region: eu-central-1\n").rulebook
    assert rulebook is not None
    found = missing_secrets(rulebook, {})
    assert [problem.message.split()[0] for problem in found] == ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
