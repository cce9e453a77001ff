"""What a scenario is: a fault, where it is run, how often, and the generator that prepares, injects, heals and checks."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.soak.trial import Trial


@dataclass(frozen=True, slots=True)
class Ground:
    """What a scenario runs on. ``directory`` is empty and its own; ``trials`` is how many times the fault is to strike."""

    engine: str
    nodes: int
    directory: Path
    trials: int
    draw: random.Random = field(default_factory=random.Random)


def always() -> str:
    """The scenario can be run everywhere."""
    return ""


@dataclass(frozen=True, slots=True)
class Scenario:
    """``run`` yields trials until their counts reach the ground's. ``full`` is how many each engine and number of nodes gets
    in the long programme, ``small`` in a short one. ``unavailable`` says why it can't be run here, if it can't."""

    fault: str
    title: str
    run: Callable[[Ground], Iterator[Trial]]
    full: int
    small: int = 1
    engines: tuple[str, ...] = ("sqlite", "postgres")
    nodes: tuple[int, ...] = (1, 4)
    unavailable: Callable[[], str] = always

    @property
    def name(self) -> str:
        return f"{self.fault} {self.title}"
