"""L3, L11 and L12 of a lease: what was granted holds what was spent, every wallet above is debited, and nobody who is
gone holds any."""

from collections.abc import Iterable, Iterator, Mapping

from keeptrusts.core.ledger.invariants.findings import Finding
from keeptrusts.core.ledger.invariants.rows import LeaseRow, NodeRow, WalletRow

SETTLED_MS = 60_000
"""How long before a lease a change to the tree must have been made, so that clocks apart can't make it look later."""


def within_lease(lease: LeaseRow) -> Iterator[Finding]:
    """L3: a lease spends, returns and suspends no more than it was granted, and a closed one has nothing left."""
    subject = f"lease {lease.lease_id}"
    if lease.remainder < 0:
        spent = lease.settled + lease.returned
        yield Finding("L3", subject, "settled and returned", f"at most {lease.granted}", spent)
    if lease.closed and lease.remainder > 0:
        yield Finding("L3", subject, "left in a closed lease", 0, lease.remainder)
    if not lease.resolved <= lease.suspended <= lease.returned:
        yield Finding("L3", subject, "suspended", f"{lease.resolved} to {lease.returned}", lease.suspended)
    if lease.granted and not lease.lines:
        yield Finding("L3", subject, "it debits no wallet period")


def grants(mismatches: Iterable[tuple[str, int, int]]) -> Iterator[Finding]:
    """L3: leases whose recorded grants are not what they were granted: id, the sum of its grants, and what it says."""
    for lease_id, by_grants, granted in mismatches:
        yield Finding("L3", f"lease {lease_id}", "granted, by its recorded grants", by_grants, granted)


def all_above_pay(
    lease: LeaseRow, wallets: Mapping[str, WalletRow], bound_since_ms: Mapping[str, Mapping[str, int]]
) -> Iterator[Finding]:
    """L11: a lease debits every period kind of every wallet above the ones that it debits, so that each parent's posted is
    its own and its children's.

    ``bound_since_ms`` says since when each wallet has a budget of each kind. Budgets and places in the tree that are
    younger than the lease don't count, nor does a wallet that lets calls fall back on its parent's money.
    """
    debited: dict[str, set[str]] = {}
    for wallet_id, kind, _ in lease.lines:
        debited.setdefault(wallet_id, set()).add(kind)
    before_ms = lease.created_at_ms - SETTLED_MS
    for wallet_id in debited:
        wallet = wallets.get(wallet_id)
        if wallet is None or wallet.parent_id is None or wallet.placed_at_ms > before_ms:
            continue
        above = wallets.get(wallet.parent_id)
        if above is None or above.placed_at_ms > before_ms:
            continue
        if above.wallet_id not in debited and above.fallback == "parent":
            continue
        since = bound_since_ms.get(above.wallet_id, {})
        kinds = {kind for kind, bound_ms in since.items() if bound_ms <= before_ms}
        for kind in sorted(kinds - debited.get(above.wallet_id, set())):
            yield Finding(
                "L11",
                f"lease {lease.lease_id}",
                f"debits {wallet_id}, but not its parent's {kind} budget of {above.wallet_id}",
            )


def nobody_gone_holds(lease: LeaseRow, node: NodeRow | None, at_rest: bool) -> Iterator[Finding]:
    """L12: an ended or retired node has no open lease; at rest, when every gateway has stopped, nobody has."""
    if lease.closed:
        return
    if node is not None and node.state != "live":
        yield Finding(
            "L12", f"lease {lease.lease_id}", f"open, but its node {lease.node_id} has {node.state}", 0, lease.remainder
        )
    elif at_rest:
        yield Finding(
            "L12", f"lease {lease.lease_id}", f"open at rest, in the hands of node {lease.node_id}", 0, lease.remainder
        )
