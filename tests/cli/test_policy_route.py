"""`kt policy route` says where calls would go, and why not elsewhere, without sending anything."""

import json

import pytest

from keeptrusts.cli.main import main

FILE = """\
version: '1'
providers:
  max_price: {output_cost_per_1k_tokens: 0.02}
  targets:
    - {id: openai, provider: openai, model: gpt-4o-mini}
    - {id: big, provider: openai, model: gpt-4o}
    - {id: claude, provider: anthropic, model: claude-opus-4-1}
    - {id: gemini, provider: gemini, model: gemini-2.5-flash}
model_groups:
  - name: chat
    aliases: [default]
    routing: weighted
    models:
      - {provider: openai, model: gpt-4o-mini, weight: 70, max_tokens: 1000}
      - {provider: gemini, model: gemini-2.5-flash, weight: 30}
      - {provider: anthropic, model: claude-opus-4-1, weight: 1}
    fallback_group: dear
  - {name: dear, targets: [big]}
consumer_groups:
  - {name: narrow, api_key: kt_cg_narrow_0123456789abcdef, allowed_models: [gpt-4o-mini]}
"""


@pytest.fixture
def route(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-x")
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    file = tmp_path / "policy-config.yaml"
    file.write_text(FILE)

    def run(*options):
        code = main(["policy", "route", "--policy-config", str(file), *options])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_the_hops_come_in_order_and_those_left_out_say_why(route):
    code, out, _ = route("--model", "default", "--max-tokens", "500")
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    assert ["1", "openai", "openai", "gpt-4o-mini", "0.00015", "/", "0.0006", "weighted,", "100", "%"] in rows
    assert ["2", "big", "openai", "gpt-4o", "0.0025", "/", "0.01", "fallback", "group", "dear"] in rows
    assert "  claude claude-opus-4-1: dearer than max_price" in out
    assert "  gemini gemini-2.5-flash: GEMINI_API_KEY is not set here" in out
    assert "Nothing was sent." in out
    assert "sk-" not in out


def test_a_call_too_large_for_a_model_goes_past_it(route):
    _, out, _ = route("--model", "chat", "--max-tokens", "5000")
    assert "  openai gpt-4o-mini: it takes max_tokens up to 1000" in out


def test_a_groups_list_of_models_counts(route):
    code, out, _ = route("--model", "chat", "--group", "narrow", "--format", "json")
    found = json.loads(out)
    assert code == 0
    assert [hop["model"] for choice in found["choices"] for hop in choice["hops"]] == ["gpt-4o-mini"]
    assert {left["why"] for left in found["left_out"]} >= {"the caller may not use this model"}


def test_what_a_door_does_not_have_is_left_out(route):
    code, out, _ = route("--model", "claude-opus-4-1", "--door", "embeddings")
    assert code == 1
    assert "no target" in out


def test_a_model_that_nobody_serves_ends_with_1_and_an_unknown_group_too(route):
    assert route("--model", "nobody")[0] == 1
    code, _, err = route("--model", "chat", "--group", "widow")
    assert code == 1
    assert "narrow" in err


def test_a_model_without_a_price_is_told_where_budgets_are_enforced(tmp_path, capsys):
    file = tmp_path / "policy-config.yaml"
    told = "such calls get 402 until somebody sets one"
    for enforced, said in (("true", True), ("false", False)):
        file.write_text(
            "version: '1'\n"
            "providers: {targets: [{id: mine, provider: openai-compatible, base_url: 'http://gpu-1/v1', model: unheard-of}]}\n"
            f"cost_tracking: {{wallet_enforcement: {enforced}}}\n"
            "api: {url: 'http://localhost:8080'}\n"
        )
        assert main(["policy", "route", "--file", str(file), "--model", "unheard-of"]) == 0
        assert (told in capsys.readouterr().out) is said
