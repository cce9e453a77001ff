"""Where a team's money comes from when the node's lease runs short: one question to the store at a time, and who waits."""

import asyncio
import logging
import time
from collections.abc import Callable

from keeptrusts.core.ledger.grant import GrantAnswer, GrantRequest
from keeptrusts.core.ledger.records import CloseLease, Granted, LeaseIntent, encode_record
from keeptrusts.core.link import WalletChange
from keeptrusts.core.money import MAX_NANOS
from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.gateway.journal import Journal, JournalFailed
from keeptrusts.gateway.link import Link, LinkDown
from keeptrusts.gateway.purse import Account, Lease, Purse, Waiter
from keeptrusts.gateway.refusals import unwritten
from keeptrusts.gateway.shortage import (
    ALONE,
    AWAY,
    REJECTED,
    RETRY_AFTER_S,
    SLOW,
    crowded,
    insufficient,
    refusal,
    unverifiable,
)

log = logging.getLogger("keeptrusts::gateway")

REMEMBER_SHORT_S = 1.0
"""How long a refusal by the store is believed without asking again, unless the wallet changes before."""

REMEMBER_AWAY_S = 0.2
"""How long the store is taken to be out of reach without trying again."""

SLICE_HOLDS = 64
"""A slice covers about so many holds of the kind at hand, so that a busy team asks rarely."""

IDLE_S = 30.0
"""A lease that no call has touched for so long goes back."""

LONGEST_TIMER_S = 30 * 86_400.0


