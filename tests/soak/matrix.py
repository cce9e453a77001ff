"""The fault matrix: every scenario, in one list, and the rows for which there is nothing to inject."""

from tests.soak.faults import (
    elsewhere,
    f01_cap_race,
    f02_kill,
    f04_power_loss,
    f05_disk,
    f06_outage,
    f07_lost_store,
    f09_ambiguity,
    f11_lost_node,
    f13_both_ends,
    f17_rules_change,
    f22_scarcity,
)
from tests.soak.scenario import Scenario
from tests.soak.trial import Line

_ALL: tuple[Scenario, ...] = (
    *f01_cap_race.SCENARIOS,
    *f02_kill.SCENARIOS,
    *f04_power_loss.SCENARIOS,
    *f05_disk.SCENARIOS,
    *f06_outage.SCENARIOS,
    *f07_lost_store.SCENARIOS,
    *f09_ambiguity.SCENARIOS,
    *f13_both_ends.SCENARIOS,
    *f17_rules_change.SCENARIOS,
    *f22_scarcity.SCENARIOS,
    *elsewhere.SCENARIOS,
    *f11_lost_node.SCENARIOS,
)

SCENARIOS = tuple(sorted(_ALL, key=lambda scenario: int(scenario.fault[1:])))

NOT_APPLICABLE: tuple[Line, ...] = (
    Line(
        "F18",
        "Redis away",
        "any",
        "any",
        skipped="no part of this product speaks to Redis: each node keeps its own rate limits",
    ),
)
