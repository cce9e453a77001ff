"""A gateway's link without sockets: the real control plane's functions on a ledger store in this process."""

from keeptrusts.control.batches import apply_batch
from keeptrusts.control.context import NodeTerms, Tools
from keeptrusts.control.journal_reading import JournalFork, JournalGap
from keeptrusts.control.leases import grant
from keeptrusts.control.retrying import idempotent
from keeptrusts.core.ledger.grant import GrantAnswer, GrantRequest
from keeptrusts.core.ledger.journal_format import DamagedJournal
from keeptrusts.core.link import Changes, Heartbeat, Registered, Registration, Shipped, Snapshot
from keeptrusts.gateway.link import LinkDown, LinkRefused, SequenceGap
from keeptrusts.store.contracts import LedgerStore, StoreAway


class LocalLink:
    """Speaks as the node that registered last."""

    def __init__(self, store: LedgerStore, tools: Tools) -> None:
        self._store = store
        self._tools = tools
        self._terms = NodeTerms("", True, (), frozenset())

    async def register(self, registration: Registration) -> Registered:
        self._terms = NodeTerms(registration.node_id, True, (), frozenset())
        return Registered("no-token", "00" * 32)

    async def snapshot(self) -> Snapshot:
        raise LinkRefused(404, "nobody needs keys here")

    async def changes(self, heartbeat: Heartbeat) -> Changes:
        raise LinkRefused(404, "nobody needs news here")

    async def grant(self, request: GrantRequest) -> GrantAnswer:
        try:
            return await idempotent(lambda: grant(self._store, self._tools, self._terms, request))
        except StoreAway as away:
            raise LinkDown(str(away)) from None

    async def ship(self, groups: bytes, first_seq: int, previous_chain: bytes) -> Shipped:
        try:
            return Shipped(
                await idempotent(
                    lambda: apply_batch(self._store, self._tools, self._terms, groups, first_seq, previous_chain)
                )
            )
        except JournalGap as gap:
            raise SequenceGap(gap.last_seq) from None
        except (JournalFork, DamagedJournal) as wrong:
            raise LinkRefused(422, str(wrong)) from None
        except StoreAway as away:
            raise LinkDown(str(away)) from None

    def close(self) -> None:
        """Nothing is open."""
