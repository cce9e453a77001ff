"""The policy file that `kt init` writes: small, commented, sound, and with keys of its own."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

PROVIDERS: Mapping[str, str] = {
    "openai": """\
    - id: openai
      provider: openai
      secret_key_ref: {env: OPENAI_API_KEY} # the variable that holds the key; the key itself never stands here
""",
    "anthropic": """\
    - id: anthropic
      provider: anthropic
      secret_key_ref: {env: ANTHROPIC_API_KEY}
""",
    "gemini": """\
    - id: gemini
      provider: gemini
      secret_key_ref: {env: GEMINI_API_KEY}
""",
    "openai-compatible": """\
    - id: local # vLLM, Ollama, or any other server that speaks OpenAI's dialect
      provider: openai-compatible
      base_url: http://localhost:8000/v1
""",
    "simulated": """\
    - id: simulated # answers are made up inside the gateway: no key, no network, nothing is paid
      provider: simulated
      simulated: {latency_ms: 200}
      pricing: {input_cost_per_1k_tokens: 0.00015, output_cost_per_1k_tokens: 0.0006} # so that budgets move
""",
}
"""What can be asked for, and the target that it becomes."""

VARIABLES: Mapping[str, str] = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "gemini": "GEMINI_API_KEY",
}
TEAM = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
TEAM_RULE = "a team's name has small letters, digits, - and _"

HEAD = """\
# What this gateway may call, who may call it, and what they may spend.
# Check it: kt policy lint --file {file}    Every key: docs/reference/policy-file.md
version: '1'

# Where calls go. Several targets may stand here; a call's model decides, or a model group.
providers:
  targets:
"""

GROUPS = """
# Who calls. The key goes into X-Consumer-Group, or is a bearer token; keys for people and services: kt tokens create.
consumer_groups:
"""

GROUP = """\
  - name: {team}
    api_key: {key}
    wallet_team_id: team_{team}
    # allowed_models: [gpt-4o-mini]
    rate_limits: {{requests_per_minute: 600}}
"""

BUDGETS = """
# Costs are counted, and a team's budget is its limit: a call that does not fit is refused before it is sent.
cost_tracking:
  enabled: true
  wallet_enforcement: true

# At which share of a budget people are told.
budget_alerts:
  - {threshold_percent: 80, action: notify}
  - {threshold_percent: 100, action: block}
"""

COUNTED = """
# Costs are counted. With `wallet_enforcement: true` and `api`, budgets are limits too.
cost_tracking:
  enabled: true
"""

API = """
# Where budgets and events are kept (kt up, kt api run), and the variable that holds the token for it.
api:
  url: {url}
  token_env: KEEPTRUSTS_API_TOKEN
"""

MORE = """
# More to switch on:
# cache: {enabled: true, ttl: 3600} # equal calls are answered again for nothing
# policies:
#   - {name: no-hate, type: content_filter, action: block, config: {categories: [hate]}}
"""


@dataclass(frozen=True, slots=True)
class Starter:
    """What the file is to hold. ``api_url`` None: the gateway runs alone, and nothing is enforced."""

    providers: Sequence[str]
    teams: Sequence[str]
    api_url: str | None


def starter_text(starter: Starter, file: str, new_key: Callable[[], str]) -> str:
    """The file's text; ``new_key`` draws a group's key."""
    parts = [HEAD.format(file=file), *(PROVIDERS[name] for name in starter.providers), GROUPS]
    parts += [GROUP.format(team=team, key=new_key()) for team in starter.teams]
    parts += [COUNTED] if starter.api_url is None else [BUDGETS, API.format(url=json.dumps(starter.api_url))]
    return "".join([*parts, MORE])


def next_steps(starter: Starter, file: str, budget_usd: str | None, set_variables: Mapping[str, str]) -> list[str]:
    """What to type next."""
    steps = [
        f"  export {VARIABLES[name]}=..."
        for name in starter.providers
        if name in VARIABLES and not set_variables.get(VARIABLES[name])
    ]
    if starter.api_url is None:
        return [*steps, f"  kt gateway run --policy-config {file}"]
    steps.append(f"  kt up --policy-config {file}")
    amount = budget_usd or "25"
    return [*steps, *(f"  kt wallets allocate --team team_{team} --amount {amount}" for team in starter.teams)]
