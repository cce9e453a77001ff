"""The policy files that the journeys run with, as Python values: JSON is YAML, so they are written as JSON."""

import json
from pathlib import Path
from typing import Any

ENGINEERING_KEY = "kt_cg_engineering_journey1"
NARROW_KEY = "kt_cg_narrow_journey2"
BUSY_KEY = "kt_cg_busy_journey3"
CHATTY_KEY = "kt_cg_chatty_journey4"

Policy = dict[str, Any]


def enforcing(provider_url: str, api_url: str) -> Policy:
    """Wallets enforced, one OpenAI-compatible target, groups with one narrow limit each."""
    return {
        "version": "1",
        "providers": {
            "targets": [
                {
                    "id": "openai",
                    "provider": "openai",
                    "base_url": f"{provider_url}/v1",
                    "secret_key_ref": {"env": "OPENAI_API_KEY"},
                }
            ]
        },
        "consumer_groups": [
            {"name": "engineering", "api_key": ENGINEERING_KEY, "wallet_team_id": "team_engineering"},
            {
                "name": "narrow",
                "api_key": NARROW_KEY,
                "wallet_team_id": "team_narrow",
                "rate_limit": {"requests_per_minute": 3},
            },
            {
                "name": "busy",
                "api_key": BUSY_KEY,
                "wallet_team_id": "team_busy",
                "rate_limit": {"concurrent_requests": 1},
            },
            {
                "name": "chatty",
                "api_key": CHATTY_KEY,
                "wallet_team_id": "team_chatty",
                "rate_limit": {"tokens_per_minute": 200},
            },
        ],
        "model_groups": [
            {
                "name": "cost-optimized",
                "routing": "cost-priority",
                "models": [
                    {"provider": "openai", "model": "gpt-4o-mini", "max_tokens": 1000, "priority": 1},
                    {"provider": "openai", "model": "gpt-4o", "priority": 2},
                ],
            }
        ],
        "cost_tracking": {"enabled": True, "wallet_enforcement": True},
        "policies": [
            {"name": "no-hate", "type": "content_filter", "action": "flag", "config": {"categories": ["hate"]}},
        ],
        "api": {"url": api_url, "token_env": "KEEPTRUSTS_API_TOKEN"},
    }


def with_cache(policy: Policy) -> Policy:
    """The same with the exact answer cache on."""
    return {**policy, "cache": {"enabled": True, "ttl": 3600, "scope": "team"}}


def write_policy(policy: Policy, path: Path) -> Path:
    path.write_text(json.dumps(policy, indent=2), encoding="utf-8")
    return path
