"""A gateway's link without sockets: the real control plane's functions, in this process."""

from keeptrusts.control import nodes, retirement
from keeptrusts.control.batches import apply_batch
from keeptrusts.control.context import Control
from keeptrusts.control.journal_reading import JournalFork, JournalGap
from keeptrusts.control.leases import grant
from keeptrusts.control.retrying import idempotent
from keeptrusts.core.ledger.grant import GrantAnswer, GrantRequest
from keeptrusts.core.ledger.journal_format import DamagedJournal
from keeptrusts.core.link import Changes, Heartbeat, Lost, Registered, Registration, Shipped, Snapshot
from keeptrusts.gateway.link import LinkDown, LinkRefused, SequenceGap
from keeptrusts.store.contracts import StoreAway


class LocalLink:
    """Speaks as the node that registered last."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._node_id = ""

    async def register(self, registration: Registration) -> Registered:
        self._node_id = registration.node_id
        return await nodes.register(self._control, registration)

    async def snapshot(self) -> Snapshot:
        raise LinkRefused(404, "nobody needs keys here")

    async def changes(self, heartbeat: Heartbeat) -> Changes:
        raise LinkRefused(404, "nobody needs news here")

    async def grant(self, request: GrantRequest) -> GrantAnswer:
        control = self._control
        terms = await nodes.terms_of(control, self._node_id)
        try:
            return await idempotent(lambda: grant(control.store, control.tools, terms, request))
        except StoreAway as away:
            raise LinkDown(str(away)) from None

    async def ship(self, groups: bytes, first_seq: int, previous_chain: bytes) -> Shipped:
        control = self._control
        terms = await nodes.terms_of(control, self._node_id)
        try:
            return Shipped(
                await idempotent(
                    lambda: apply_batch(control.store, control.tools, terms, groups, first_seq, previous_chain)
                )
            )
        except JournalGap as gap:
            raise SequenceGap(gap.last_seq) from None
        except (JournalFork, DamagedJournal) as wrong:
            raise LinkRefused(422, str(wrong)) from None
        except StoreAway as away:
            raise LinkDown(str(away)) from None

    async def report_lost(self, lost: Lost) -> None:
        await retirement.report_lost(self._control, self._node_id, lost.why)

    def close(self) -> None:
        """Nothing is open."""
