"""Every fault for real: ``python -m tests.soak [--faults F1,F2] [--engines sqlite,postgres] [--nodes 1,4] [--trials full]``.

Each finished trial is added to ``trials.jsonl`` in the output directory, so that a run that was cut off goes on where it
was; ``table.md`` and ``table.json`` are written anew after each line of the table. 1 when anything was wrong.
"""

import argparse
import contextlib
import json
import logging
import platform
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.soak.engines import ENGINES, unavailable
from tests.soak.matrix import NOT_APPLICABLE, SCENARIOS
from tests.soak.scenario import Ground, Scenario
from tests.soak.table import markdown
from tests.soak.trial import Line, Trial, as_json, from_json

_SITE_TRIALS_MAX = 40
"""After so many trials the site is closed, its books too, and a fresh one goes on: teams, rows and logs stay few."""


class Kept:
    """What earlier runs into the same directory have found, by line; what is added is on disk at once."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / "trials.jsonl"
        self._found: dict[tuple[str, str, str], list[Trial]] = {}
        for text in self._path.read_text().splitlines() if self._path.exists() else ():
            entry = json.loads(text)
            self._found.setdefault(tuple(entry["line"]), []).append(from_json(entry["trial"]))

    def of(self, line: tuple[str, str, str]) -> list[Trial]:
        return self._found.setdefault(line, [])

    def add(self, line: tuple[str, str, str], trial: Trial) -> None:
        self.of(line).append(trial)
        with self._path.open("a") as file:
            file.write(json.dumps({"line": line, "trial": as_json(trial)}) + "\n")


def main() -> int:
    """Run what was asked for and write the table."""
    options = _options()
    logging.disable(logging.CRITICAL)  # what the control plane says in this process; processes have logs of their own
    kept = Kept(options.out)
    lines: list[Line] = []
    began = time.monotonic()
    for scenario, engine, nodes in _grid(options):
        key = (scenario.name, engine, _shown(nodes))
        why_not = scenario.unavailable() or (engine in ENGINES and unavailable(engine)) or ""
        if not why_not:
            wanted = _wanted(scenario, options.trials)
            _run(scenario, engine, nodes, wanted, kept, options, began)
        lines.append(Line(scenario.fault, scenario.title, engine, _shown(nodes), tuple(kept.of(key)), why_not))
        _write(options.out, [*lines, *NOT_APPLICABLE], time.monotonic() - began, options)
    print(markdown([*lines, *NOT_APPLICABLE]))
    return int(any(not trial.passed for line in lines for trial in line.trials))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Inject every fault and check the books.")
    parser.add_argument("--faults", default="", help="such as F1,F2; all of them unless given")
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--nodes", default="1,4")
    parser.add_argument("--trials", default="full", help="full, small, or a number for each line")
    parser.add_argument(
        "--out", type=Path, default=Path("build/soak"), help="a directory; a run that was cut off goes on"
    )
    parser.add_argument("--seed", type=int, default=int(time.time()))
    return parser.parse_args()


def _grid(options: argparse.Namespace) -> Iterator[tuple[Scenario, str, int]]:
    faults = set(filter(None, options.faults.upper().split(",")))
    for scenario in SCENARIOS:
        if faults and scenario.fault not in faults:
            continue
        for engine in scenario.engines:
            for nodes in scenario.nodes:
                known = engine not in ENGINES or engine in options.engines.split(",")
                if known and (nodes == 0 or str(nodes) in options.nodes.split(",")):
                    yield scenario, engine, nodes


def _shown(nodes: int) -> str:
    return str(nodes) if nodes else "in process"


def _wanted(scenario: Scenario, trials: str) -> int:
    return {"full": scenario.full, "small": scenario.small}.get(trials) or int(trials)


def _run(
    scenario: Scenario, engine: str, nodes: int, wanted: int, kept: Kept, options: argparse.Namespace, began: float
) -> None:
    """Runs what is still missing of one line, some trials to a site."""
    key = (scenario.name, engine, _shown(nodes))
    done = sum(trial.count for trial in kept.of(key))
    seed = random.Random(f"{options.seed} {key} {done}")
    while done < wanted:
        piece = min(wanted - done, _SITE_TRIALS_MAX) if nodes else wanted - done
        before = done
        with tempfile.TemporaryDirectory(prefix="kt-soak-") as directory:
            ground = Ground(engine, nodes, Path(directory) / "site", piece, random.Random(seed.random()))
            try:
                for trial in scenario.run(ground):
                    done += trial.count
                    kept.add(key, trial)
                    _report(key, done, wanted, trial, time.monotonic() - began)
            except Exception as error:
                traceback.print_exc()
                _keep_logs(Path(directory), options.out)
                broken = Trial(count=1, problems=(f"the trial broke off: {type(error).__name__}: {str(error)[:300]}",))
                done += 1
                kept.add(key, broken)
                _report(key, done, wanted, broken, time.monotonic() - began)
        if done == before:
            break


def _keep_logs(directory: Path, out: Path) -> None:
    """The processes' logs of a trial that broke off, for whoever looks into it."""
    kept = out / f"logs-{int(time.time())}"
    kept.mkdir(exist_ok=True)
    for log in directory.rglob("*.log"):
        with contextlib.suppress(OSError):
            (kept / log.name).write_bytes(log.read_bytes()[-200_000:])


def _report(key: tuple[str, str, str], done: int, wanted: int, trial: Trial, at_s: float) -> None:
    verdict = "ok" if trial.passed else f"FAILED {replace(trial, calls=trial.calls)}"
    print(f"{at_s:7.0f} s  {' / '.join(key)}: {done} of {wanted} {verdict}", flush=True)


def _write(out: Path, lines: list[Line], took_s: float, options: argparse.Namespace) -> None:
    (out / "table.md").write_text(markdown(lines))
    figures = [line.figures() for line in lines]
    about = {"machine": platform.platform(), "seed": options.seed, "took_s": round(took_s), "lines": figures}
    (out / "table.json").write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
