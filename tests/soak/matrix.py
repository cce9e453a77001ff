"""The fault matrix: every scenario, in one list, and the rows for which there is nothing to inject."""

from tests.soak.faults import f01_cap_race, f02_kill, f06_outage, f09_ambiguity, f13_both_ends
from tests.soak.scenario import Scenario
from tests.soak.trial import Line

SCENARIOS: tuple[Scenario, ...] = (
    *f01_cap_race.SCENARIOS,
    *f02_kill.SCENARIOS,
    *f06_outage.SCENARIOS,
    *f09_ambiguity.SCENARIOS,
    *f13_both_ends.SCENARIOS,
)

NOT_APPLICABLE: tuple[Line, ...] = (
    Line(
        "F18",
        "Redis away",
        "any",
        "any",
        skipped="no part of this product speaks to Redis: rate limits are each node's own",
    ),
)
