"""`events.md`: the fields of an event and the questions that the ledger answers, from the tables that render them."""

from collections.abc import Mapping
from typing import get_args

import msgspec

from keeptrusts.control.event_query import TYPES
from keeptrusts.core.calls.usage import UsageSource
from keeptrusts.core.ledger.records import AttemptOutcome, CallStatus
from keeptrusts.core.metering import totals
from keeptrusts.core.metering.aggregates import QUESTIONS
from keeptrusts.core.metering.csv_text import DEFAULT_FIELDS
from keeptrusts.core.metering.dimensions import FILTERS, GROUP_NAMES, INTERVALS
from keeptrusts.core.metering.event_row import EventRow
from keeptrusts.core.metering.instants import FORMS
from keeptrusts.core.metering.rendering import ALERT_FIELDS, CALL_FIELDS, INNER_FIELDS, Names, told
from writers.markdown import code, joined, opening, prose, table

INTRODUCTION = """\
Every call that a known key makes leaves exactly one event, whatever becomes of it: served, refused, blocked, broken off. Events are only
added, never changed. A call without a known key leaves none, nor does one that a gateway can't take at all ([errors.md](errors.md) says which).
`GET /v1/events` reads them ([api.md](api.md#get-v1events)), `kt events` prints them ([cli.md](cli.md#kt-events-list))."""

ORDER = """\
Newest recorded first, unless `order=asc`. Rows are numbered as they are recorded, so that paging neither repeats nor skips one; `timestamp` is when
the call came in, and may stand in another order."""

MEANINGS: Mapping[str, tuple[str, str]] = {
    "id": ("text", "Of the event and the call: `evt_...`, sorts by time."),
    "type": ("text", "`call` or `budget_alert`."),
    "timestamp": ("time", "When the call came in, UTC, to the millisecond."),
    "status": ("text", "How it ended: see below."),
    "reason": (
        "text, null",
        "The code of the refusal ([errors.md](errors.md)), why an answer ended early, or why it cost nothing (`idempotent_replay`, `semantic_hit`).",
    ),
    "gateway_key": ("text, null", "Id of the issued key (`tok_...`); null when a group's key was used."),
    "gateway_key_name": ("text, null", "The key's name."),
    "consumer_group": ("text, null", "The group that called, or that the key belongs to."),
    "team": ("text, null", "The team's name for people."),
    "team_id": ("text, null", "Whose wallet pays."),
    "user_id": ("text, null", "The user that the key is bound to, or that the call named."),
    "application": (
        "text, null",
        "A dimension that the key or group is bound to, or that the call named where it may; the six below likewise.",
    ),
    "feature": ("text, null", ""),
    "environment": ("text, null", ""),
    "project": ("text, null", ""),
    "customer": ("text, null", ""),
    "department": ("text, null", ""),
    "cost_center": ("text, null", "No filter and no sums go by it."),
    "provider": ("text, null", "Who was asked; null when nobody was."),
    "model": ("text, null", "The model that was asked of the provider. Prices go by it."),
    "asked_model": ("text, null", "What the client wrote: a model, or the name of a model group."),
    "served_model": ("text, null", "What the provider says it used."),
    "tokens_input": ("number", "All input, cached or not."),
    "tokens_output": ("number", "All output."),
    "tokens_cached": ("number", "The part of the input that the provider read from its cache."),
    "tokens_cache_write": ("number", "The part of the input that the provider wrote to its cache."),
    "tokens_reasoning": ("number", "The part of the output that was not shown."),
    "usage": ("object", "The same as OpenAI counts: `prompt_tokens`, `completion_tokens`, `total_tokens`."),
    "usage_other": (
        "object or null",
        "What was used beside words, by name: tokens of sound and pictures (they are parts of the counts above), pictures, characters, milliseconds of sound, tools that ran at the provider, a service tier.",
    ),
    "usage_source": ("text", "Where the counts are from: see below."),
    "cost": ("USD, null", "What the call cost, over all its attempts; null when there was none."),
    "cost_usd": ("USD, null", "The same as `cost`."),
    "saved": ("USD", "What a cached answer cost when it was bought."),
    "unpriced": (
        "true or false",
        "The model had no price, and the cost is recorded as 0; or something beside words had none, and the cost is the hold.",
    ),
    "price_version": ("text, null", "The version of the price that made the cost."),
    "latency_ms": ("number", "Until the answer was complete, from the moment the call came in."),
    "cache_hit": ("true or false", "Answered from the cache."),
    "policy_actions": ("list", "What policies found, as `content_flagged:hate`."),
    "attempts": (
        "list",
        "Each try at a target: target, why it was `chosen`, outcome, status, hold, cost, usage, lease, and `provider_request_id`: what the provider calls it, for its support.",
    ),
    "request_id": ("text", "The client's `x-request-id`, or ours."),
    "stream": ("true or false", "A stream was asked for."),
    "http_status": ("number", "What the client got; 0 when a crash left it unknown."),
    "gateway_id": ("text", "The node that served it."),
    "period": ("text, null", "The wallet period that paid, as `monthly:2026-11-01`."),
    "ticket": ("text, null", "The ticket that the call was held with for an approver, by a budget or a policy."),
}

STATUSES: Mapping[CallStatus, str] = {
    "ok": "Answered.",
    "cached": "Answered from the cache; cost 0.",
    "blocked": "A budget or a policy said no.",
    "refused": "A limit, a right, a bad request, or the gateway's own state said no.",
    "upstream_error": "The provider failed, or refused what the client sent.",
    "interrupted": "The answer broke off before its end.",
    "recovered": "The gateway crashed during the call; the row was made from its journal.",
}

