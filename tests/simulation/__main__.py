"""``python -m tests.simulation --seed 7 --trace`` replays a seed; ``--events 1000000`` plays seeds until that many events."""

import argparse
import sys
from time import perf_counter

from tests.simulation.run import play

DESCRIPTION = (
    "Plays simulated worlds of gateways, network, control plane and crashes; an event is one callback of one process."
)


def main() -> int:
    """Returns 1 when an invariant was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=DESCRIPTION)
    parser.add_argument("--seed", type=int, help="play this one seed")
    parser.add_argument("--calls", type=int, help="with --seed: so many calls instead of the seed's own number")
    parser.add_argument("--trace", action="store_true", help="with --seed: tell everything that happens")
    parser.add_argument("--events", type=int, default=1_000_000, help="without --seed: play until so many events")
    parser.add_argument("--first", type=int, default=1, help="the first of the seeds to play")
    parser.add_argument("--seconds", type=float, default=3_600.0, help="stop after so long")
    parser.add_argument("--stop", action="store_true", help="stop at the first broken invariant")
    given = parser.parse_args()
    if given.seed is not None:
        outcome = play(given.seed, given.calls, print if given.trace else None)
        if outcome.violation is not None:
            print(outcome.violation if given.trace else outcome.tell())
        print(f"seed {outcome.seed}: {outcome.steps} events, {outcome.calls} calls, trace {outcome.trace:08x}")
        return 1 if outcome.violation is not None else 0
    return soak(given.events, given.first, given.seconds, given.stop)


def soak(events: int, first: int, seconds: float, stop: bool) -> int:
    """Seed after seed, and one line at the end."""
    began = perf_counter()
    steps = seed_count = calls = crashes = broken = 0
    virtual_s = 0.0
    while steps < events and perf_counter() - began < seconds and not (stop and broken):
        outcome = play(first + seed_count)
        seed_count += 1
        steps += outcome.steps
        calls += outcome.calls
        crashes += outcome.crashes
        virtual_s += outcome.virtual_s
        if outcome.violation is not None:
            broken += 1
            print(outcome.tell(), file=sys.stderr)
    took = perf_counter() - began
    print(
        f"{steps} events, {seed_count} seeds, {calls} calls, {crashes} crashes, {virtual_s:.0f} simulated seconds, "
        f"{broken} violations, {took:.1f} s ({steps / took:.0f} events/s)"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
