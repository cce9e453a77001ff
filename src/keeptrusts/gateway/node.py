"""One gateway process as a node: its journal, its money, its edition of the rules, and what keeps them current."""

import asyncio
import logging
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from keeptrusts.core.ids import new_id
from keeptrusts.core.ledger.records import Boot, End, LeaseIntent, encode_record
from keeptrusts.core.ledger.wallet import FURTHER
from keeptrusts.core.link import Changes, Heartbeat, Registration, Snapshot
from keeptrusts.core.pricing.price import Price
from keeptrusts.core.pricing.price_book import PriceBook
from keeptrusts.core.refusal import Refused
from keeptrusts.core.rulebook.rulebook import Rulebook
from keeptrusts.gateway.adoption import RETIRED_MARK
from keeptrusts.gateway.answers import Answers, CacheUnusable
from keeptrusts.gateway.background import Background
from keeptrusts.gateway.backlog import Backlog
from keeptrusts.gateway.call import Call, CallIds
from keeptrusts.gateway.caller import Callers, callers_of
from keeptrusts.gateway.client import Client
from keeptrusts.gateway.config_status import Reloads
from keeptrusts.gateway.counts import SharedMemory
from keeptrusts.gateway.edition import Edition
from keeptrusts.gateway.escalations import Escalations
from keeptrusts.gateway.introduction import Introducer
from keeptrusts.gateway.journal import JournalBusy, JournalFailed, machine_boot_id, new_journal
from keeptrusts.gateway.link import Link, LinkDown, LinkRefused
from keeptrusts.gateway.not_ready import RETIRED, STALE, STARTING
from keeptrusts.gateway.observed import Observed
from keeptrusts.gateway.purse_refill import Treasury
from keeptrusts.gateway.recovery import Recovery
from keeptrusts.gateway.registration import registration_of
from keeptrusts.gateway.scopes import Meters
from keeptrusts.gateway.shipper import Shipper
from keeptrusts.gateway.snapshot_file import Snapshots
from keeptrusts.gateway.target_shelf import TargetShelf
from keeptrusts.gateway.waiting_room import WaitingRoom

log = logging.getLogger("keeptrusts::gateway")

RETRY_S = (0.1, 0.2, 0.5, 1.0, 2.0)
FINISH_S = 10.0
FINISH_STUCK_S = 3.0
"""The last shipping ends after FINISH_S, or earlier when nothing has moved for FINISH_STUCK_S."""


class StartRefused(Exception):
    """The gateway can't start, and why: one line for a person."""


