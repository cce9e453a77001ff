"""Plants a bug in a copy of the product and lets its catchers at it; the product itself is never touched."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from time import perf_counter

from msgspec import Struct

from tests.mutations.planted_bugs import SEED_EVENTS, PlantedBug

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "keeptrusts"
TIMEOUT_S = 300
FAILED_TESTS = 1
"""What pytest returns when tests ran and some failed; anything else says that they did not run."""


class TextGone(Exception):
    """A bug's text does not stand in the product, or not once: the list must be brought up to date."""


class Verdict(Struct):
    """Whether a bug was caught, by what, and in how many seconds."""

    bug: PlantedBug
    caught: bool
    by: str
    seconds: float


def planted(bug: PlantedBug) -> dict[Path, str]:
    """The texts of the files in which the bug stands, by their place below the package. Raises TextGone."""
    texts: dict[Path, str] = {}
    for file, old, new in bug.edits:
        place = Path(file)
        text = texts.get(place) or (SOURCE / place).read_text(encoding="utf-8")
        if text.count(old) != 1:
            raise TextGone(f"{bug.name!r}: {file} has {text.count(old)} times {old!r}")
        texts[place] = text.replace(old, new)
    return texts


class Greenhouse:
    """A copy of the package, in which one bug at a time is planted."""

    def __init__(self, directory: Path) -> None:
        self._package = directory / "src" / "keeptrusts"
        shutil.copytree(SOURCE, self._package)
        self._environment = {**os.environ, "PYTHONPATH": str(self._package.parent), "PYTHONDONTWRITEBYTECODE": "1"}

    def try_out(self, bug: PlantedBug | None) -> Verdict:
        """Runs what must catch the bug (None: the simulation on the unchanged copy, which must not find anything)."""
        texts = {} if bug is None else planted(bug)
        for place, text in texts.items():
            self._write(place, text)
        began = perf_counter()
        try:
            caught, by = self._tests(bug.tests) if bug is not None and bug.tests else self._simulation()
        except subprocess.TimeoutExpired:
            caught, by = True, f"it never ends ({TIMEOUT_S} s)"
        finally:
            for place in texts:
                self._write(place, (SOURCE / place).read_text(encoding="utf-8"))
        return Verdict(bug or NO_BUG, caught, by, perf_counter() - began)

    def _write(self, place: Path, text: str) -> None:
        path = self._package / place
        path.write_text(text, encoding="utf-8")
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
            compiled.unlink()

    def _tests(self, arguments: tuple[str, ...]) -> tuple[bool, str]:
        ran = self._run("pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header", *arguments)
        if ran.returncode not in (0, FAILED_TESTS):
            raise RuntimeError(f"the tests did not run: {ran.stdout[-2_000:]}{ran.stderr[-2_000:]}")
        failed = [line.split(" - ")[0].split("::")[-1] for line in ran.stdout.splitlines() if line.startswith("FAILED")]
        return ran.returncode == FAILED_TESTS, failed[0] if failed else "nobody"

    def _simulation(self) -> tuple[bool, str]:
        ran = self._run("tests.simulation", "--events", str(SEED_EVENTS), "--stop")
        if "violations" not in ran.stdout:
            raise RuntimeError(f"the simulation did not run: {ran.stdout[-2_000:]}{ran.stderr[-2_000:]}")
        found = [line for line in ran.stderr.splitlines() if line.startswith("seed ")]
        return ran.returncode != 0, found[0] if found else "nobody"

    def _run(self, module: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )


NO_BUG = PlantedBug("no bug at all", ())
