"""What every operation of the control plane works with, and who asks for it."""

import asyncio
import os
from collections.abc import Callable
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Struct

from keeptrusts.clock import NANOS_PER_MS, Clock, instant_at
from keeptrusts.control.bell import Bell
from keeptrusts.control.ledger_watch import LedgerWatch
from keeptrusts.control.presence import Presence
from keeptrusts.core.ids import new_id
from keeptrusts.core.ledger.alerts import Threshold
from keeptrusts.core.link import Registration
from keeptrusts.store.books import SqlStore
from keeptrusts.store.grant_tally import GrantTally
from keeptrusts.store.seal import Seal

ID_BYTES = 10
SHIPMENTS_AT_ONCE = 4

Draw = Callable[[int], bytes]
"""Gives that many bytes from a cryptographic source."""


class Actor(Struct, frozen=True):
    """Who asks: the admin token, an access key (``tok_...``) or a gateway node, by id; or the control plane by itself."""

    kind: Literal["admin", "access_key", "node", "system"]
    actor_id: str


class Tools(Struct, frozen=True):
    """What the shell lends to an operation: the clock and the dice."""

    clock: Clock
    draw: Draw = os.urandom

    def now(self) -> datetime:
        """This instant, aware, in UTC."""
        return instant_at(self.clock.unix_ns())

    def now_ms(self) -> int:
        """Unix milliseconds."""
        return self.clock.unix_ns() // NANOS_PER_MS

    def new_id(self, prefix: str) -> str:
        """A fresh id that sorts by its time."""
        return new_id(prefix, self.now_ms(), self.draw(ID_BYTES))


class NodeTerms(Struct, frozen=True):
    """What a node's registration means for money: whether wallets bind it, its alerts, and who is alive beside it."""

    node_id: str
    enforced: bool
    thresholds: tuple[Threshold, ...]
    alive: frozenset[str]


class Control(Struct):
    """The open control plane of one API process."""

    store: SqlStore
    tools: Tools
    pepper: bytes
    admin_digest: str
    seal: Seal
    presence: Presence
    bell: Bell
    watch: LedgerWatch
    tally: GrantTally | None
    """None where several processes share the store."""
    registrations: dict[str, Registration]
    """Nodes that spoke lately, by id: a registration never changes once it is made."""

    shipments: asyncio.Semaphore = msgspec.field(default_factory=lambda: asyncio.Semaphore(SHIPMENTS_AT_ONCE))
    """Whoever ships a piece of a journal waits here with its bytes: taken apart they take several times as much room."""

    strict_teams: bool = False
    """Whether only teams that somebody has entered can be given money or keys."""
