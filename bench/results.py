"""What a run found: every measurement of every round, and the medians that the tables show."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from statistics import median

from bench.measure import Figures


@dataclass(frozen=True, slots=True)
class Measurement:
    """One gateway, one scenario, one round."""

    gateway: str
    scenario: str
    round: int
    figures: Figures


@dataclass(slots=True)
class Results:
    """One run of the benchmark."""

    machine: dict[str, str]
    settings: dict[str, object]
    versions: dict[str, str] = field(default_factory=dict)
    about: dict[str, str] = field(default_factory=dict)
    ready_s: dict[str, list[float]] = field(default_factory=dict)
    not_available: dict[str, str] = field(default_factory=dict)
    audits: list[str] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)

    def median(self, gateway: str, scenario: str) -> Figures | None:
        """The medians of the rounds, each figure by itself; None when it was not measured."""
        rounds = [one.figures for one in self.measurements if (one.gateway, one.scenario) == (gateway, scenario)]
        if not rounds:
            return None
        return Figures(**{name.name: median(getattr(one, name.name) for one in rounds) for name in fields(Figures)})

    def gateways(self, scenario: str) -> list[str]:
        """Those measured in this scenario, in the order of the field."""
        return list(dict.fromkeys(one.gateway for one in self.measurements if one.scenario == scenario))

    def save(self, path: Path) -> None:
        """Write everything as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")
