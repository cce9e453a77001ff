"""What a seed's world is like: how many machines, how much money, and which faults happen how often."""

import random
from typing import Literal

from msgspec import Struct

from keeptrusts.core.routing.target import Strategy
from tests.simulation.network import Weather
from tests.simulation.provider import Manners

KINDS = ("daily", "monthly", "weekly", "once")

CALM: dict[str, int] = {"ok": 60, "slow": 10, "error": 8, "limited": 3, "rejected": 3, "silent_usage": 4}
ROUGH: dict[str, int] = {**CALM, "resets": 6, "refuses": 4, "breaks": 5, "hangs": 3}

FAULTS: dict[str, int] = {
    "kill_node": 10,
    "kill_api": 5,
    "lose_power": 3,
    "stop_node": 5,
    "freeze_node": 4,
    "part": 4,
    "storm": 4,
    "turn_clock": 4,
    "allocate": 8,
    "move_money": 4,
    "freeze": 2,
    "grow_tree": 1,
    "price": 2,
    "pause": 3,
}
"""What can go wrong or change, with weights."""


class Profile(Struct, frozen=True):
    """One seed's world. ``rate`` is calls a second at most, ``trouble`` faults per call; ``ambush`` is how often a gateway
    is killed right where it hurts; ``attempts`` at each target, which rests after ``failures_to_rest``; budgets in nano-USD."""

    hosts: int
    workers: int
    durability: Literal["process", "power"]
    calls: int
    rate: float
    trouble: float
    ambush: float
    faults: dict[str, int]
    weather: Weather
    manners: Manners
    budgets: dict[str, dict[str, int]]
    skew_s: tuple[float, ...]
    cache: bool
    lowers: bool
    caps: bool
    tree: Literal["none", "department", "late"]
    fallback: bool
    overcommit: bool
    project: bool
    carry_over: bool
    thresholds: bool
    usable: bool
    segment_bytes: int
    strategy: Strategy
    attempts: int
    failures_to_rest: int


def profile_of(seed: int, calls: int | None = None) -> Profile:
    """Draws a world: seeds differ in what is common in them, so that rare things are common in some."""
    dice = random.Random(f"profile {seed}")
    budgets = {}
    for team in ("team_a", "team_b", "team_c"):
        first = dice.choice(KINDS)
        kinds = {first, dice.choice(KINDS)} if dice.random() < 0.4 else {first}
        budgets[team] = {kind: dice.randint(6, 90) * 60_000 for kind in sorted(kinds)}
    faults = {name: weight for name, weight in FAULTS.items() if dice.random() < 0.7}
    rough = dice.random() < 0.6
    return Profile(
        hosts=dice.choice((1, 1, 2, 2, 3, 4)),
        workers=dice.choice((1, 1, 2)),
        durability=dice.choice(("process", "process", "power")),
        calls=calls or dice.choice((80, 150, 250)),
        rate=dice.choice((2.0, 10.0, 40.0, 200.0)),
        trouble=dice.choice((0.0, 0.03, 0.1, 0.25)) if faults else 0.0,
        ambush=dice.choice((0.0, 0.0, 0.03, 0.12)),
        faults=faults,
        weather=dice.choice(
            (
                Weather(),
                Weather(delay_s=0.02),
                Weather(lost=0.02, repeated=0.05, broken=0.03, slow=0.02, delay_s=0.01),
                Weather(lost=0.1, repeated=0.2, broken=0.1, slow=0.1, delay_s=0.05),
            )
        ),
        manners=Manners(
            {**(ROUGH if rough else CALM), **({"overbills": 4} if (overbills := dice.random() < 0.1) else {})},
            overbills,
        ),
        budgets=budgets,
        skew_s=tuple(dice.choice((0.0, 0.0, 1.0, -3.0, 100.0, -3_600.0, 86_400.0)) for _ in range(5)),
        cache=dice.random() < 0.3,
        lowers=dice.random() < 0.4,
        caps=dice.random() < 0.15,
        tree=dice.choice(("none", "none", "department", "late")),
        fallback=dice.random() < 0.3,
        overcommit=dice.random() < 0.5,
        project=dice.random() < 0.2,
        carry_over=dice.random() < 0.2,
        thresholds=dice.random() < 0.3,
        usable=dice.random() < 0.2,
        segment_bytes=dice.choice((8_192, 32_768, 1 << 26)),
        strategy=dice.choice(("cost-priority", "cost-priority", "weighted", "least-busy", "lowest-latency")),
        attempts=dice.choice((1, 1, 2, 4)),
        failures_to_rest=dice.choice((1, 3, 10)),
    )
