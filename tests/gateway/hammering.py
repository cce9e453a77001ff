"""A worker that does nothing but pass the gate of limits that it shares, and tells of each call that it got through.

``python -m tests.gateway.hammering FD NUMBER PIPE``: the shared memory, its place there, where it tells.
"""

import os
import sys
import time

from keeptrusts.core.limits.gate import Gate, Permit
from keeptrusts.core.limits.meter import Meter
from keeptrusts.core.limits.quotas import Quota, Quotas
from keeptrusts.gateway.counts import SharedMemory

ALLOWED = 40_000
QUOTAS = Quotas((Quota("requests", ALLOWED, 60), Quota("tokens", 10**9, 60), Quota("requests", ALLOWED, 3_600)))
SCOPES = ("key k", "group g")


def gate_of(fd: int, number: int) -> Gate:
    """The gate of this worker."""
    memory = SharedMemory(fd, number)
    return memory.gate([Meter(scope, QUOTAS, memory) for scope in SCOPES], True, 1)


def main(fd: int, number: int, pipe: int) -> None:
    """Goes on until it is killed."""
    gate, now_s = gate_of(fd, number), int(time.monotonic())
    while True:
        passed = gate.enter(100, now_s)
        if isinstance(passed, Permit):
            os.write(pipe, b"x")
            passed.leave(37, now_s)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
