"""What one trial of a fault found, and what many of them come to."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

USED_AT_LEAST = 0.99


@dataclass(frozen=True, slots=True)
class Trial:
    """One fault injected once, healed and checked.

    ``count`` is how many times the fault struck in it; ``calls`` how many calls were made meanwhile. ``overspend_nanos``
    is what the provider billed beyond the budget that stood; ``rows_lost`` calls that the provider served or a caller
    saw the end of, without a row; ``holds_left_nanos`` what is still held or leased after everything has come to rest.
    ``used`` is the part of the budget that was posted, where the trial exhausts it. ``recovery_s`` runs from the healing
    until calls are served and every row is there. ``problems`` are all other ways in which the books were not right.
    """

    count: int = 1
    calls: int = 0
    overspend_nanos: int = 0
    rows_lost: int = 0
    rows_doubled: int = 0
    holds_left_nanos: int = 0
    used: float | None = None
    recovery_s: float | None = None
    problems: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing at all was wrong."""
        exact = not (self.overspend_nanos or self.rows_lost or self.rows_doubled or self.holds_left_nanos)
        return exact and not self.problems and (self.used is None or self.used >= USED_AT_LEAST)

    def after(self, recovery_s: float) -> "Trial":
        """The same with this time of recovery."""
        return replace(self, recovery_s=recovery_s)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: a fault on one engine and so many nodes. ``skipped`` says why there are no trials."""

    fault: str
    title: str
    engine: str
    nodes: str
    trials: Sequence[Trial] = field(default_factory=tuple)
    skipped: str = ""

    def figures(self) -> dict[str, Any]:
        """The sums and extremes that are published; times in seconds."""
        times = [trial.recovery_s for trial in self.trials if trial.recovery_s is not None]
        used = [trial.used for trial in self.trials if trial.used is not None]
        return {
            "fault": self.fault,
            "title": self.title,
            "engine": self.engine,
            "nodes": self.nodes,
            "trials": sum(trial.count for trial in self.trials),
            "calls": sum(trial.calls for trial in self.trials),
            "overspend_nanos": sum(trial.overspend_nanos for trial in self.trials),
            "rows_lost": sum(trial.rows_lost for trial in self.trials),
            "rows_doubled": sum(trial.rows_doubled for trial in self.trials),
            "holds_left_nanos": sum(trial.holds_left_nanos for trial in self.trials),
            "used_min": min(used, default=None),
            "recovery_median_s": statistics.median(times) if times else None,
            "recovery_max_s": max(times, default=None),
            "failed": sum(not trial.passed for trial in self.trials),
            "problems": sorted({problem for trial in self.trials for problem in trial.problems})[:10],
            "skipped": self.skipped,
        }


def as_json(trial: Trial) -> dict[str, Any]:
    """The trial as it is kept between two runs."""
    return asdict(trial)


def from_json(found: dict[str, Any]) -> Trial:
    """A trial that was kept."""
    return Trial(**{**found, "problems": tuple(found["problems"])})