class Node:
    """Everything that calls share. ``link_for`` makes a link as the operator, or is None: the gateway runs alone.
    ``limits`` is the memory that it counts in together with other workers."""

    def __init__(
        self,
        rulebook: Rulebook,
        environment: Mapping[str, str],
        data_dir: Path,
        link_for: Callable[[], Link] | None,
        limits: SharedMemory | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.node_id = _fresh_id("nod")
        self.call_ids = CallIds()
        self.observed = Observed()
        self.meters = Meters(limits)
        self.retired = False
        self.reloader: Reloads | None = None
        self.config_version: int | None = None
        self.on_retired: Callable[[], None] | None = None
        self._rulebook = rulebook
        self._environment = environment
        self._root = data_dir / "gateway" / "journals"
        self._snapshots = Snapshots(data_dir / "gateway" / "snapshot.json")
        self._link_for = link_for
        self._link = None if link_for is None else link_for()
        self._edition: Edition | None = None
        self._closed: Refused | None = STARTING
        self._seen_seq = 0
        self._recovering = False
        self.introducer = Introducer(self._link)
        self._stale_at = math.inf
        self._heard(self.loop.time())
        self._background = Background(self._close)
        self.targets = TargetShelf(environment)
        self.targets.put(rulebook)
        self._recovery = Recovery(self._root, link_for, rulebook.journal_retention_s, self._background.keep)
        try:
            self.answers = Answers(rulebook.cache, environment)
            self.journal = new_journal(self._root / self.node_id, self.node_id, rulebook.durability)
        except (JournalBusy, CacheUnusable) as error:
            raise StartRefused(str(error)) from None
        self._boot = encode_record(Boot(self.node_id, machine_boot_id(), time.time_ns()))
        self.journal.append(self._boot)
        self.treasury = Treasury(self.journal, self._link, _fresh_id, rulebook.min_slice_nanos)
        self.waiting_room = WaitingRoom(
            self.treasury,
            self.journal,
            self._link,
            _fresh_id,
            rulebook.hold_wait_s,
            rulebook.max_held_calls,
            time.time_ns,
        )
        self.escalations = Escalations(self.waiting_room, self._link, _fresh_id)
        self.journal.opening = self._opening_records
        self._shipper = None
        self.backlog = Backlog(self.journal, None if self._link is None else rulebook.max_journal_bytes)
        if self._link is not None:
            self._shipper = Shipper(self.journal, self._link, rulebook.journal_retention_s)

    def edition(self) -> Edition:
        """The edition in force. Raises Refused(NOT_READY) while there is none that may be used."""
        if self.loop.time() > self._stale_at:
            # Here too: after the process was stopped or starved for long, calls may be first at the door.
            self._close_if_stale()
        if self._closed is not None:
            raise self._closed.again()
        assert self._edition is not None
        return self._edition

    def new_request_id(self) -> str:
        """An id for a request that is no call."""
        return "req" + self.call_ids.next(time.time_ns())[3:]

    @property
    def rulebook(self) -> Rulebook:
        """The rules in force."""
        return self._rulebook

    @property
    def link_age_s(self) -> float | None:
        """How old what the control plane said is, in seconds; None for a gateway that runs alone."""
        if self._link is None:
            return None
        return max(0.0, self.loop.time() - (self._stale_at - self._rulebook.max_stale_s))

    @property
    def unshipped_records(self) -> int:
        """How many records the control plane has not taken yet."""
        return 0 if self._shipper is None else max(0, self.journal.written_seq - self._shipper.shipped_seq)

    @property
    def callers(self) -> Callers | None:
        """The index of credentials in force; None while there is none."""
        return None if self._edition is None else self._edition.callers

    def go_by(self, rulebook: Rulebook, callers: Callers | None, prices: Sequence[Price]) -> None:
        """Calls that enter from now on go by these rules; ``callers`` is their index. ``taking_rules.py`` prepares it."""
        self._rulebook = rulebook
        self.targets.put(rulebook)
        self.waiting_room.bounded(rulebook.hold_wait_s, rulebook.max_held_calls)
        self.backlog.allow(rulebook.max_journal_bytes)
        if callers is not None and (before := self._edition) is not None:
            self._issue(callers, before.book.with_prices(prices), before.budgeted)

    def now_s(self) -> int:
        """Whole seconds on the clock of the rate limits."""
        return int(self.loop.time())

    @property
    def ready(self) -> bool:
        """Whether calls are served."""
        return self._closed is None and self.journal.failure is None and not self.backlog.full

    def count_unknown(self, refused: Refused, client: Client) -> Refused:
        """A call that no known credential made: counted, and given no row, since anybody could fill the ledger with them.
        Returns how it is refused."""
        if self._edition is not None:
            refused = self._edition.callers.scopes.refuse_unknown(refused, client, self.now_s())
        self.observed.counts.refused(refused)
        return refused

    def report(self, call: Call, error: Exception) -> None:
        """Something is wrong with us: for whoever reads the log."""
        said = {"request_id": call.request_id}
        log.error("Call %s failed inside the gateway: %s: %s", call.call_id, type(error).__name__, error, extra=said)

    async def start(self) -> None:
        """Recovers what crashed nodes left, gets keys and prices, and opens. Without a control plane in reach it opens on
        the saved snapshot, or waits for one. Raises StartRefused."""
        self._background.spawn(self.observed.watch_loop())
        if self._link is None or self._shipper is None:
            callers = callers_of(os.urandom(32), self._rulebook, self.meters)
            await self._recovery.first(self._registration())
            self._open(callers, PriceBook())
            return
        try:
            await self._connect(self._link)
        except LinkDown as error:
            log.warning("Starting without the control plane: %s", error)
            saved = self._snapshots.load()
            if saved is not None:
                self._use(saved.snapshot, bytes.fromhex(saved.key_pepper))
            self._background.spawn(self._connect_later(self._link))
        except LinkRefused as error:
            token = "" if self._rulebook.api is None else f" Check the token in {self._rulebook.api.token_env}."
            raise StartRefused(
                f"the API refused this gateway's registration ({error.status}): {error}.{token}"
            ) from None
        else:
            self._background.spawn(self._keep_current(self._link))
        self._shipper.start()
        self._background.spawn(self.treasury.keep_returning_idle())

    async def _connect(self, link: Link) -> None:
        assert self._link_for is not None
        registered = await link.register(self._registration())
        await self._recovery.first(self._registration())
        asked_at = self.loop.time()
        snapshot = await link.snapshot()
        self._use(snapshot, bytes.fromhex(registered.key_pepper))
        self._snapshots.save(registered.key_pepper, snapshot)
        self._heard(asked_at)

    async def _connect_later(self, link: Link) -> None:
        failures = 0
        while True:
            await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])
            self._close_if_stale()
            try:
                await self._connect(link)
                break
            except LinkDown:
                failures += 1
            except LinkRefused as error:
                failures += 1
                log.error("The API refused this gateway's registration: %s", error)
        log.info("Connected to the control plane.")
        await self._keep_current(link)

    def _use(self, snapshot: Snapshot, pepper: bytes) -> None:
        callers = callers_of(pepper, self._rulebook, self.meters, self._edition.callers if self._edition else None)
        for record in snapshot.keys:
            callers.put(record)
        self._seen_seq = snapshot.seq
        self._open(callers, PriceBook(snapshot.prices), frozenset(snapshot.budgeted))

    def _open(self, callers: Callers, book: PriceBook, budgeted: frozenset[str] = frozenset()) -> None:
        self._issue(callers, book, budgeted)
        self._closed = None

    def _issue(self, callers: Callers, book: PriceBook, budgeted: frozenset[str]) -> None:
        self._edition = Edition(
            self._rulebook, book, callers, self.targets, self._environment, self.treasury.purse, budgeted=budgeted
        )

    async def _keep_current(self, link: Link) -> None:
        failures = 0
        while True:
            # An answer is no older than its question; when it is read says nothing of its age.
            asked_at = self.loop.time()
            try:
                changes = await link.changes(self._heartbeat())
                self._heard(asked_at)
                if failures:
                    log.info("The control plane is in reach again.")
                failures = 0
                if changes.retired:
                    self._end_as_retired()
                    return
                if await self.introducer.tell_late() or changes.resync:
                    await self._connect(link)
                else:
                    self._apply(changes)
                self._bring_back(changes.recovering)
                if self._closed is STALE and self.loop.time() <= self._stale_at:
                    self._closed = None
            except LinkDown as error:
                if failures == 0:
                    log.warning("The control plane is out of reach: %s", error)
                failures += 1
            except LinkRefused as error:
                log.warning("The control plane does not know this gateway any more (%s): registering again.", error)
                failures += 1
                try:
                    await self._connect(link)
                except (LinkDown, LinkRefused) as trouble:
                    log.error("Registering again failed: %s", trouble)
            if failures:
                self._close_if_stale()
                await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S)) - 1])

    def _heartbeat(self) -> Heartbeat:
        shipped_seq = 0 if self._shipper is None else self._shipper.shipped_seq
        return Heartbeat(
            self._seen_seq,
            self.treasury.purse.held_nanos(),
            self.journal.appended_seq,
            shipped_seq,
            self.treasury.grants_noted,
        )

    def _bring_back(self, recovering: bool) -> None:
        """The store has lost something: it gets what it lacks of this journal, and once of those that had ended well."""
        if recovering and self._shipper is not None:
            self._shipper.check()
        if recovering and not self._recovering:
            log.warning(
                "The ledger is in recovery mode: it gets everything again that it lacks, and grants nothing meanwhile."
            )
            self._background.spawn(self._recovery.ship_retired(self._registration()))
        self._recovering = recovering

    def _end_as_retired(self) -> None:
        """Somebody took this node for lost: its leases are in suspense. A new start is a new node, which recovers this one."""
        log.critical("This node was retired by an operator: it serves no more. Start the gateway again.")
        self.retired = True
        self._closed = RETIRED
        if self.on_retired is not None:
            self.on_retired()

    def _apply(self, changes: Changes) -> None:
        self._seen_seq = changes.seq
        edition = self._edition
        assert edition is not None
        for record in changes.keys:
            edition.callers.put(record)
        if changes.prices or changes.keys:
            self._edition = edition = edition.with_prices(edition.book.with_prices(changes.prices))
            self._snapshots.save_soon(partial(edition.as_snapshot, changes.seq))
        for wallet in changes.wallets:
            self._know_budget(wallet.name)
            self.treasury.wallet_changed(wallet)
            self.waiting_room.wallet_changed(wallet)
        self.waiting_room.decided(changes.tickets)
        self.escalations.decided(changes.tickets)

    def _know_budget(self, name: str) -> None:
        """A project, key, user or feature may have a wallet since now: its calls spend from that too."""
        edition = self._edition
        if edition is not None and name.partition(":")[0] in FURTHER and name not in edition.budgeted:
            self._edition = edition.with_budgeted(edition.budgeted | {name})

    def _heard(self, at: float) -> None:
        """What the control plane said is as of then. A gateway that runs alone has nobody to hear from."""
        if self._link is not None:
            self._stale_at = at + self._rulebook.max_stale_s

    def _close_if_stale(self) -> None:
        if self._closed is None and self.loop.time() > self._stale_at:
            log.error("Nothing heard from the control plane for %d s: no longer serving.", self._rulebook.max_stale_s)
            self._closed = STALE

    def _registration(self) -> Registration:
        return registration_of(self.node_id, self._rulebook, self.config_version)

    def _close(self) -> None:
        self._closed = STARTING

    async def stop(self, all_ended: bool = True) -> None:
        """Gives every lease back, ends the journal and ships it, within a bound; what stays is shipped at the next start.

        ``all_ended`` says that every call has written its event. Cancelled, it stops at once.
        """
        self._close()
        try:
            await self._background.end()
            self.treasury.return_all()
            ended = all_ended and not self.treasury.purse.open_leases()
            if ended:
                self.journal.append(encode_record(End()))
            if self._shipper is not None:
                await self._ship_rest(self._shipper, ended)
            await self.answers.close()
        finally:
            self.journal.close()
            self.targets.close()
            if self._link is not None:
                self._link.close()

    async def _ship_rest(self, shipper: Shipper, ended: bool) -> None:
        with suppress(JournalFailed):
            await self.journal.written()
        if not await shipper.finish(FINISH_S, FINISH_STUCK_S):
            log.warning("Not all of the journal was shipped: the next start on this data directory ships the rest.")
        elif ended:
            # A call that was cut off still holds money: then the next start recovers it from the journal.
            (self.journal.directory / RETIRED_MARK).touch()

    def _opening_records(self) -> list[bytes]:
        """What a segment must begin with to be replayed without those before it: who the node is, and its leases."""
        leases = [(lease.lease_id, lease.team_id) for lease in self.treasury.purse.open_leases()]
        leases += self.waiting_room.announced()
        return [self._boot, *(encode_record(LeaseIntent(lease_id, team_id)) for lease_id, team_id in leases)]


def _fresh_id(prefix: str) -> str:
    return new_id(prefix, time.time_ns() // 1_000_000, os.urandom(8))