class Treasury:
    """Fills accounts from the store, keeps those who wait in line, and refuses whom nothing can help."""

    def __init__(
        self,
        journal: Journal,
        link: Link | None,
        new_id: Callable[[str], str],
        min_slice_nanos: int,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._journal = journal
        self._link = link
        self._new_id = new_id
        self._min_slice_nanos = min_slice_nanos
        self._now_ns = now_ns
        self._tasks: set[asyncio.Task[None]] = set()
        self._away_logged = False
        self.grants_noted = 0
        self.purse = Purse(journal, self.refill)

    async def wait(
        self,
        account: Account,
        hold_nanos: int,
        tighten: Callable[[], int] | None,
        wait_s: float,
        bound: int,
        group: str,
    ) -> tuple[Lease, int]:
        """Holds money for a call that ``Purse.take`` could not serve at once; returns the lease and the hold taken.

        Raises Refused: INSUFFICIENT_BALANCE when neither the store nor calls in flight can cover it in time,
        BUDGET_UNVERIFIABLE when the store can't be asked, JOURNAL_FAILED when the question can't be journaled.
        """
        if self._link is None:
            raise unverifiable(ALONE)
        if len(account.waiters) >= bound:
            raise crowded(bound)
        loop = asyncio.get_running_loop()
        waiter = Waiter(hold_nanos, tighten, loop.create_future())
        account.waiters.append(waiter)
        account.touched = True
        timer = loop.call_later(wait_s, self._give_up, account, waiter)
        try:
            self.refill(account)
            lease = await waiter.future
        except Refused as refused:
            if refused.reason is Reason.INSUFFICIENT_BALANCE:
                raise insufficient(account, waiter.hold_nanos, group, refused.retry_after_s) from None
            raise
        except asyncio.CancelledError:
            self._leave(account, waiter)
            raise
        finally:
            timer.cancel()
        return lease, waiter.hold_nanos

    def refill(self, account: Account) -> None:
        """Asks the store for more, unless it is being asked or has just said that there is nothing."""
        if account.asking or self._link is None:
            return
        loop = asyncio.get_running_loop()
        if account.short or account.away:
            if loop.time() < account.ask_again_at:
                self._judge(account)
                return
            account.short = False
        account.asking = True
        task = loop.create_task(self._ask(account, self._link))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, account: Account, link: Link) -> None:
        loop = asyncio.get_running_loop()
        lease = account.lease
        try:
            if lease is None:
                lease = account.lease = Lease(self._new_id("lse"), account.team_id)
                self._journal.append(encode_record(LeaseIntent(lease.lease_id, account.team_id)))
            await self._journal.written()
            question = account.question
            repeated = question is not None and question.lease_id == lease.lease_id
            if question is None or not repeated:
                question = account.question = self._question(account, lease)
            asked_at = loop.time()
            answer = await link.grant(question)
        except LinkDown as error:
            # The question stays: the store may have granted it, and answers the same one alike.
            self._away(account, AWAY, error)
            return
        except JournalFailed:
            self._unwritten(account)
            return
        except Exception as error:
            account.question = None
            self._away(account, REJECTED, error)
            return
        finally:
            account.asking = False
        account.question = None
        self._take(account, lease, question, repeated, answer, asked_at)

    def _question(self, account: Account, lease: Lease) -> GrantRequest:
        account.asked_hold = account.waiters[0].hold_nanos if account.waiters else 0
        need = max(0, account.asked_hold - lease.free) if account.waiters else 0
        largest = max((waiter.hold_nanos for waiter in account.waiters), default=0)
        want = max(need, self._min_slice_nanos, SLICE_HOLDS * largest, 2 * account.last_slice if not need else 0)
        return GrantRequest(
            self._new_id("grt"),
            lease.lease_id,
            account.team_id,
            min(need, MAX_NANOS),
            min(want, MAX_NANOS),
            account.also,
            self.grants_noted,
        )

    def _take(
        self,
        account: Account,
        lease: Lease,
        question: GrantRequest,
        repeated: bool,
        answer: GrantAnswer,
        asked_at: float,
    ) -> None:
        loop = asyncio.get_running_loop()
        account.answered_at = loop.time()
        account.ask_again_at = account.answered_at + REMEMBER_SHORT_S
        account.view = answer.view
        account.away = None
        self._away_logged = False
        if lease is not account.lease:
            # Recalled while the store was asked: closing the lease gives this grant back too.
            if account.waiters:
                self.refill(account)
            return
        if answer.granted_nanos == 0 and answer.ends_in_s <= 0 and (lease.granted or repeated):
            # The lease's periods are over: a fresh one belongs to the new ones.
            self.purse.drain(account)
            if account.waiters:
                self.refill(account)
            return
        if answer.granted_nanos and not lease.granted:
            lease.ends = loop.call_at(
                asked_at + min(answer.ends_in_s, LONGEST_TIMER_S), self._period_over, account, lease
            )
        if answer.granted_nanos:
            self._note_grant(account, question, answer.granted_nanos)
        lease.granted += answer.granted_nanos
        lease.free += answer.granted_nanos
        account.last_slice = answer.granted_nanos
        account.short = answer.granted_nanos < max(question.need_nanos, 1)
        if answer.granted_nanos < question.need_nanos and answer.view.leased_elsewhere:
            self._recall_siblings(account, answer.view.wallet_id)
        self.purse.serve(account)
        if account.waiters:
            self.refill(account)

    def _note_grant(self, account: Account, question: GrantRequest, nanos: int) -> None:
        """Before anything is spent of it: a store that loses the grant makes it again from this."""
        self.grants_noted += 1
        self._journal.append(
            encode_record(
                Granted(question.grant_id, question.lease_id, nanos, account.team_id, account.also, self._now_ns())
            )
        )

    def _recall_siblings(self, account: Account, wallet_id: str) -> None:
        """Other calls of this node have money of the same wallet at hand: what they don't need goes back."""
        for other in self.purse.accounts.values():
            if other is not account and other.lease is not None and other.concerns(wallet_id, ""):
                self.purse.drain(other)
                if other.waiters:
                    self.refill(other)

    def _judge(self, account: Account) -> None:
        """The store has no more, or can't say: whoever can't be helped by calls in flight or other nodes is refused now."""
        while account.waiters:
            waiter = account.waiters[0]
            if waiter.future.done():
                account.waiters.popleft()
                continue
            if waiter.tighten is not None:
                self._tighten(account, waiter)
                continue
            elsewhere = account.away is None and account.view is not None and account.view.leased_elsewhere > 0
            if (account.in_flight or elsewhere) and not _beyond(account, waiter):
                self._ask_later(account)
                return
            account.waiters.popleft()
            waiter.future.set_exception(refusal(account))
            self.purse.serve(account)

    def _tighten(self, account: Account, waiter: Waiter) -> None:
        """Counts the waiter's call exactly, and serves it if that makes it fit. Whose turn it is may be another call's."""
        tighten, waiter.tighten = waiter.tighten, None
        try:
            if tighten is not None:
                waiter.hold_nanos = min(waiter.hold_nanos, tighten())
        except Exception as error:
            # Another call's settling may have led here: the trouble belongs to the call that waits.
            account.waiters.remove(waiter)
            waiter.future.set_exception(error)
        self.purse.serve(account)

    def _ask_later(self, account: Account) -> None:
        if account.again is None:
            account.again = asyncio.get_running_loop().call_at(account.ask_again_at, self._ask_again, account)

    def _ask_again(self, account: Account) -> None:
        account.again = None
        if account.waiters:
            self.refill(account)

    def _give_up(self, account: Account, waiter: Waiter) -> None:
        if waiter.future.done():
            return
        if waiter.tighten is not None:
            self._tighten(account, waiter)
            if waiter.future.done():
                return
        account.waiters.remove(waiter)
        waiter.future.set_exception(self._too_late(account))
        self._next(account)

    def _too_late(self, account: Account) -> Refused:
        silent_s = asyncio.get_running_loop().time() - account.answered_at
        if account.asking and silent_s > REMEMBER_SHORT_S:
            return unverifiable(SLOW)
        return refusal(account, RETRY_AFTER_S)

    def _leave(self, account: Account, waiter: Waiter) -> None:
        """The call that waited is cancelled: its hold, if it has one, goes back, and others move up."""
        if waiter in account.waiters:
            account.waiters.remove(waiter)
            self._next(account)
        elif not waiter.future.cancelled() and waiter.future.exception() is None:
            self.purse.close(account, waiter.future.result(), waiter.hold_nanos, 0)

    def _next(self, account: Account) -> None:
        self.purse.serve(account)
        if account.waiters:
            self.refill(account)

    def _away(self, account: Account, what: str, error: Exception) -> None:
        if not self._away_logged:
            self._away_logged = True
            log.warning("%s (%s)", what, error)
        account.away = what
        account.ask_again_at = asyncio.get_running_loop().time() + REMEMBER_AWAY_S
        self._judge(account)

    def _unwritten(self, account: Account) -> None:
        """A lease that the journal does not know must never be asked for; and without a journal nobody can be helped."""
        if account.lease is not None and not account.lease.granted:
            account.lease = None
        while account.waiters:
            waiter = account.waiters.popleft()
            if not waiter.future.done():
                waiter.future.set_exception(unwritten())

    def _period_over(self, account: Account, lease: Lease) -> None:
        if account.lease is lease:
            self.purse.drain(account)
            account.short = False
            if account.waiters:
                self.refill(account)

    def wallet_changed(self, change: WalletChange) -> None:
        """A wallet changed: what was believed of it is forgotten, and on a recall the leases that debit it go back."""
        for account in list(self.purse.accounts.values()):
            # Who asks for the first time does not know yet which wallets its money comes from: it may be any.
            unknown = account.asking and account.view is None
            if not unknown and not account.concerns(change.wallet_id, change.name):
                continue
            account.short = False
            account.away = None
            if change.recall:
                self.purse.drain(account)
            if account.waiters:
                self.refill(account)

    def give_up(self, lease_id: str, team_id: str) -> None:
        """A lease that was announced is not wanted any more: should the store have granted it, that goes back."""
        self._journal.append(encode_record(CloseLease(lease_id, team_id)))

    async def keep_returning_idle(self) -> None:
        """Gives idle leases back for as long as it is let."""
        while True:
            await asyncio.sleep(IDLE_S)
            self.return_idle()

    def return_idle(self) -> None:
        """Gives back leases that no call has touched since the last time this was called."""
        for account in self.purse.accounts.values():
            if not account.touched and account.lease is not None and not account.waiters and not account.asking:
                self.purse.drain(account)
            account.touched = False

    def return_all(self) -> None:
        """Before the node stops: every lease goes back."""
        for account in self.purse.accounts.values():
            self.purse.drain(account)


def _beyond(account: Account, waiter: Waiter) -> bool:
    """Whether the call would not fit if everything that is held and leased came back unspent: then waiting is useless.

    Only of a hold that the store was asked about, or a smaller one: a larger one may go by another way up the tree.
    """
    view = account.view
    if account.away is not None or view is None or waiter.hold_nanos > account.asked_hold:
        return False
    return waiter.hold_nanos > view.budget - view.spent - view.suspense
