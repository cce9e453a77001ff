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
class Settings:
    """How the run was made."""

    rounds: int
    quick: bool
    load_core: int
    gateway_core: int
    open_loop_rate_per_s: float = 0.0  # half of what the first gateway of the field took; 0 until it is known


@dataclass(slots=True)
class Results:
    """One run of the benchmark."""

    machine: dict[str, str]
    settings: Settings
    versions: dict[str, str] = field(default_factory=dict)
    about: dict[str, str] = field(default_factory=dict)
    ready_s: dict[str, list[float]] = field(default_factory=dict)
    not_available: dict[str, str] = field(default_factory=dict)
    audits: list[str] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)

    def discard(self, gateway: str, scenario: str) -> None:
        """Forget a scenario in which a gateway gave wrong answers in any round."""
        self.measurements = [one for one in self.measurements if (one.gateway, one.scenario) != (gateway, scenario)]

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
