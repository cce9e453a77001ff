"""``make fuzz``: every target under atheris, which steers by what code its inputs reach; a table at the end.

``ARGS='--execs 10000000 --only streams,bodies'``. What was found interesting is kept below ``build/fuzz`` and is where the next run begins; an input that fails is kept there too,
and named. It takes one process after the other, so that one core is used.
"""

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.fuzz.targets import SEEDS, TARGETS

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build" / "fuzz"
EXECS = 1_500_000
SLOW_S = 5
MEMORY_MB = 2_048
LONGEST_BYTES = 4_096

_ONE = """
import sys
import atheris
with atheris.instrument_imports(include=["keeptrusts.core", "keeptrusts.gateway"]):
    from tests.fuzz.targets import TARGETS
atheris.Setup(sys.argv[1:], TARGETS[sys.argv.pop(1)])
atheris.Fuzz()
"""


def fuzz(name: str, execs: int) -> tuple[int, float, str]:
    """How many inputs were tried, for how long, and what failed."""
    corpus = KEPT / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[name]):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = [f"-runs={execs}", f"-timeout={SLOW_S}", f"-rss_limit_mb={MEMORY_MB}", f"-max_len={LONGEST_BYTES}"]
    options += [f"-artifact_prefix={corpus}.", "-print_final_stats=1", "-verbosity=0", "-use_value_profile=1"]
    started = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", _ONE, name, *options, str(corpus)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    took_s = time.monotonic() - started
    said = ended.stdout + ended.stderr
    tried = re.search(r"number_of_executed_units: (\d+)", said)
    wrong = (
        "" if ended.returncode == 0 else "\n".join(line for line in said.splitlines() if "INFO:" not in line)[-6_000:]
    )
    return int(tried[1]) if tried else 0, took_s, wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--execs", type=int, default=EXECS, help="inputs for each target")
    parser.add_argument("--only", default=",".join(TARGETS), help="targets, separated by commas")
    options = parser.parse_args()
    names = options.only.split(",")
    if unknown := [name for name in names if name not in TARGETS]:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(TARGETS)}")
    failed = 0
    print(f"{'target':16} {'inputs':>12} {'seconds':>8}  result", flush=True)
    for name in names:
        tried, took_s, wrong = fuzz(name, options.execs)
        print(f"{name:16} {tried:12,} {took_s:8.0f}  {'FAILED' if wrong else 'passed'}", flush=True)
        if wrong:
            failed += 1
            print(wrong, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
