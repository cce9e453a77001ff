"""The result as a page: one line per fault, engine and number of nodes."""

from collections.abc import Iterable

from tests.soak.trial import Line

_HEAD = (
    "fault",
    "store",
    "nodes",
    "trials",
    "calls",
    "overspend (nano-USD)",
    "rows lost",
    "rows doubled",
    "holds left",
    "budget used, least",
    "recovery, median / longest",
    "verdict",
)


def markdown(lines: Iterable[Line]) -> str:
    """A table in Markdown; what was skipped stands below it with its reason, and so does what went wrong."""
    rows, notes = [], []
    for line in lines:
        found = line.figures()
        name = f"{line.fault} {line.title}"
        if line.skipped:
            notes.append(f"- {name} ({line.engine}, {line.nodes}): not run, {line.skipped}")
            continue
        notes += [f"- {name} ({line.engine}, {line.nodes}): {problem}" for problem in found["problems"]]
        rows.append(
            (
                name,
                line.engine,
                line.nodes,
                f"{found['trials']:,}",
                f"{found['calls']:,}",
                f"{found['overspend_nanos']:,}",
                str(found["rows_lost"]),
                str(found["rows_doubled"]),
                f"{found['holds_left_nanos']:,}",
                "" if found["used_min"] is None else f"{found['used_min']:.2%}",
                ""
                if found["recovery_median_s"] is None
                else f"{found['recovery_median_s']:.2f} s / {found['recovery_max_s']:.2f} s",
                "passed" if not found["failed"] else f"**{found['failed']} failed**",
            )
        )
    text = "\n".join("| " + " | ".join(row) + " |" for row in (_HEAD, ("---",) * len(_HEAD), *rows))
    return text + "\n" + ("\n" + "\n".join(notes) + "\n" if notes else "")
