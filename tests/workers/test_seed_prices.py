"""The catalogue is seeded once per release of it."""

import asyncio
import subprocess
import sys
from pathlib import Path

from keeptrusts.control import prices
from keeptrusts.control.opening import open_control
from keeptrusts.workers.schedule import running_workers

RESTART = """
import asyncio, sys
from pathlib import Path
from keeptrusts.control.opening import open_control
from keeptrusts.workers.schedule import running_workers

async def start():
    async with open_control(Path(sys.argv[1]), None) as control, running_workers(control):
        pass

asyncio.run(start())
print("genai_prices" in sys.modules)
"""


def test_a_first_start_seeds_and_a_later_one_does_not_even_load_the_catalogue(tmp_path: Path) -> None:
    async def first() -> int:
        async with open_control(tmp_path / "data", None) as control, running_workers(control):
            return len(await prices.in_force(control))

    assert asyncio.run(first()) > 1_500
    again = subprocess.run(
        [sys.executable, "-c", RESTART, str(tmp_path / "data")], capture_output=True, text=True, check=True, timeout=60
    )
    assert again.stdout.strip() == "False"
