"""Metrics as values, and Prometheus's text format 0.0.4 of them. Families of several workers are merged under one head."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

PREFIX = "keeptrusts_gateway_"
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[tuple[str, str], ...]


class Sample(Struct, frozen=True, array_like=True, gc=False):
    """One line. ``suffix`` is what follows the family's name: ``_bucket``, ``_sum``, ``_count`` of a histogram."""

    labels: Labels
    value: float
    suffix: str = ""


class Family(Struct, frozen=True, array_like=True):
    """A metric: its name (a counter's with ``_total``), its kind, what it means, and its lines."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    samples: tuple[Sample, ...]


def gauge(name: str, text: str, value: float) -> Family:
    """A gauge without labels."""
    return Family(name, "gauge", text, (Sample((), value),))


def counter(name: str, text: str, value: float) -> Family:
    """A counter without labels."""
    return Family(name, "counter", text, (Sample((), value),))


def by_label(name: str, kind: Literal["counter", "gauge"], text: str, label: str, of: Mapping[str, float]) -> Family:
    """A family with one label."""
    return Family(name, kind, text, tuple(Sample(((label, value),), of[value]) for value in sorted(of)))


def histogram_samples(
    labels: Labels, bounds: Sequence[float], buckets: Sequence[int], total_s: float
) -> Iterable[Sample]:
    """The lines of one histogram. ``buckets`` counts what is in each bucket alone; those after the last bound are one."""
    count = 0
    for bound, inside in zip(bounds, buckets, strict=False):
        count += inside
        yield Sample((*labels, ("le", _number(bound))), count, "_bucket")
    count = sum(buckets)
    yield Sample((*labels, ("le", "+Inf")), count, "_bucket")
    yield Sample(labels, total_s, "_sum")
    yield Sample(labels, count, "_count")


def text_of(families_by_worker: Mapping[str, Sequence[Family]]) -> str:
    """All lines; those of a worker carry its name as the label ``worker``, but for the one without a name."""
    merged: dict[str, list[str]] = {}
    for worker, families in families_by_worker.items():
        of_worker: Labels = (("worker", worker),) if worker else ()
        for family in families:
            lines = merged.get(family.name)
            if lines is None:
                lines = merged[family.name] = [
                    f"# HELP {family.name} {_escaped(family.help)}",
                    f"# TYPE {family.name} {family.kind}",
                ]
            lines += [_line(family.name, sample, of_worker) for sample in family.samples]
    return "".join(line + "\n" for lines in merged.values() for line in lines)


def _line(name: str, sample: Sample, more: Labels) -> str:
    labels = (*more, *sample.labels)
    text = ",".join(f'{label}="{_quoted(value)}"' for label, value in labels)
    return (
        f"{name}{sample.suffix}{{{text}}} {_number(sample.value)}"
        if text
        else f"{name}{sample.suffix} {_number(sample.value)}"
    )


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')
