"""The metrics of calls, from what one process counted of each kind of them. Made where a scrape is written, off the loop."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from keeptrusts.core.money import NANOS_PER_USD
from keeptrusts.gateway.call_counts import NS_PER_S, SECONDS, CallCounts
from keeptrusts.gateway.exposition import PREFIX, Family, Labels, Sample, histogram_samples


class CallFigures(Struct, frozen=True, array_like=True, gc=False):
    """A row of ``call_counts.py`` at one moment, with its kind. ``provider``, ``model`` and ``team`` are empty where there is
    none."""

    door: str
    status: str
    provider: str
    model: str
    team: str
    buckets: list[int]
    total_ns: int
    cost_nanos: int
    saved_nanos: int
    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    output_tokens: int
    retries: int
    unpriced: int


def figures_of(counts: CallCounts) -> list[CallFigures]:
    """All rows as they are now."""
    return [
        CallFigures(
            door,
            status,
            provider or "",
            model,
            team or "",
            row.buckets.copy(),
            row.total_ns,
            row.cost_nanos,
            row.saved_nanos,
            row.input_tokens,
            row.cached_tokens,
            row.cache_write_tokens,
            row.output_tokens,
            row.retries,
            row.unpriced,
        )
        for (door, status, provider, model, team), row in counts.rows.items()
    ]


def call_families(calls: Sequence[CallFigures]) -> Iterator[Family]:
    """The families of these kinds of calls."""
    yield Family(f"{PREFIX}requests_total", "counter", "Calls that ended, each once", tuple(map(_requests, calls)))
    yield from _sums(calls)
    yield _durations(calls)


def _requests(of: CallFigures) -> Sample:
    labels = (
        ("door", of.door), ("provider", of.provider), ("model", of.model), ("team", of.team), ("status", of.status),
    )  # fmt: skip
    return Sample(labels, sum(of.buckets))


def _sums(calls: Sequence[CallFigures]) -> Iterator[Family]:
    """What is summed over doors and statuses, or over teams too."""
    tokens: dict[Labels, float] = {}
    cost: dict[Labels, float] = {}
    saved: dict[Labels, float] = {}
    retries: dict[Labels, float] = {}
    unpriced: dict[Labels, float] = {}
    for of in calls:
        by_model: Labels = (("provider", of.provider), ("model", of.model))
        by_team: Labels = (*by_model, ("team", of.team))
        said = (
            ("input", of.input_tokens), ("cached_input", of.cached_tokens),
            ("cache_write", of.cache_write_tokens), ("output", of.output_tokens),
        )  # fmt: skip
        for direction, count in said:
            _add(tokens, (("direction", direction), *by_team), count)
        _add(cost, by_team, of.cost_nanos)
        _add(saved, by_team, of.saved_nanos)
        _add(retries, by_model, of.retries)
        _add(unpriced, by_model, of.unpriced)
    yield _counter("tokens_total", "Tokens, each counted once", tokens)
    yield _counter("cost_usd_total", "What calls cost, in USD", cost, NANOS_PER_USD)
    yield _counter("cache_saved_usd_total", "What answers from the cache would have cost", saved, NANOS_PER_USD)
    yield _counter("retries_total", "Further attempts of calls", retries)
    yield _counter("unpriced_requests_total", "Calls whose model has no price", unpriced)


def _add(sums: dict[Labels, float], labels: Labels, amount: int) -> None:
    if amount:
        sums[labels] = sums.get(labels, 0) + amount


def _counter(name: str, text: str, sums: Mapping[Labels, float], divisor: int = 1) -> Family:
    samples = tuple(Sample(labels, amount / divisor) for labels, amount in sums.items())
    return Family(PREFIX + name, "counter", text, samples)


def _durations(calls: Sequence[CallFigures]) -> Family:
    sums: dict[tuple[str, str], tuple[list[int], int]] = {}
    for of in calls:
        known = sums.get((of.provider, of.door))
        if known is None:
            sums[of.provider, of.door] = of.buckets, of.total_ns
        else:
            buckets, total_ns = known
            added = [a + b for a, b in zip(buckets, of.buckets, strict=True)]
            sums[of.provider, of.door] = added, total_ns + of.total_ns
    samples: list[Sample] = []
    for (provider, door), (buckets, total_ns) in sums.items():
        labels = (("provider", provider), ("door", door))
        samples += histogram_samples(labels, SECONDS, buckets, total_ns / NS_PER_S)
    return Family(f"{PREFIX}request_duration_seconds", "histogram", "From a call to its end", tuple(samples))
