"""The first policy file: it lints, it does what it says, and `kt up` reads from it what it needs."""

import pytest

from keeptrusts.cli.quickstart import Glance, Provider, glance, policy_text, with_api_url
from keeptrusts.core.rulebook.from_yaml import compile_rulebook

KEY = "kt_cg_abcdefghijklmnopqrstuvwxyz"
TUTORIAL = f"""\
version: '1'
providers:
  targets:
    - id: openai
      provider: openai
      secret_key_ref:
        env: OPENAI_API_KEY
consumer_groups:
  - name: engineering
    api_key: {KEY}
    wallet_team_id: team_engineering
api:
  url: http://localhost:8080
  token_env: KEEPTRUSTS_API_TOKEN
"""


@pytest.mark.parametrize("provider", ["openai", "simulated"])
def test_the_file_compiles_without_a_problem(provider: Provider) -> None:
    compiled = compile_rulebook(policy_text(provider, KEY, "http://localhost:9090"))
    assert compiled.problems == ()
    rules = compiled.rulebook
    assert rules is not None
    assert [target.provider for target in rules.targets] == [provider]
    [group] = rules.groups
    assert (group.name, group.api_key, group.wallet_team_id) == ("quickstart", KEY, "team_quickstart")
    assert rules.wallet_enforcement
    assert [(it.percent, it.action) for it in rules.thresholds] == [
        (50, "notify"),
        (80, "notify"),
        (95, "notify"),
        (100, "block"),
    ]
    assert rules.api is not None
    assert (rules.api.url, rules.api.token_env) == ("http://localhost:9090", "KEEPTRUSTS_API_TOKEN")


def test_a_simulated_model_has_a_price_whatever_its_name() -> None:
    """Under enforcement a model without a price is refused: a newcomer's first call must not be."""
    rules = compile_rulebook(policy_text("simulated", KEY, "http://localhost:8080")).rulebook
    assert rules is not None
    assert rules.targets[0].price is not None


def test_the_simulated_file_says_how_to_switch() -> None:
    text = policy_text("simulated", KEY, "http://localhost:8080")
    assert "export OPENAI_API_KEY" in text
    lines = text.splitlines()
    start = lines.index("    # - id: openai")
    end = next(number for number in range(start, len(lines)) if lines[number].startswith("    - id: simulated"))
    after = lines.index("consumer_groups:")
    switched = [*lines[:start], *(line.replace("# ", "", 1) for line in lines[start:end]), *lines[after:]]
    compiled = compile_rulebook("\n".join(switched))
    assert compiled.problems == ()
    assert compiled.rulebook is not None
    assert compiled.rulebook.targets[0].secret_env == "OPENAI_API_KEY"


def test_a_glance_at_our_own_files_and_the_tutorials() -> None:
    assert glance(policy_text("simulated", KEY, "http://localhost:1")) == Glance(KEY, "http://localhost:1", True)
    assert glance(policy_text("openai", KEY, "http://localhost:1")) == Glance(KEY, "http://localhost:1", False)
    assert glance(TUTORIAL) == Glance(KEY, "http://localhost:8080", False)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("version: '1'\n", Glance(None, None, False)),
        ("api: # ours\n\n  token_env: X\n  url: 'http://h:1' # there\n", Glance(None, "http://h:1", False)),
        ("other:\n  url: http://no\napi:\n  token_env: X\n", Glance(None, None, False)),
        ('consumer_groups:\n- {name: a}\n- name: b\n  api_key: "k-1" # b\'s\n', Glance("k-1", None, False)),
        ("- provider: simulated\n- provider: openai\n", Glance(None, None, False)),
    ],
)
def test_a_glance_at_other_peoples_files(text: str, seen: Glance) -> None:
    assert glance(text) == seen


def test_the_key_does_not_show_in_a_repr() -> None:
    assert KEY not in repr(glance(TUTORIAL))


def test_another_api_address_changes_that_line_alone() -> None:
    changed = with_api_url(TUTORIAL, "http://localhost:9090")
    assert changed == TUTORIAL.replace("http://localhost:8080", "http://localhost:9090")
