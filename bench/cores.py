"""Which processor core does what: the gateway has one to itself, all else shares the other."""

import os
from dataclasses import dataclass


class TooFewCores(Exception):
    """This machine cannot keep the gateway apart from what drives it."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Core numbers as the kernel counts them."""

    load: int
    gateway: int


def choose_cores() -> Cores:
    """The first two cores that this process may use. Raises TooFewCores."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise TooFewCores(f"the benchmark needs two processor cores, one for the gateway; it may use {len(usable)}")
    return Cores(load=usable[0], gateway=usable[1])
