"""Tables in Markdown: the same on the terminal and in RESULTS.md."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.measure import Figures
from bench.peers.field import BASELINE, BUSY_BASELINE, NOTHING_BETWEEN, OURS
from bench.results import Results

_NUMBER = re.compile(r"[-\d,.%]*")
Cell = Callable[[Figures], str]


@dataclass(frozen=True, slots=True)
class Table:
    """One scenario's table; a `ratio` table also compares processor time with nginx's."""

    scenario: str
    title: str
    columns: tuple[tuple[str, Cell], ...]
    ratio: bool = True


@dataclass(frozen=True, slots=True)
class Bar:
    """What we promise ourselves; `nginx_ratio` is the bar that holds on any machine."""

    what: str
    scenario: str
    figure: Callable[[Figures], float]
    bar: float
    unit: str
    nginx_ratio: float | None = None
    added: bool = False  # measured on top of asking the provider directly


def _cpu(f: Figures) -> str:
    return f"{f.cpu_us:,.1f}"


_CPU: tuple[str, Cell] = ("CPU us", _cpu)
_KERNEL: tuple[str, Cell] = ("of it kernel", lambda f: f"{f.cpu_kernel_us:,.1f}")
_RATE: tuple[str, Cell] = ("calls/s", lambda f: f"{f.calls_per_s:,.0f}")
_BUSY: tuple[str, Cell] = ("core busy", lambda f: f"{f.core_busy:.0%}")
_P50: tuple[str, Cell] = ("p50 us", lambda f: f"{f.p50_us:,.0f}")
_P99: tuple[str, Cell] = ("p99 us", lambda f: f"{f.p99_us:,.0f}")
_P999: tuple[str, Cell] = ("p99.9 us", lambda f: f"{f.p999_us:,.0f}")
_FIRST_P50: tuple[str, Cell] = ("first byte p50 us", lambda f: f"{f.first_byte_p50_us:,.0f}")
_FIRST_P99: tuple[str, Cell] = ("first byte p99 us", lambda f: f"{f.first_byte_p99_us:,.0f}")
_RESIDENT: tuple[str, Cell] = ("resident MB", lambda f: f"{f.resident_mb:,.0f}")

TABLES: tuple[Table, ...] = (
    Table("call", "One call, 600-byte answer, 32 at a time", (_CPU, _KERNEL, _RATE, _BUSY, _P50, _P99, _RESIDENT)),
    Table("stream", "A stream of 22 events sent at once, 32 at a time", (_CPU, _KERNEL, _RATE, _BUSY, _FIRST_P50)),
    Table("paced", "One event of a stream, 22 events 5 ms apart, 32 streams at a time", (_CPU, _KERNEL, _P50, _P99)),
    Table("alone", "First byte of a stream, one call at a time", (_FIRST_P50, _FIRST_P99), ratio=False),
    Table("long prompt", "One call with a 51 KB prompt, 32 at a time", (_CPU, _KERNEL, _RATE, _P50, _P99)),
    Table("sdk headers", "One call with all headers of OpenAI's SDK, 32 at a time", (_CPU, _KERNEL, _RATE)),
    Table("open loop", "Open loop: calls arrive at {rate:,.0f}/s, answered or not", (_P50, _P99, _P999), ratio=False),
)
BARS: tuple[Bar, ...] = (
    Bar("CPU per call, first bar", "call", lambda f: f.cpu_us, 60, "us", 4.5),
    Bar("CPU per call, goal", "call", lambda f: f.cpu_us, 45, "us", 3.4),
    Bar("CPU per stream of 22 events at once", "stream", lambda f: f.cpu_us, 140, "us", 1.6),
    Bar("CPU per paced stream event", "paced", lambda f: f.cpu_us, 26, "us", 2.0),
    Bar("added to the first byte, p50", "alone", lambda f: f.first_byte_p50_us, 200, "us", added=True),
    Bar("resident memory of a worker", "call", lambda f: f.resident_mb, 80, "MB"),
)


def render(results: Results) -> str:
    """All tables that have figures."""
    parts = [_table(results, table) for table in TABLES if results.gateways(table.scenario)]
    if results.gateways("call"):
        parts.append(_start_up(results))
    if OURS in results.gateways("call"):
        parts.append(_bars(results))
    if results.not_available:
        lines = [f"- **{name}**: {reason}" for name, reason in results.not_available.items()]
        parts.append("## Not available\n\n" + "\n".join(lines))
    if results.audits:
        parts.append("## Books checked\n\n" + "\n".join(f"- {line}" for line in results.audits))
    return "\n\n".join(parts) + "\n"


def _table(results: Results, table: Table) -> str:
    baseline = _baseline(results, table.scenario)
    direct = results.median(NOTHING_BETWEEN, table.scenario)
    names = ["gateway", *(name for name, _ in table.columns)]
    names += ["x nginx"] if table.ratio else ["added p50 us"]
    rows = []
    for gateway in results.gateways(table.scenario):
        figures = results.median(gateway, table.scenario)
        assert figures is not None
        if gateway == NOTHING_BETWEEN:
            # Its processor time is the mock provider's, which nobody asks about.
            shown = [cell(figures) if "us" in name and name != "CPU us" else "" for name, cell in table.columns]
            rows.append([gateway, *shown, ""])
            continue
        if table.ratio:
            last = f"{figures.cpu_us / baseline.cpu_us:.1f}" if baseline else "-"
        elif direct is None:
            last = "-"
        elif table.scenario == "open loop":
            last = f"{figures.p50_us - direct.p50_us:,.0f}"
        else:
            last = f"{figures.first_byte_p50_us - direct.first_byte_p50_us:,.0f}"
        rows.append([gateway, *(cell(figures) for _, cell in table.columns), last])
    title = table.title.format(rate=results.settings.open_loop_rate_per_s)
    return f"## {title}\n\n{grid(names, rows)}"


def _baseline(results: Results, scenario: str) -> Figures | None:
    return results.median(BUSY_BASELINE, scenario) or results.median(BASELINE, scenario)


def _bars(results: Results) -> str:
    rows = []
    for bar in BARS:
        figures = results.median(OURS, bar.scenario)
        reference = results.median(NOTHING_BETWEEN, bar.scenario) if bar.added else _baseline(results, bar.scenario)
        if figures is None or (bar.added and reference is None):
            continue
        value = bar.figure(figures)
        if bar.added and reference is not None:
            value -= bar.figure(reference)
        ratio = value / bar.figure(reference) if bar.nginx_ratio and reference else None
        reached = ratio <= bar.nginx_ratio if ratio is not None and bar.nginx_ratio else value <= bar.bar
        shown = f"{ratio:.1f} (at most {bar.nginx_ratio})" if ratio is not None else ""
        rows.append(
            [bar.what, f"{value:,.1f} {bar.unit}", f"{bar.bar:g} {bar.unit}", shown, "yes" if reached else "no"]
        )
    return f"## Our bars\n\n{grid(['keeptrusts', 'here', 'bar', 'x nginx', 'reached'], rows)}"


def _start_up(results: Results) -> str:
    rows = []
    for gateway in results.gateways("call"):
        ready = results.ready_s.get(gateway)
        took = f"{sorted(ready)[len(ready) // 2]:.1f}" if ready else ""
        rows.append([gateway, results.versions.get(gateway, "-"), took, results.about.get(gateway, "")])
    return f"## Who took part\n\n{grid(['gateway', 'version', 'ready after s', 'what it does here'], rows)}"


def grid(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, numbers to the right."""
    columns = list(zip(names, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    numeric = [all(_NUMBER.fullmatch(cell) for cell in column[1:]) for column in columns]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, numeric, strict=True)
        ]
        return "| " + " | ".join(padded) + " |"

    rules = [
        "-" * (width + 1) + ":" if right else "-" * (width + 2) for width, right in zip(widths, numeric, strict=True)
    ]
    return "\n".join([line(names), "|" + "|".join(rules) + "|", *map(line, rows)])
