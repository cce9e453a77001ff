"""``/metrics``: this process for Prometheus. Everything is read when it is scraped, but for what ``call_counts.py`` counts.

Names of teams, models, targets and providers are labels; those of keys, users and prompts never are.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from keeptrusts import __version__
from keeptrusts.core.money import NANOS_PER_USD
from keeptrusts.gateway.call_counts import NS_PER_S, OWN_SECONDS, SECONDS, CallCounts, Row
from keeptrusts.gateway.exposition import (
    CONTENT_TYPE,
    Family,
    Sample,
    by_label,
    counter,
    families_of,
    gauge,
    histogram_samples,
    text_of,
)
from keeptrusts.gateway.node import Node
from keeptrusts.gateway.observed import fingerprint, resident_bytes
from keeptrusts.gateway.target_state import TargetState

PREFIX = "keeptrusts_gateway_"


async def metrics_part(node: Node, body: bytes) -> list[Family]:
    """The families of this process."""
    del body
    families: list[Family] = []
    for source in SOURCES:
        families += source(node)
        # Many kinds of calls make many lines: calls under way have their turn between them.
        await asyncio.sleep(0)
    return families


def write_metrics(parts: Mapping[str, Any]) -> tuple[int, bytes, bytes]:
    """The text of all processes. A worker that did not answer is counted, and lacks."""
    silent = sum(part is None for part in parts.values())
    known = {"": [gauge(f"{PREFIX}workers_silent", "Workers that did not answer this scrape", silent)]}
    for worker, part in parts.items():
        if part is not None:
            known[worker] = known.get(worker, []) + families_of(part)
    return 200, b"content-type: %b\r\n" % CONTENT_TYPE, text_of(known).encode()


def _calls(node: Node) -> Iterator[Family]:
    counts = node.observed.counts
    requests = []
    for (door, status, provider, model, team), row in counts.rows.items():
        labels = (
            ("door", door), ("provider", provider or ""), ("model", model), ("team", team or ""), ("status", status),
        )  # fmt: skip
        requests.append(Sample(labels, sum(row.buckets)))
    yield Family(f"{PREFIX}requests_total", "counter", "Calls that ended, each once", tuple(requests))
    yield Family(f"{PREFIX}tokens_total", "counter", "Tokens, each counted once", tuple(_tokens(counts)))
    yield _usd("cost_usd_total", "What calls cost, in USD", counts, lambda row: row.cost_nanos)
    yield _usd("cache_saved_usd_total", "What answers from the cache would have cost", counts, lambda r: r.saved_nanos)
    yield _by_model("retries_total", "Further attempts of calls", counts, lambda row: row.retries)
    yield _by_model("unpriced_requests_total", "Calls whose model has no price", counts, lambda row: row.unpriced)


def _tokens(counts: CallCounts) -> Iterator[Sample]:
    sums: dict[tuple[str, str, str, str], int] = {}
    for (_, _, provider, model, team), row in counts.rows.items():
        said = (
            ("input", row.input_tokens), ("cached_input", row.cached_tokens),
            ("cache_write", row.cache_write_tokens), ("output", row.output_tokens),
        )  # fmt: skip
        for direction, tokens in said:
            if tokens:
                key = direction, provider or "", model, team or ""
                sums[key] = sums.get(key, 0) + tokens
    for (direction, provider, model, team), tokens in sums.items():
        yield Sample((("direction", direction), ("provider", provider), ("model", model), ("team", team)), tokens)


def _summed(counts: CallCounts, of: Callable[[Row], int]) -> dict[tuple[str, str, str], int]:
    sums: dict[tuple[str, str, str], int] = {}
    for (_, _, provider, model, team), row in counts.rows.items():
        if amount := of(row):
            key = provider or "", model, team or ""
            sums[key] = sums.get(key, 0) + amount
    return sums


def _usd(name: str, text: str, counts: CallCounts, of: Callable[[Row], int]) -> Family:
    samples = [
        Sample((("provider", provider), ("model", model), ("team", team)), nanos / NANOS_PER_USD)
        for (provider, model, team), nanos in _summed(counts, of).items()
    ]
    return Family(PREFIX + name, "counter", text, tuple(samples))


def _by_model(name: str, text: str, counts: CallCounts, of: Callable[[Row], int]) -> Family:
    sums: dict[tuple[str, str], int] = {}
    for (provider, model, _), amount in _summed(counts, of).items():
        sums[provider, model] = sums.get((provider, model), 0) + amount
    samples = [Sample((("provider", provider), ("model", model)), n) for (provider, model), n in sums.items()]
    return Family(PREFIX + name, "counter", text, tuple(samples))


def _durations(node: Node) -> Iterator[Family]:
    counts = node.observed.counts
    sums: dict[tuple[str, str], tuple[list[int], int]] = {}
    for (door, _, provider, _, _), row in counts.rows.items():
        buckets, total_ns = sums.get((provider or "", door), ([0] * len(row.buckets), 0))
        sums[provider or "", door] = [a + b for a, b in zip(buckets, row.buckets, strict=True)], total_ns + row.total_ns
    samples: list[Sample] = []
    for (provider, door), (buckets, total_ns) in sums.items():
        labels = (("provider", provider), ("door", door))
        samples += histogram_samples(labels, SECONDS, buckets, total_ns / NS_PER_S)
    yield Family(f"{PREFIX}request_duration_seconds", "histogram", "From a call to its end", tuple(samples))
    first = counts.first_bytes
    samples = list(histogram_samples((), SECONDS, first.buckets, first.total_ns / NS_PER_S))
    text = "From a streamed call to the first bytes that its client got"
    yield Family(f"{PREFIX}time_to_first_byte_seconds", "histogram", text, tuple(samples))
    own = counts.own
    samples = list(histogram_samples((), OWN_SECONDS, own.buckets, own.total_ns / NS_PER_S))
    text = "What calls spent in the gateway: all of their time but that of their providers"
    yield Family(f"{PREFIX}overhead_seconds", "histogram", text, tuple(samples))


def _noes(node: Node) -> Iterator[Family]:
    counts = node.observed.counts
    text = "Calls that were refused, those without a known key too"
    yield by_label(f"{PREFIX}refusals_total", "counter", text, "reason", counts.refusals)
    limits = [Sample((("limit", limit), ("scope", scope)), n) for (limit, scope), n in counts.limits.items()]
    yield Family(f"{PREFIX}limit_refusals_total", "counter", "Calls that a limit refused", tuple(limits))
    text = "What policies did, as events name it"
    yield by_label(f"{PREFIX}policy_actions_total", "counter", text, "action", counts.policies)
    failed = [Sample((("target", t), ("outcome", outcome)), n) for (t, outcome), n in counts.failed_attempts.items()]
    text = "Attempts that got no good answer, by how their hold ended"
    yield Family(f"{PREFIX}failed_attempts_total", "counter", text, tuple(failed))


def _targets(node: Node) -> Iterator[Family]:
    now = node.loop.time()
    states = {name: ready.state for name, ready in node.targets.ready.items()}
    usable = {name: float(state.admits(now)) for name, state in states.items()}
    yield by_label(f"{PREFIX}target_up", "gauge", "1: calls are sent there; 0: it rests", "target", usable)
    for name, kind, text, of in TARGET_FIGURES:
        yield by_label(PREFIX + name, kind, text, "target", {target: of(state) for target, state in states.items()})


def _money(node: Node) -> Iterator[Family]:
    free: dict[str, float] = {}
    held: dict[str, float] = {}
    waiting = 0
    for account in node.treasury.purse.accounts.values():
        waiting += len(account.waiters)
        held[account.team_id] = held.get(account.team_id, 0) + account.held_nanos / NANOS_PER_USD
        at_hand = 0 if account.lease is None else account.lease.free
        free[account.team_id] = free.get(account.team_id, 0) + at_hand / NANOS_PER_USD
    yield by_label(f"{PREFIX}lease_free_usd", "gauge", "Leased and not held", "team", free)
    yield by_label(f"{PREFIX}lease_held_usd", "gauge", "Held for calls under way", "team", held)
    yield gauge(f"{PREFIX}calls_waiting_for_money", "Calls that wait for a grant", waiting)
    yield gauge(f"{PREFIX}calls_held", "Calls that wait for an approver", len(node.waiting_room))


def _cache(node: Node) -> Iterator[Family]:
    cache = node.answers.cache
    yield gauge(f"{PREFIX}cache_entries", "Answers that are kept in this process", len(cache))
    yield gauge(f"{PREFIX}cache_bytes", "What they take", cache.bytes)


def _journal(node: Node) -> Iterator[Family]:
    journal = node.journal
    yield gauge(f"{PREFIX}journal_failed", "1: the journal can't be written", float(journal.failure is not None))
    yield counter(f"{PREFIX}journal_records_total", "Records written", journal.next_seq - 1)
    if node.link_age_s is not None:
        yield gauge(f"{PREFIX}journal_backlog_bytes", "Not yet with the control plane", journal.unshipped_bytes)
        yield gauge(
            f"{PREFIX}journal_backlog_max_bytes", "More, and no call is admitted", node.rulebook.max_journal_bytes
        )
        yield gauge(f"{PREFIX}journal_backlog_records", "Not yet with the control plane", node.unshipped_records)
        yield gauge(f"{PREFIX}link_age_seconds", "Since the control plane last answered", node.link_age_s)
        yield gauge(f"{PREFIX}link_age_max_seconds", "Older, and no call is served", node.rulebook.max_stale_s)


def _process(node: Node) -> Iterator[Family]:
    observed = node.observed
    info = (("version", __version__), ("node", node.node_id), ("config", fingerprint(node.rulebook)))
    yield Family(f"{PREFIX}info", "gauge", "Always 1: which build runs, on which rules", (Sample(info, 1),))
    yield gauge(f"{PREFIX}ready", "1: calls are served", float(node.ready))
    yield gauge(f"{PREFIX}requests_in_flight", "Requests being served, this one included", observed.in_flight())
    yield gauge(f"{PREFIX}uptime_seconds", "Since the process began", observed.uptime_s)
    yield gauge(f"{PREFIX}loop_lag_seconds", "The worst of the event loop since the last scrape", observed.take_lag_s())
    text = "Calls that the access log or the trace collector did not get"
    yield counter(f"{PREFIX}telemetry_dropped_total", text, observed.dropped())
    yield gauge(f"{PREFIX}resident_memory_bytes", "The process's memory", resident_bytes())


TARGET_FIGURES: tuple[tuple[str, Literal["counter", "gauge"], str, Callable[[TargetState], float]], ...] = (
    ("target_attempts_total", "counter", "Attempts that were sent", lambda state: state.begun),
    ("target_failures_total", "counter", "Attempts that the target failed", lambda state: state.failed),
    ("target_rate_limited_total", "counter", "Attempts that met the target's own limit", lambda state: state.limited),
    ("target_in_flight", "gauge", "Attempts under way", lambda state: state.in_flight),
)
SOURCES: tuple[Callable[[Node], Iterator[Family]], ...] = (
    _calls,
    _durations,
    _noes,
    _targets,
    _money,
    _cache,
    _journal,
    _process,
)
