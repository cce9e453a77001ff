"""What another file means for calls, in words, and never a key."""

from keeptrusts.core.rulebook.compare import changes
from tests.core.rulebook.files import compiled

OLD = """
consumer_groups:
  - {name: marketing, api_key: kt_cg_marketing_secret_1, rate_limits: {requests_per_minute: 500}}
  - {name: sales}
spend_controls:
  - {team: search, hard_cap: 100.5}
model_groups:
  - {name: cheap, models: [{provider: openai, model: gpt-4o-mini, max_tokens: 10}]}
"""
NEW = """
consumer_groups:
  - {name: guests}
  - {name: marketing, api_key: kt_cg_marketing_secret_2, rate_limits: {requests_per_minute: 50}}
spend_controls:
  - {team: search, hard_cap: 200}
model_groups:
  - {name: cheap, models: [{provider: openai, model: gpt-4o-mini, max_tokens: 20}]}
cache: {enabled: true, ttl: 60}
"""


def told(old: str, new: str) -> list[str]:
    before, after = compiled(old).rulebook, compiled(new).rulebook
    assert before is not None
    assert after is not None
    return [change.text for change in changes(before, after)]


def test_each_thing_and_setting_that_differs_is_told_in_words():
    assert sorted(told(OLD, NEW)) == sorted(
        [
            "group sales removed",
            "group guests added",
            "group marketing: limits.requests_per_minute 500 -> 50",
            "group marketing: api_key one key -> another key",
            "model group cheap, models openai gpt-4o-mini: max_tokens 10 -> 20",
            "spend control of search monthly: hard_cap_nanos $100.5 -> $200",
            "cache.enabled off -> on",
            "cache.ttl_s 3600 s -> 60 s",
        ]
    )


def test_the_same_rules_do_not_differ_however_they_are_written():
    assert (
        told("cache: {enabled: true}\nallowed_models: [b, a]", "model_allowlist: [a, b]\ncache:\n  enabled: true") == []
    )


def test_no_key_is_told():
    assert "secret" not in "".join(told(OLD, NEW))
