"""Plays one seed, and says what came of it."""

import os
import shutil
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from msgspec import Struct

from tests.simulation.books import Violation
from tests.simulation.loop import Stuck
from tests.simulation.profile import profile_of
from tests.simulation.world import World

SHM = Path("/dev/shm")
TOLD_STEPS = 60


class Outcome(Struct):
    """What a seed's run was. ``trace`` is the same whenever the same code plays the same seed."""

    seed: int
    steps: int
    calls: int
    rows: int
    crashes: int
    checks: int
    virtual_s: float
    real_s: float
    trace: int
    violation: str | None
    story: list[str]

    def tell(self) -> str:
        """The failure, how to see it again, and what came before it."""
        end = "\n".join(self.story[-TOLD_STEPS:])
        return (
            f"{end}\nseed {self.seed}: {self.violation}\nreplay: python -m tests.simulation --seed {self.seed} --trace"
        )


def play(seed: int, calls: int | None = None, trace: Callable[[str], None] | None = None) -> Outcome:
    """Runs the world of ``seed``, with ``calls`` calls if given. Never raises for a broken invariant: it is in the outcome."""
    directory = Path(tempfile.mkdtemp(prefix="keeptrusts-world-", dir=SHM if os.access(SHM, os.W_OK) else None))
    began = perf_counter()
    violation = None
    world = World(seed, profile_of(seed, calls), directory, trace)
    try:
        world.run()
    except (Violation, Stuck) as found:
        violation = str(found)
    except Exception:
        violation = traceback.format_exc()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return Outcome(
        seed,
        world.loop.steps,
        len(world.calls),
        len(world.providers.served),
        world.crashes,
        world.books.checks,
        world.loop.time() - 1_000.0,
        perf_counter() - began,
        world.loop.trace,
        violation,
        list(world.notes),
    )
