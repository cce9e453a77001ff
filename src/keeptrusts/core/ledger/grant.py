"""How much of a wallet one node gets when it asks: slices while there is plenty, exactly what a call needs near the cap."""

from msgspec import Struct

from keeptrusts.core.ledger.wallet import WalletPeriod, grantable


class GrantRequest(Struct, frozen=True):
    """A node asks for money of a team. ``need_nanos`` is what its waiting call lacks, ``want_nanos`` what it would like.

    ``lease_id`` and ``grant_id`` are the node's own, journaled before it asks: asking again with the same ``grant_id``
    returns the same answer and moves nothing.
    """

    grant_id: str
    lease_id: str
    team_id: str
    need_nanos: int
    want_nanos: int


class WalletView(Struct, frozen=True):
    """A team's tightest budget as a node must know it to explain a refusal. Amounts in nano-USD.

    ``lease_settled`` is how much of the asking lease's spend is already inside ``spent``, so that a node can add what it
    has settled and not shipped. ``leased_elsewhere`` may still come back; 0 means that waiting for others is useless.
    """

    team_id: str
    version: int
    budget: int
    spent: int
    suspense: int
    leased_elsewhere: int
    lease_settled: int
    allocated: bool


class GrantAnswer(Struct, frozen=True):
    """``granted_nanos`` below the need says that nothing more is left. ``ends_in_s`` is how long the lease's periods last."""

    granted_nanos: int
    ends_in_s: float
    view: WalletView


def grant_size(periods: list[WalletPeriod], need: int, want: int, live_nodes: int, block_percent: int) -> int:
    """Nano-USD to grant: half of a node's fair share at most, but never less than ``need`` while there is as much.

    When the need does not fit, all that is left: the node adds it to what its settling calls free, and decides alone.
    """
    free = grantable(periods, block_percent)
    return min(free, max(need, min(want, free // (2 * max(1, live_nodes)))))
