"""``/metrics``: this process for Prometheus. Everything is read when it is scraped, but for what ``call_counts.py`` counts.

Names of teams, models, targets and providers are labels; those of keys, users and prompts never are.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct

from keeptrusts import __version__
from keeptrusts.core.money import NANOS_PER_USD
from keeptrusts.gateway.call_counts import NS_PER_S, OWN_SECONDS, SECONDS
from keeptrusts.gateway.call_families import CallFigures, call_families, figures_of
from keeptrusts.gateway.exposition import (
    CONTENT_TYPE,
    PREFIX,
    Family,
    Labels,
    Sample,
    by_label,
    counter,
    gauge,
    histogram_samples,
    text_of,
)
from keeptrusts.gateway.node import Node
from keeptrusts.gateway.observed import fingerprint, resident_bytes
from keeptrusts.gateway.target_state import TargetState

_ACTION = re.compile(r"(.+)_((?:flagged|redacted|blocked|escalated|failed)(?:_shadow)?)")


class MetricsPart(Struct, frozen=True):
    """What one process says. The families of its calls are made of ``calls`` where the scrape is written: there may be
    thousands of lines of them, and this process has calls to serve."""

    calls: list[CallFigures]
    families: list[Family]


async def metrics_part(node: Node, body: bytes) -> MetricsPart:
    """This process's part."""
    del body
    families = [family for source in SOURCES for family in source(node)]
    return MetricsPart(figures_of(node.observed.counts), families)


def write_metrics(parts: Mapping[str, Any]) -> tuple[int, bytes, bytes]:
    """The text of all processes. A worker that did not answer is counted, and lacks."""
    silent = sum(part is None for part in parts.values())
    known = {"": [gauge(f"{PREFIX}workers_silent", "Workers that did not answer this scrape", silent)]}
    for worker, part in parts.items():
        if part is not None:
            said = msgspec.convert(part, MetricsPart)
            known[worker] = [*known.get(worker, []), *call_families(said.calls), *said.families]
    return 200, b"content-type: %b\r\n" % CONTENT_TYPE, text_of(known).encode()


def _times(node: Node) -> Iterator[Family]:
    counts = node.observed.counts
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
    policies = [Sample(_policy_labels(action), n) for action, n in counts.policies.items()]
    text = "What policies found, by what was done about it; what they let pass unseen is not counted"
    yield Family(f"{PREFIX}policy_evaluations_total", "counter", text, tuple(policies))
    failed = [Sample((("target", t), ("outcome", outcome)), n) for (t, outcome), n in counts.failed_attempts.items()]
    text = "Attempts that got no good answer, by how their hold ended"
    yield Family(f"{PREFIX}failed_attempts_total", "counter", text, tuple(failed))


def _policy_labels(action: str) -> Labels:
    """``content_flagged:hate`` of an event in its parts; ``policy_failed:NAME`` names a policy that could not judge."""
    head, _, label = action.partition(":")
    found = _ACTION.fullmatch(head)
    subject, result = (found[1], found[2]) if found is not None else (head, "")
    if result == "failed":
        subject, label = label, ""
    return (("policy", subject), ("result", result), ("label", label))


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


def _limits(node: Node) -> Iterator[Family]:
    store = node.meters.store
    if store is not None:
        yield gauge(f"{PREFIX}limit_store_away", "1: limits are divided among hosts instead", float(store.away))
        yield gauge(f"{PREFIX}limit_store_hosts", "Hosts that it counted last", store.hosts)
        yield counter(f"{PREFIX}limit_store_falls_total", "Times that it did not answer", store.falls)


TARGET_FIGURES: tuple[tuple[str, Literal["counter", "gauge"], str, Callable[[TargetState], float]], ...] = (
    ("target_attempts_total", "counter", "Attempts that were sent", lambda state: state.begun),
    ("target_failures_total", "counter", "Attempts that the target failed", lambda state: state.failed),
    ("target_rate_limited_total", "counter", "Attempts that met the target's own limit", lambda state: state.limited),
    ("target_in_flight", "gauge", "Attempts under way", lambda state: state.in_flight),
)
SOURCES: tuple[Callable[[Node], Iterator[Family]], ...] = (
    _times,
    _noes,
    _targets,
    _money,
    _cache,
    _journal,
    _limits,
    _process,
)
