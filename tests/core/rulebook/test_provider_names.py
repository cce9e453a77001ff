"""However people spell a provider, it is the same one."""

from typing import get_args

import pytest

from keeptrusts.core.providers.vendors import VENDORS
from keeptrusts.core.providers.wires import WIRES
from keeptrusts.core.rulebook.from_yaml import compile_rulebook
from keeptrusts.core.rulebook.policy_file.targets import Provider
from keeptrusts.core.rulebook.provider_names import read_compact
from keeptrusts.core.rulebook.rulebook import Rulebook


def compiled(target: str, more: str = "") -> Rulebook:
    found = compile_rulebook(f"version: '1'\nproviders: {{targets: [{target}]}}\n{more}")
    assert found.rulebook is not None, found.problems
    return found.rulebook


def problems(target: str) -> list[str]:
    found = compile_rulebook(f"version: '1'\nproviders: {{targets: [{target}]}}\n")
    return [f"{problem.code} {problem.path}" for problem in found.problems if problem.severity == "error"]


@pytest.mark.parametrize(
    ("written", "provider", "model", "secret"),
    [
        ("'openai:chat:gpt-4o'", "openai", "gpt-4o", "OPENAI_API_KEY"),
        ("'anthropic:chat:claude-3-5-sonnet-20241022'", "anthropic", "claude-3-5-sonnet-20241022", "ANTHROPIC_API_KEY"),
        ("'groq:chat:llama-3.3-70b-versatile'", "groq", "llama-3.3-70b-versatile", "GROQ_API_KEY"),
        ("'google:chat:gemini-2.5-flash'", "gemini", "gemini-2.5-flash", "GEMINI_API_KEY"),
        ("google", "gemini", None, "GEMINI_API_KEY"),
        ("xai", "xai", None, "XAI_API_KEY"),
        ("'openrouter:chat:meta/llama:free'", "openrouter", "meta/llama:free", "OPENROUTER_API_KEY"),
    ],
)
def test_a_provider_may_be_spelled_in_several_ways(written: str, provider: str, model: str | None, secret: str) -> None:
    [target] = compiled(f"{{id: t, provider: {written}}}").targets
    assert (target.provider, target.model, target.secret_env) == (provider, model, secret)


def test_a_model_of_bedrocks_keeps_its_colon() -> None:
    assert read_compact("bedrock:chat:anthropic.claude-v1:0") == ("bedrock", "anthropic.claude-v1:0")
    assert read_compact("azure-openai") == ("azure-openai", None)
    assert read_compact("openai:gpt-4o") == ("openai:gpt-4o", None)


def test_model_groups_know_the_same_spellings() -> None:
    group = "model_groups: [{name: g, models: [{provider: google, model: m}, {provider: 'openai:chat:o'}]}]"
    rules = compiled("{id: t, provider: gemini}, {id: o, provider: openai}", group)
    assert [(entry.provider, entry.model) for entry in rules.model_groups[0].models] == [
        ("gemini", "m"),
        ("openai", "o"),
    ]


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("{id: t, provider: 'openai:chat:a', model: b}", ["contradiction providers.targets[0].model"]),
        ("{id: t, provider: 'opnai:chat:a'}", ["unknown_value providers.targets[0].provider"]),
        ("{id: t, provider: ollama}", ["missing_key providers.targets[0]"]),
        ("{id: t, provider: openai, api_version: 2024-10-21}", ["contradiction providers.targets[0].api_version"]),
        ("{id: t, provider: azure, base_url: 'https://x/openai/deployments/d'}", ["missing_key providers.targets[0]"]),
        (
            "{id: t, provider: azure, base_url: 'https://x', api_version: 2024-10-21}",
            ["missing_key providers.targets[0]"],
        ),
        (
            "{id: t, provider: azure, base_url: 'https://x', api_version: soon, model: m}",
            ["bad_text providers.targets[0].api_version"],
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(target: str, told: list[str]) -> None:
    assert problems(target) == told


def test_every_vendor_may_be_named_and_asked() -> None:
    assert VENDORS.keys() < set(get_args(Provider))
    assert all(VENDORS.keys() < WIRES[door].keys() for door in ("chat", "responses", "messages", "completions"))
