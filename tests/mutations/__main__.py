"""``python -m tests.mutations``: plants every bug, one after the other, and tells which were caught; 1 if one survives."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.mutations.planted_bugs import BUGS
from tests.mutations.planting import Greenhouse


def main() -> int:
    """Returns 1 when a bug survives."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations")
    parser.add_argument("words", nargs="*", help="only bugs whose names have one of these words in them")
    words = parser.parse_args().words
    chosen = [bug for bug in BUGS if not words or any(word in bug.name for word in words)]
    survivors = 0
    with tempfile.TemporaryDirectory(prefix="keeptrusts-bugs-") as directory:
        greenhouse = Greenhouse(Path(directory))
        for bug in chosen:
            verdict = greenhouse.try_out(bug)
            survivors += not verdict.caught
            mark = "caught  " if verdict.caught else "SURVIVES"
            print(f"{mark} {verdict.seconds:6.1f} s  {bug.name}: {verdict.by[:110]}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} caught")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
