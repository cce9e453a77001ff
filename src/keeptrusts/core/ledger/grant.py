"""How much one node gets when it asks: slices while there is plenty, exactly what a call needs near the cap; and of which
wallets, when an empty one may fall back on its parent's money."""

from collections.abc import Sequence

from msgspec import Struct

from keeptrusts.core.ledger.wallet import SCOPES, Wallet, WalletPeriod


class GrantRequest(Struct, frozen=True):
    """A node asks for money. ``need_nanos`` is what its waiting call lacks, ``want_nanos`` what it would like.

    ``also`` names the further budgets that the calls spend from beside the team's (``project:search``, ``key:tok_1``).
    ``lease_id`` and ``grant_id`` are the node's own, journaled before it asks: asking again with the same ``grant_id``
    returns the same answer and moves nothing. ``grants_noted`` is how many grants the node has noted so far: a store that
    knows of fewer has lost some.
    """

    grant_id: str
    lease_id: str
    team_id: str
    need_nanos: int
    want_nanos: int
    also: tuple[str, ...] = ()
    grants_noted: int = 0


class WalletView(Struct, frozen=True):
    """The tightest of the budgets that bind a lease, as a node must know it to explain a refusal. Amounts in nano-USD.

    ``wallet`` names whose it is (``team:team_a``), ``wallet_ids`` are all wallets of the lease's way up the tree.
    ``lease_settled`` is how much of the asking lease's spend is already inside ``spent``, so that a node can add what it
    has settled and not shipped. ``leased_elsewhere`` may still come back; 0 means that waiting for others is useless.
    ``stopped`` names a frozen or closed wallet; ``escalates``: who finds too little is held for an approver.
    """

    team_id: str
    version: int
    budget: int
    spent: int
    suspense: int
    leased_elsewhere: int
    lease_settled: int
    allocated: bool
    wallet: str = ""
    wallet_id: str = ""
    wallet_ids: tuple[str, ...] = ()
    stopped: str | None = None
    escalates: bool = False


class GrantAnswer(Struct, frozen=True):
    """``granted_nanos`` below the need says that nothing more is left. ``ends_in_s`` is how long the lease's periods last;
    0 with nothing granted: this lease is of no use any more, ask with a new one."""

    granted_nanos: int
    ends_in_s: float
    view: WalletView


class Bound(Struct, frozen=True):
    """One wallet period that a lease would debit, and up to what it may be used.

    ``limit_nanos`` None: nothing bounds it. ``budget_nanos`` is the limit without regard to a ``block`` threshold: what
    people are told. ``promised_nanos`` is what its children's budgets still claim: a lease that enters the tree here, and
    not through a child, must leave that much.
    """

    wallet: Wallet
    period: WalletPeriod
    limit_nanos: int | None
    budget_nanos: int | None = None
    promised_nanos: int = 0
    escalates: bool = False

    @property
    def free_nanos(self) -> int | None:
        """What may still be leased, whatever children claim; None when nothing bounds it."""
        return None if self.limit_nanos is None else self.limit_nanos - self.period.used


def parents_of(bounds: Sequence[Bound]) -> frozenset[str]:
    """The wallets that others of these draw on."""
    return frozenset(bound.wallet.parent_id for bound in bounds if bound.wallet.parent_id is not None)


def free_nanos(bounds: Sequence[Bound]) -> int:
    """The most that one lease may take from all of these at once; 0 when nothing bounds it."""
    frees = [free for _, free in _frees(bounds)]
    return max(0, min(frees)) if frees else 0


def tightest(bounds: Sequence[Bound]) -> Bound:
    """The one that has the least to give; of equals, the one farthest down, which people know best."""
    frees = _frees(bounds)
    return min(frees, key=lambda each: (each[1], -SCOPES.index(each[0].wallet.scope)))[0] if frees else bounds[0]


def limit_of(bound: Bound, bounds: Sequence[Bound]) -> int | None:
    """Up to what a lease that goes by all of ``bounds`` may use this one."""
    if bound.limit_nanos is None or bound.wallet.wallet_id in parents_of(bounds):
        return bound.limit_nanos
    return bound.limit_nanos - bound.promised_nanos


def _frees(bounds: Sequence[Bound]) -> list[tuple[Bound, int]]:
    parents = parents_of(bounds)
    return [
        (bound, free if bound.wallet.wallet_id in parents else free - bound.promised_nanos)
        for bound in bounds
        if (free := bound.free_nanos) is not None
    ]


def paying(bounds: Sequence[Bound], need: int) -> list[Bound]:
    """The bounds that a lease of ``need`` goes by: all of them, or those without wallets that can't pay it and let calls go
    on with their parent's money. When that does not help either, those of the way that has more left: all of them unless
    passing empty ones by leaves more."""
    kept = list(bounds)
    while True:
        parents = {bound.wallet.wallet_id for bound in kept}
        short = {bound.wallet for bound, free in _frees(kept) if free < need}
        if not short:
            return kept
        passed = {w.wallet_id for w in short if w.fallback == "parent" and w.parent_id in parents}
        if not passed:
            # A smaller call behind this one may still fit: by whichever way has more to give.
            return kept if free_nanos(kept) > free_nanos(bounds) else list(bounds)
        kept = [bound for bound in kept if bound.wallet.wallet_id not in passed]


def grant_size(free: int, need: int, want: int, live_nodes: int) -> int:
    """Nano-USD to grant of ``free``: half of a node's fair share at most, but never less than ``need`` while there is as much.

    When the need does not fit, all that is left: the node adds it to what its settling calls free, and decides alone.
    """
    return min(free, max(need, min(want, free // (2 * max(1, live_nodes)))))
