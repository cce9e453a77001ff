"""A call's row has each of the event's values in its own column."""

import json

import msgspec

from keeptrusts.control.event_rows import call_row
from keeptrusts.core.calls.usage import Usage, UsageSource
from keeptrusts.core.identity.attribution import Attribution
from keeptrusts.core.ledger.attempt_row import decode_attempts
from tests.ledger_node import attempt, event


def test_every_value_stands_in_its_column() -> None:
    values = {
        "at_ns": 2,
        "latency_ms": 3,
        "key_id": "key",
        "group": "group",
        "attribution": Attribution("team", "app", "feature", "env", "project", "customer", "department", "user"),
        "provider": "provider",
        "model": "model",
        "asked_model": "asked",
        "served_model": "served",
        "status": "interrupted",
        "reason": "reason",
        "cost_nanos": 5,
        "usage": Usage(6, 7, 8, 9, 10, 11),
        "usage_source": UsageSource.COUNTED,
        "price_version": "price",
        "unpriced": True,
        "cache_hit": False,
        "saved_nanos": 12,
        "policy_actions": ("redact",),
        "request_id": "request",
        "stream": True,
        "http_status": 499,
    }
    tries = (attempt("lse_1", 5),)
    row = msgspec.structs.asdict(call_row(event("evt_1", tries, **values), "node", 13, "monthly:2026-04-01"))
    told = json.loads(row.pop("attempts"))
    assert row == {
        "event_id": "evt_1",
        "type": "call",
        "at_ns": 2,
        "node_id": "node",
        "journal_seq": 13,
        "latency_ms": 3,
        "key_id": "key",
        "consumer_group": "group",
        "team_id": "team",
        "application": "app",
        "feature": "feature",
        "environment": "env",
        "project": "project",
        "customer": "customer",
        "department": "department",
        "user_id": "user",
        "provider": "provider",
        "model": "model",
        "asked_model": "asked",
        "served_model": "served",
        "status": "interrupted",
        "reason": "reason",
        "cost_nanos": 5,
        "input_tokens": 6,
        "cache_read_tokens": 7,
        "cache_write_tokens": 8,
        "cache_write_1h_tokens": 9,
        "output_tokens": 10,
        "reasoning_tokens": 11,
        "usage_source": "counted",
        "price_version": "price",
        "unpriced": True,
        "cache_hit": False,
        "saved_nanos": 12,
        "policy_actions": '["redact"]',
        "request_id": "request",
        "stream": True,
        "http_status": 499,
        "period_key": "monthly:2026-04-01",
        "details": None,
    }
    usage = {"input": 14, "output": 25, "cache_read": 0, "cache_write": 0, "cache_write_1h": 0, "reasoning": 0}
    assert told == [{**msgspec.structs.asdict(tries[0]), "usage": usage, "usage_source": "provider"}]
    [kept] = decode_attempts(json.dumps(told))
    assert kept.usage.usage == tries[0].usage
