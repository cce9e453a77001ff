"""What is asked of every gateway, and for how long."""

from dataclasses import dataclass

from bench.answers import STREAM_EVENTS
from bench.peers.field import BASELINE, NOTHING_BETWEEN, OURS
from bench.requests import Ask

WARM_UP_S = 1.0
QUICK = 0.3  # --quick takes this share of every time


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of load. `units` is what one call counts for: a paced stream is told per event."""

    name: str
    ask: Ask
    seconds: float
    connections: int = 32
    units: int = 1
    open_loop: bool = False
    only: frozenset[str] | None = None  # gateways; None: all


SCENARIOS: tuple[Scenario, ...] = (
    Scenario("call", Ask(), 2.5),
    Scenario("stream", Ask(stream=True), 2.5),
    Scenario("paced", Ask(stream=True, paced=True), 3.0, units=STREAM_EVENTS),
    Scenario("alone", Ask(stream=True), 1.5, connections=1),
    Scenario("long prompt", Ask(long_prompt=True), 2.0),
    # The SDK accepts gzip, and a gateway that compresses would be told wrong; none of these two does.
    Scenario("sdk headers", Ask(sdk_headers=True), 2.0, only=frozenset({OURS, BASELINE})),
    Scenario("open loop", Ask(), 4.0, open_loop=True, only=frozenset({OURS, BASELINE, NOTHING_BETWEEN})),
)
