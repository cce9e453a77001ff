"""What an inspection of the ledger found, and how it is said."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

Fault = Literal["edited", "gone", "inserted", "renumbered", "damaged", "unknown_signer", "unlinked", "unseen"]
"""``damaged`` and those after it speak of checkpoints: their text or their list of rows was altered; signed by nobody who is
trusted; not the successor of the one before; not the one that a witness saw."""

OFFENCES_MAX = 1_000
"""Offences that are told one by one; beyond them only their number."""


class Offence(Struct, frozen=True):
    """One thing that does not hold. ``table`` and ``number`` name the row; ``row_id`` is what people know it by, as far as
    the row itself still says it; ``checkpoint`` is the one that covered it."""

    fault: Fault
    table: str
    number: int
    row_id: str | None
    checkpoint: int | None
    message: str


class Report(Struct, frozen=True):
    """The end of an inspection. ``uncovered`` rows came after the last checkpoint; nothing is known of them yet.

    ``pinned``: the signers were held against keys that somebody named. ``latest`` and ``latest_hash`` are worth keeping
    elsewhere. ``offence_count`` may be more than the offences that are listed.
    """

    checkpoints: int
    covered: Mapping[str, int]
    uncovered: Mapping[str, int]
    cost_nanos: int
    latest: int | None
    latest_hash: str | None
    signers: tuple[str, ...]
    pinned: bool
    offence_count: int
    offences: tuple[Offence, ...]

    @property
    def proven(self) -> bool:
        """Everything that checkpoints cover is as it was; and there is one, or nothing to cover."""
        return self.offence_count == 0 and (self.latest is not None or not any(self.uncovered.values()))
