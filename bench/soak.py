"""Does the gateway grow? A million governed calls, and its memory after each tenth of them.

`python -m bench.soak` (also `--calls 200000`, `--stream`). The ledger is checked at the end as in the benchmark.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.cores import TooFewCores, choose_cores
from bench.load import Plan, closed_loop
from bench.mock_child import mock_provider
from bench.peers.gateway import NotAvailable, Running, Site
from bench.peers.keeptrusts import KEEPTRUSTS
from bench.peers.starting import PROBES
from bench.requests import Ask, request_bytes

_SLICES = 10
_SECONDS_MAX = 3600.0


@contextmanager
def _running(folder: Path) -> Iterator[Running]:
    cores = choose_cores()
    os.sched_setaffinity(0, {cores.load})
    with mock_provider(cores, folder) as mock:
        site = folder / "keeptrusts"
        site.mkdir()
        with KEEPTRUSTS.serve(Site(mock, site, folder, cores)) as running:
            yield running


def main() -> int:
    """Print one line a slice, then what the ledger says; 1 when a call went wrong."""
    parser = argparse.ArgumentParser(description="Watch the gateway's memory over many governed calls.")
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--stream", action="store_true")
    options = parser.parse_args()
    slice_calls = max(1, options.calls // _SLICES)
    answered = PROBES
    try:
        with tempfile.TemporaryDirectory(prefix="kt-soak-") as folder, _running(Path(folder)) as running:
            print(f"started: {running.child.resident_bytes() / 1e6:.1f} MB")
            request = request_bytes(running.address, Ask(stream=options.stream))
            plan = Plan(running.address.port, request, options.stream, _SECONDS_MAX, calls_max=slice_calls)
            for _ in range(_SLICES):
                tally = closed_loop(plan)
                answered += tally.calls
                resident_mb = running.child.resident_bytes() / 1e6
                print(f"{answered:>9,} calls: {resident_mb:.1f} MB, {tally.calls_per_s:,.0f} calls/s", flush=True)
                if tally.errors:
                    print(f"{tally.errors} wrong answers; first: {tally.first_error}")
                    return 1
            if running.audit is not None:
                print(running.audit(answered))
    except (NotAvailable, TooFewCores, AssertionError) as error:
        print(f"soak: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
