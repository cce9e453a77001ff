"""The policy file that a first `kt up` writes, and what can be told from such a file at a glance."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

GROUP = "quickstart"
TEAM_ID = "team_quickstart"
BUDGET_USD = 25
MODEL = "gpt-4o-mini"

Provider = Literal["openai", "simulated"]

TARGETS: Mapping[Provider, str] = {
    "openai": """\
    - id: openai
      provider: openai
      secret_key_ref:
        env: OPENAI_API_KEY
""",
    "simulated": """\
    # Answers are made up inside the gateway: no key, no network. To call OpenAI instead, export OPENAI_API_KEY and
    # put these lines in the place of the target below:
    # - id: openai
    #   provider: openai
    #   secret_key_ref:
    #     env: OPENAI_API_KEY
    - id: simulated
      provider: simulated
      pricing: # the same for every model, so that budgets move
        input_cost_per_1k_tokens: 0.00015
        output_cost_per_1k_tokens: 0.0006
      simulated:
        latency_ms: 200
""",
}

TEMPLATE = """\
# Written by the first `kt up`; yours to change. Check it with: kt policy lint --file THIS_FILE
version: '1'
providers:
  targets:
{targets}consumer_groups:
  - name: {group}
    api_key: {key}
    wallet_team_id: {team_id}
cost_tracking:
  enabled: true
  wallet_enforcement: true
budget_alerts:
  - threshold_percent: 50
    action: notify
  - threshold_percent: 80
    action: notify
  - threshold_percent: 95
    action: notify
  - threshold_percent: 100
    action: block
api:
  url: {api_url}
  token_env: KEEPTRUSTS_API_TOKEN
"""

KEY = re.compile(r"""^[ \t-]*api_key:[ \t]*["']?([A-Za-z0-9_-]+)["']?[ \t]*(?:#.*)?$""", re.MULTILINE)
API_URL = re.compile(r"""^(api:[^\n]*\n(?:(?:[ \t][^\n]*)?\n)*?[ \t]+url:[ \t]*["']?)([^\s"'#]+)""", re.MULTILINE)
PROVIDER = re.compile(r"""^[ \t-]*provider:[ \t]*["']?([A-Za-z0-9_-]+)["']?[ \t]*(?:#.*)?$""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Glance:
    """What `kt up` tells about a policy file. Reading it in full is the gateway's work; None: not seen at a glance.

    ``simulated``: every provider that it names is the simulated one, so that no call leaves or costs anything.
    """

    key: str | None = field(repr=False)
    api_url: str | None
    simulated: bool


def policy_text(provider: Provider, key: str, api_url: str) -> str:
    """A policy file with one target and one group, budgets enforced as in the tutorial."""
    return TEMPLATE.format(targets=TARGETS[provider], group=GROUP, key=key, team_id=TEAM_ID, api_url=api_url)


def glance(text: str) -> Glance:
    """The first group's key, where the API is expected, and whether its targets are simulated."""
    key, api_url = KEY.search(text), API_URL.search(text)
    simulated = set(PROVIDER.findall(text)) == {"simulated"}
    return Glance(key[1] if key else None, api_url[2] if api_url else None, simulated)


def with_api_url(text: str, api_url: str) -> str:
    """The same file, expecting the API at another address."""
    return API_URL.sub(lambda found: found[1] + api_url, text, count=1)
