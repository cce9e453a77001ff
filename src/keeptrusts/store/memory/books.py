"""What is only ever added to, in memory: journals' positions, entries, events, alerts, changes, key use."""

from collections.abc import Sequence

from keeptrusts.core.ledger.entry import Entry, NumberedEntry
from keeptrusts.core.ledger.recovery import NodeMark, Recovery
from keeptrusts.core.ledger.standing import PeriodKey
from keeptrusts.core.metering.event_row import EventRow
from keeptrusts.store.contracts import Change, Unapplied
from keeptrusts.store.memory.state import BrokenRule, State


class MemoryJournals:
    """See contracts.Journals."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def position(self, node_id: str) -> tuple[int, bytes] | None:
        """See contracts.Journals."""
        return self._state.journals.get(node_id)

    async def advance(self, node_id: str, last_seq: int, chain: bytes) -> None:
        """See contracts.Journals."""
        self._state.journals[node_id] = (last_seq, chain)

    async def end(self, node_id: str) -> None:
        """See contracts.Journals. This store knows no nodes."""

    async def retired(self, node_id: str) -> bool:
        """See contracts.Journals."""
        return self._state.retired.get(node_id, False)

    async def retire(self, node_id: str) -> None:
        """See contracts.Journals."""
        self._state.retired[node_id] = True

    async def quarantine(self, node_id: str, seq: int, record: bytes, reason: str, at_ms: int) -> None:
        """See contracts.Journals."""
        if (node_id, seq) in self._state.quarantine:
            raise BrokenRule(f"record {seq} of {node_id} is in quarantine already")
        self._state.quarantine[node_id, seq] = Unapplied(seq, record, reason)

    async def quarantined(self, node_id: str) -> list[Unapplied]:
        """See contracts.Journals."""
        return [kept for (node, _), kept in sorted(self._state.quarantine.items()) if node == node_id]


class MemoryRecovery:
    """See contracts.Recoveries."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def state(self) -> Recovery | None:
        """See contracts.Recoveries."""
        return self._state.recovery.get("")

    async def begin(self, since_ms: int, reason: str) -> bool:
        """See contracts.Recoveries."""
        if self._state.recovery:
            return False
        self._state.recovery[""] = Recovery(since_ms, reason)
        return True

    async def standing(self, node_id: str) -> tuple[Recovery | None, NodeMark]:
        """See contracts.Recoveries."""
        leases = self._state.leases
        grants = sum(leases[lease_id].node_id == node_id for lease_id, _ in self._state.grants.values())
        return await self.state(), NodeMark(grants)


class MemoryEntries:
    """See contracts.Entries."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def add_all(self, entries: Sequence[Entry]) -> None:
        """See contracts.Entries."""
        for entry in entries:
            self._state.entries[len(self._state.entries) + 1] = entry

    async def latest(
        self, wallet_id: str, before_number: int | None, since_ns: int, until_ns: int, limit: int
    ) -> list[NumberedEntry]:
        """See contracts.Entries."""
        found = [
            NumberedEntry(number, entry)
            for number, entry in self._state.entries.items()
            if entry.wallet_id == wallet_id
            and (before_number is None or number < before_number)
            and since_ns <= entry.at_ns < until_ns
        ]
        return found[::-1][:limit]


class MemoryEvents:
    """See contracts.Events."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def known(self, event_ids: Sequence[str]) -> set[str]:
        """See contracts.Events."""
        return {event_id for event_id in event_ids if event_id in self._state.events}

    async def add_all(self, rows: Sequence[EventRow]) -> None:
        """See contracts.Events."""
        for row in rows:
            if row.event_id in self._state.events:
                raise BrokenRule(f"event {row.event_id} is there already")
            self._state.events[row.event_id] = row


class MemoryAlerts:
    """See contracts.Alerts."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def fired(self, key: PeriodKey) -> frozenset[str]:
        """See contracts.Alerts."""
        return frozenset(threshold for period, threshold in self._state.alerts if period == key)

    async def add(self, key: PeriodKey, threshold: str, event_id: str, at_ns: int) -> None:
        """See contracts.Alerts."""
        if (key, threshold) in self._state.alerts:
            raise BrokenRule(f"threshold {threshold} has fired already")
        self._state.alerts[key, threshold] = event_id


class MemoryChanges:
    """See contracts.Changes."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def add(
        self, kind: str, subject_id: str, version: int = 0, recall: bool = False, except_node_id: str | None = None
    ) -> None:
        """See contracts.Changes."""
        seq = await self.last_seq() + 1
        self._state.changes[seq] = Change(seq, kind, subject_id, version, recall, except_node_id)

    async def last_seq(self) -> int:
        """The number of the newest change, 0 before the first."""
        return len(self._state.changes)

    async def after(self, seq: int, limit: int) -> list[Change]:
        """See contracts.Changes."""
        return [change for number, change in self._state.changes.items() if number > seq][:limit]


class MemoryKeyUse:
    """See contracts.KeyUse."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def mark_used(self, at_ns_by_key: dict[str, int]) -> None:
        """See contracts.KeyUse."""
        for key_id, at_ns in at_ns_by_key.items():
            self._state.used_at_ns[key_id] = max(at_ns, self._state.used_at_ns.get(key_id, 0))

    async def mark_short(self, at_ns_by_key: dict[str, int]) -> None:
        """See contracts.KeyUse. Nobody is suspended here: there are no keys."""
