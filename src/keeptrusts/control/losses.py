"""What a store that may have lost something does not do: grant money that nodes already have."""

from keeptrusts.core.ledger.recovery import Recovery, Said, loss
from keeptrusts.store.contracts import Ledger, StoreAway


class StoreBehind(StoreAway):
    """The store knows of less than it once told a node: it was restored to an older state. The message says which."""


class InRecovery(StoreAway):
    """The store is in recovery mode and grants nothing for now."""

    def __init__(self, recovery: Recovery) -> None:
        super().__init__(
            f"the ledger is in recovery mode and grants no money until its nodes have brought back what it lost: {recovery.reason}"
        )


async def refuse_what_may_be_lost(ledger: Ledger, node_id: str, grants_noted: int) -> None:
    """Raises InRecovery or StoreBehind when a grant might hand out money that is out already."""
    recovery, mark = await ledger.recovery.standing(node_id)
    if recovery is not None:
        raise InRecovery(recovery)
    lost = loss(node_id, Said(0, 0, grants_noted), mark, 0)
    if lost is not None:
        raise StoreBehind(lost)