SOURCES: Mapping[UsageSource, str] = {
    UsageSource.PROVIDER: "The provider said so.",
    UsageSource.COUNTED: "Counted by the gateway: the answer was complete, but the provider did not say what it used.",
    UsageSource.WORST_CASE: "Nobody knows: the hold was posted as the cost.",
    UsageSource.NONE: "Nothing was used.",
}

OUTCOMES: Mapping[AttemptOutcome, str] = {
    "settled": "The provider answered, and its usage made the cost.",
    "void": "Nothing was billed; the hold went back.",
    "indeterminate": "Sent, and no usable answer came: the hold was posted as the cost.",
}

ALERTS = """\
A budget alert is an event of `type: budget_alert`, written once per wallet period and threshold. Lists and sums leave alerts out unless
`type=budget_alert` or `type=all` asks for them. An alert has these fields, and then `threshold_percent` (or `threshold`: `soft_cap` or
`hard_cap`), `action`, `budget`, `spent`, and for caps `limit`."""

SUMS = """\
`aggregate` asks one of the questions below. `group_by` (several with commas) and `interval` ask in general; their rows stand under `groups`.
Both go with every filter, with `since` and `until`, and with `format=csv`."""


def page() -> str:
    """The whole page. Raises KeyError for a field or a word that nobody has explained here."""
    fields = [(code(name), *MEANINGS[name]) for name in CALL_FIELDS]
    assert set(MEANINGS) == set(CALL_FIELDS), f"explained, but not a field: {set(MEANINGS) - set(CALL_FIELDS)}"
    questions = [
        (
            code(name),
            ", ".join(map(code, question.by)) or "everything",
            code(question.interval) if question.interval else "",
            code(question.rows) if question.rows else "one object",
            "tier of the spend" * question.tier + "rates beside limits, instead of sums" * question.rates,
        )
        for name, question in QUESTIONS.items()
    ]
    return joined(
        [
            *opening("Events", INTRODUCTION, "## Fields of a call", ORDER),
            table(("Field", "Value", "Meaning"), fields),
            f"Inner fields that `fields` may name too: {_listed(INNER_FIELDS)}.",
            f"A CSV holds, unless fields are named: {_listed(DEFAULT_FIELDS)}.",
            *_words("Status", "status", {name: STATUSES[name] for name in get_args(CallStatus)}),
            *_words("Where usage is from", "usage_source", {name.value: SOURCES[name] for name in UsageSource}),
            *_words("How an attempt ended", "attempts[].outcome", {n: OUTCOMES[n] for n in get_args(AttemptOutcome)}),
            *["## Budget alerts", ALERTS, f"Fields: {_listed(ALERT_FIELDS)}."],
            *["## Filters", f"Exact values: {_listed(FILTERS)}; `unassigned` means: those without one."],
            "`gateway_key` also takes a key's name or hint, `team` a team's name or id.",
            f"`type`: {_listed(TYPES)}. `since` and `until`: {FORMS}.",
            *["## Sums", SUMS],
            table(("Question", "Grouped by", "Split by", "Rows under", "Besides"), questions),
            f"`group_by` takes {_listed(GROUP_NAMES)}; `interval` takes {_listed(INTERVALS)} (in UTC).",
            f"Each row has {_listed(totals.figures(totals.Totals()))}.",
            prose((totals.__doc__ or "").partition("\n\n")[2]),
            *["## An example", f"```json\n{_example()}\n```"],
        ]
    )


def _words(heading: str, field: str, meanings: Mapping[str, str]) -> list[str]:
    rows = [(code(word), meaning) for word, meaning in meanings.items()]
    return [f"## {heading}", table((code(field), "Meaning"), rows)]


def _listed(names: Mapping[str, object] | tuple[str, ...]) -> str:
    return ", ".join(map(code, names))


def _example() -> str:
    """One call, told by the code that tells all of them."""
    row = msgspec.convert(EXAMPLE, EventRow)
    event = told(row, Names({"team_search": "search"}, {}))
    return msgspec.json.format(msgspec.json.Encoder(decimal_format="number").encode(event), indent=2).decode()


EXAMPLE = {
    "event_id": "evt_019a8c3fd2e07kq1m9xz000001",
    "type": "call",
    "at_ns": 1_775_044_800_123_000_000,
    "node_id": "nod_0mn4c2k9xq7w1v5t8r3y6u",
    "journal_seq": 3,
    "latency_ms": 812,
    "key_id": None,
    "consumer_group": "search",
    "team_id": "team_search",
    "application": "site-search",
    "feature": None,
    "environment": "production",
    "project": None,
    "customer": None,
    "department": None,
    "user_id": None,
    "provider": "openai",
    "model": "gpt-4o-mini",
    "asked_model": "gpt-4o-mini",
    "served_model": "gpt-4o-mini-2024-07-18",
    "status": "ok",
    "reason": None,
    "cost_nanos": 17_100,
    "input_tokens": 14,
    "cache_read_tokens": 0,
    "cache_write_tokens": 0,
    "cache_write_1h_tokens": 0,
    "output_tokens": 25,
    "reasoning_tokens": 0,
    "usage_other": None,
    "usage_source": "provider",
    "price_version": "prc_0mn4c2k9x0000000000000000",
    "unpriced": False,
    "cache_hit": False,
    "saved_nanos": 0,
    "policy_actions": "[]",
    "attempts": "[]",
    "request_id": "req_019a8c3fd2e07kq1m9xz000001",
    "stream": False,
    "http_status": 200,
    "period_key": "monthly:2026-04-01",
    "details": None,
}
