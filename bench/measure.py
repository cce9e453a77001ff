"""One measurement: warm up, drive one scenario, and count the processor time until the gateway is quiet again."""

import time
from dataclasses import dataclass

from bench.child import Child
from bench.load import Plan, closed_loop, open_loop
from bench.peers.gateway import Gateway, Running, Site
from bench.requests import request_bytes
from bench.scenarios import QUICK, WARM_UP_S, Scenario
from bench.tally import Tally, quantile_us

_LOOK_S = 0.2
_QUIET_CPU_S = 0.02  # within one look: a tenth of the core
_QUIET_MAX_S = 60.0


class WrongAnswers(Exception):
    """Some answers were not the expected ones, so that the figures would mean nothing."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one measurement found. Processor times are per call, or per event of a paced stream."""

    calls: int
    calls_per_s: float
    cpu_us: float
    cpu_kernel_us: float
    core_busy: float  # share of its core that the gateway used while the load ran
    drain_s: float  # how long it worked on after the last answer; that time is in cpu_us
    resident_mb: float
    p50_us: float
    p99_us: float
    p999_us: float
    first_byte_p50_us: float
    first_byte_p99_us: float


@dataclass(frozen=True, slots=True)
class How:
    """Settings of the run."""

    rate_per_s: float  # of open-loop arrivals
    quick: bool


def measure(gateway: Gateway, running: Running, scenario: Scenario, site: Site, how: How) -> tuple[Figures, int]:
    """Figures, and how many calls were answered, the warm-up's too. Raises WrongAnswers and OSError."""
    share = QUICK if how.quick else 1.0
    request = request_bytes(running.address, scenario.ask)

    def drive(seconds: float, *, open_loop_too: bool) -> Tally:
        if gateway.drive is not None:
            return gateway.drive(site.home, running, seconds)
        plan = Plan(running.address.port, request, scenario.ask.stream, seconds, scenario.connections)
        return open_loop(plan, how.rate_per_s) if scenario.open_loop and open_loop_too else closed_loop(plan)

    warm_up = _right(drive(WARM_UP_S * share, open_loop_too=False))
    _wait_until_quiet(running.child)
    before = running.child.cpu_s()
    tally = _right(drive(scenario.seconds * share, open_loop_too=True))
    at_end = running.child.cpu_s()
    resident = running.child.resident_bytes()
    drain_s = _wait_until_quiet(running.child)
    after = running.child.cpu_s()
    units = tally.calls * scenario.units
    kernel_s = after[1] - before[1]
    figures = Figures(
        calls=tally.calls,
        calls_per_s=tally.calls_per_s,
        cpu_us=(after[0] - before[0] + kernel_s) / units * 1e6,
        cpu_kernel_us=kernel_s / units * 1e6,
        core_busy=(sum(at_end) - sum(before)) / tally.seconds,
        drain_s=drain_s,
        resident_mb=resident / 1e6,
        p50_us=quantile_us(tally.latencies_s, 0.5),
        p99_us=quantile_us(tally.latencies_s, 0.99),
        p999_us=quantile_us(tally.latencies_s, 0.999),
        first_byte_p50_us=quantile_us(tally.first_bytes_s, 0.5),
        first_byte_p99_us=quantile_us(tally.first_bytes_s, 0.99),
    )
    return figures, warm_up.calls + tally.calls


def _right(tally: Tally) -> Tally:
    if tally.errors:
        raise WrongAnswers(f"{tally.errors} wrong answers beside {tally.calls} right ones; first: {tally.first_error}")
    if not tally.calls:
        raise WrongAnswers("no answer at all")
    return tally


def _wait_until_quiet(child: Child) -> float:
    """Seconds until the program rests; work left behind belongs to the calls that caused it."""
    start = time.monotonic()
    used = sum(child.cpu_s())
    while True:
        looked_at = time.monotonic()
        time.sleep(_LOOK_S)
        now_used = sum(child.cpu_s())
        if now_used - used <= _QUIET_CPU_S or looked_at - start > _QUIET_MAX_S:
            return looked_at - start
        used = now_used
