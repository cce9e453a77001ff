"""`kt up --demo`: sample teams with budgets and keys, so that spend and events show life. Nothing here costs money."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from keeptrusts.cli.api_client import Api
from keeptrusts.cli.home_dir import write_private
from keeptrusts.cli.wallet_view import list_wallets

KEYS_FILE = "demo-keys.json"


@dataclass(frozen=True, slots=True)
class DemoKey:
    """A key that the sample traffic calls with. ``models`` is what it may call."""

    name: str
    team_id: str
    application: str
    feature: str
    environment: str
    models: tuple[str, ...]
    rate_limit: int


BUDGETS: dict[str, Decimal] = {
    "team_search": Decimal("0.02"),
    "team_support": Decimal("0.005"),
    "team_analytics": Decimal("0.002"),
    "team_platform": Decimal("0.00015"),
}
"""USD a month: tiny, so that they move while one looks. The platform team's is soon used up, and its calls are blocked."""

KEYS = (
    DemoKey("demo-search-prod", "team_search", "search", "ranking", "production", ("gpt-4o-mini",), 5_000),
    DemoKey("demo-search-dev", "team_search", "search", "summaries", "development", ("gpt-4o-mini", "gpt-4o"), 500),
    DemoKey(
        "demo-support-bot", "team_support", "support-bot", "answers", "production", ("gpt-4o-mini", "gpt-4o"), 5_000
    ),
    DemoKey("demo-analytics", "team_analytics", "reports", "weekly-digest", "production", ("gpt-4o",), 500),
    DemoKey("demo-platform", "team_platform", "ci-assistant", "reviews", "sandbox", ("gpt-4o-mini",), 100),
)


def prepare_demo(api: Api, home: Path) -> Path:
    """Gives the sample teams budgets and keys where they have none yet; returns the private file that holds the keys."""
    known = {wallet.team_id for wallet in list_wallets(api)}
    for team_id, amount in BUDGETS.items():
        if team_id not in known:
            api.post("wallets/allocate", {"team_id": team_id, "amount": amount, "description": "kt up --demo"})
    file = home / KEYS_FILE
    secrets = kept_keys(file)
    missing = [key for key in KEYS if key.name not in secrets]
    if missing:
        write_private(file, json.dumps(secrets | _issued(api, missing), indent=2) + "\n")
    return file


def kept_keys(file: Path) -> dict[str, str]:
    """The secrets by key name; none when the file is not there or no longer readable."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(secret) for name, secret in kept.items()} if isinstance(kept, dict) else {}


def _issued(api: Api, keys: Sequence[DemoKey]) -> dict[str, str]:
    return {
        key.name: api.post(
            "tokens",
            {
                "token_type": "gateway",
                "name": key.name,
                "description": "sample traffic of kt up --demo",
                "team_id": key.team_id,
                "rate_limit": key.rate_limit,
                "allowed_models": list(key.models),
                "attribution": {
                    "application": key.application,
                    "feature": key.feature,
                    "environment": key.environment,
                },
            },
        )["token"]
        for key in keys
    }
