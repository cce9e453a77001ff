"""Ledger entries: the lines of a wallet's statement, each with the balance that it left behind."""

from typing import Literal

from msgspec import Struct

EntryType = Literal["allocate", "credit", "transfer", "reclaim", "settle", "void", "adjust"]


class Entry(Struct, frozen=True, gc=False):
    """One line, in nano-USD; never changed once written.

    ``amount`` by type: ``allocate`` the period's new budget, ``credit``, ``transfer`` and ``reclaim`` what was added to it
    (below zero: taken from it), ``settle`` what an attempt cost, ``void`` the hold that went back, ``adjust`` what was spent of money that was in doubt. ``balance`` is the
    period's funds less its spend right after it; ``period_key`` names the period.
    """

    wallet_id: str
    type: EntryType
    amount: int
    balance: int
    period_key: str
    event_id: str | None
    actor: str
    description: str | None
    at_ns: int


class NumberedEntry(Struct, frozen=True):
    """An entry with the number that the store gave it; numbers rise in the order of writing."""

    number: int
    entry: Entry
