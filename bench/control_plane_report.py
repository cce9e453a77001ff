"""The control plane's table, its bars, and how to read them."""

from collections.abc import Mapping, Sequence

from bench.control_plane import BARS, Filling
from bench.report import grid

_NAMES = (
    "engine", "way", "batch", "nodes", "events/s", "p50 ms", "p99 ms", "API CPU us", "database CPU us", "drained in s",
)  # fmt: skip
_READING = """
- **events/s** is from the first batch to the last answer, with commits on the disk (SQLite `synchronous = FULL`,
  PostgreSQL `synchronous_commit = on`). `p50` and `p99` are of batches, from their sending to their answer; with several
  nodes they hold the time for which a batch waits its turn.
- **CPU us** is user and kernel time for one event, divided between the process that applies batches and PostgreSQL's.
  It is the figure that a busy machine spares most: a core that had nothing else to do would take 1,000,000 of it a second.
- **in process** applies the batches as the API's route does, without HTTP. **HTTP** sends them to `kt api run`, four
  nodes at once: the burst of a backlog, all of it written before the first batch is sent.
- The journals are those of busy nodes: twelve teams in three departments, leases that debit all three levels, a tenth of
  the calls outside of any lease, some retried, some blocked, grants and returns between them.
- After each filling the ledger must show every event, and the organization's wallet their cost to the nano-dollar.
"""


def render_control_plane(found: Sequence[Filling], machine: Mapping[str, str], load: tuple[float, float]) -> str:
    """The whole section of RESULTS.md. ``load`` is the machine's load average before and after."""
    rows = [
        [
            one.engine,
            one.way,
            one.size,
            str(one.nodes),
            f"{one.events_per_s:,.0f}",
            f"{one.quantile_ms(0.5):,.0f}",
            f"{one.quantile_ms(0.99):,.0f}",
            f"{one.api_cpu_us:.1f}",
            f"{one.database_cpu_us:.1f}" if one.engine == "PostgreSQL" else "",
            f"{one.seconds:.1f}" if one.way == "HTTP" else "",
        ]
        for one in found
    ]
    bars = []
    for engine, bar in BARS.items():
        best = max((one for one in found if one.engine == engine), key=lambda one: one.events_per_s)
        reached = "yes" if best.events_per_s >= bar else "no"
        how = f"{best.way}, {best.nodes} nodes, {best.size}"
        bars.append([engine, f"{best.events_per_s:,.0f}", how, f"{bar:,}", reached])
    about = (
        f"{machine['processor']}, Python {machine['python']}, commit {machine['commit']}, {machine['date']}; "
        f"load average {load[0]:.1f} before, {load[1]:.1f} after."
    )
    return (
        f"## Journals applied by the control plane\n\n{about}\n\n{grid(_NAMES, rows)}\n\n"
        f"{grid(['engine', 'best events/s', 'how', 'bar', 'reached'], bars)}\n{_READING}"
    )
