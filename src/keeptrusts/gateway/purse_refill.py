"""Where a team's money comes from when the node's lease runs short: one question to the store at a time, and who waits."""

import asyncio
import logging
import time
from collections.abc import Callable

from keeptrusts.core.ledger.grant import GrantAnswer, GrantRequest
from keeptrusts.core.ledger.records import LeaseIntent, encode_record
from keeptrusts.core.money import usd
from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.gateway.journal import Journal, JournalFailed
from keeptrusts.gateway.link import Link, LinkDown, LinkRefused
from keeptrusts.gateway.purse import Account, Lease, Purse, Waiter

log = logging.getLogger("keeptrusts::gateway")

REMEMBER_SHORT_S = 1.0
"""How long a refusal by the store is believed without asking again, unless the wallet changes before."""

SLICE_HOLDS = 64
"""A slice covers about so many holds of the kind at hand, so that a busy team asks rarely."""

IDLE_S = 30.0
"""A lease that no call has touched for so long goes back."""


class Treasury:
    """Fills accounts from the store, keeps those who wait in line, and refuses whom nothing can help."""

    def __init__(self, journal: Journal, link: Link | None, new_id: Callable[[str], str], min_slice_nanos: int) -> None:
        self._journal = journal
        self._link = link
        self._new_id = new_id
        self._min_slice_nanos = min_slice_nanos
        self._tasks: set[asyncio.Task[None]] = set()
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
        BUDGET_UNVERIFIABLE when the store can't be asked.
        """
        if self._link is None:
            raise Refused(Reason.BUDGET_UNVERIFIABLE, "This gateway has no control plane to ask for budget.")
        if len(account.waiters) >= bound:
            raise Refused(
                Reason.BUDGET_UNVERIFIABLE,
                f"More than {bound} calls of this team are waiting for budget: try again in a moment.",
            )
        loop = asyncio.get_running_loop()
        waiter = Waiter(hold_nanos, tighten, loop.time() + wait_s, loop.create_future())
        account.waiters.append(waiter)
        account.touched = True
        self.refill(account)
        timer = loop.call_later(wait_s, self._give_up, account, waiter)
        try:
            lease = await waiter.future
        except Refused as refused:
            if refused.reason is Reason.INSUFFICIENT_BALANCE:
                raise insufficient(account, waiter.hold_nanos, group) from None
            raise
        finally:
            timer.cancel()
        return lease, waiter.hold_nanos

    def refill(self, account: Account) -> None:
        """Asks the store for more, unless it is being asked or has just said that there is nothing."""
        if account.asking or self._link is None:
            return
        if account.short:
            if asyncio.get_running_loop().time() - account.asked_at < REMEMBER_SHORT_S:
                self._judge(account)
                return
            account.short = False
        account.asking = True
        task = asyncio.get_running_loop().create_task(self._ask(account, self._link))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, account: Account, link: Link) -> None:
        loop = asyncio.get_running_loop()
        try:
            lease = account.lease
            if lease is None:
                lease = account.lease = Lease(self._new_id("lse"), account.team_id)
                self._journal.append(encode_record(LeaseIntent(lease.lease_id, account.team_id)))
                await self._journal.written()
            need = max(0, account.waiters[0].hold_nanos - lease.free) if account.waiters else 0
            largest = max((waiter.hold_nanos for waiter in account.waiters), default=0)
            want = max(need, self._min_slice_nanos, SLICE_HOLDS * largest, 2 * account.last_slice if not need else 0)
            request = GrantRequest(self._new_id("grt"), lease.lease_id, account.team_id, need, want)
            asked_at = loop.time()
            answer = await link.grant(request)
        except LinkDown as error:
            self._unverifiable(account, f"The budget can't be verified right now: {error}")
            return
        except (LinkRefused, JournalFailed) as error:
            self._unverifiable(account, f"The budget can't be verified: {error}")
            return
        finally:
            account.asking = False
        self._take(account, lease, need, answer, asked_at)

    def _take(self, account: Account, lease: Lease, need: int, answer: GrantAnswer, asked_at: float) -> None:
        loop = asyncio.get_running_loop()
        account.asked_at = loop.time()
        account.view = answer.view
        if lease is not account.lease:
            # Recalled while the store was asked: closing the lease gives this grant back too.
            if account.waiters:
                self.refill(account)
            return
        if answer.granted_nanos == 0 and answer.ends_in_s <= 0 and lease.granted:
            # The lease's periods are over: a fresh one belongs to the new ones.
            self.purse.drain(account)
            if account.waiters:
                self.refill(account)
            return
        if answer.granted_nanos and not lease.granted:
            loop.call_at(asked_at + min(answer.ends_in_s, 86_400.0 * 30), self._period_over, account, lease)
        lease.granted += answer.granted_nanos
        lease.free += answer.granted_nanos
        account.last_slice = answer.granted_nanos
        account.short = answer.granted_nanos < max(need, 1)
        self.purse.serve(account)
        if account.waiters:
            self.refill(account)

    def _judge(self, account: Account) -> None:
        """The store has no more: whoever can't be helped by calls in flight or other nodes is refused now."""
        while account.waiters:
            waiter = account.waiters[0]
            if waiter.future.done():
                account.waiters.popleft()
                continue
            if waiter.tighten is not None:
                waiter.hold_nanos = min(waiter.hold_nanos, waiter.tighten())
                waiter.tighten = None
                self.purse.serve(account)
                continue
            if account.in_flight or (account.view is not None and account.view.leased_elsewhere > 0):
                return
            account.waiters.popleft()
            waiter.future.set_exception(Refused(Reason.INSUFFICIENT_BALANCE, "insufficient balance"))

    def _give_up(self, account: Account, waiter: Waiter) -> None:
        if waiter.future.done():
            return
        if waiter in account.waiters:
            account.waiters.remove(waiter)
        if account.view is None:
            refused = Refused(Reason.BUDGET_UNVERIFIABLE, "The control plane did not answer in time.")
        else:
            refused = Refused(Reason.INSUFFICIENT_BALANCE, "insufficient balance")
        waiter.future.set_exception(refused)
        self.purse.serve(account)

    def _unverifiable(self, account: Account, message: str) -> None:
        log.warning("%s", message)
        waiters = list(account.waiters)
        account.waiters.clear()
        for waiter in waiters:
            if not waiter.future.done():
                waiter.future.set_exception(Refused(Reason.BUDGET_UNVERIFIABLE, message))

    def _period_over(self, account: Account, lease: Lease) -> None:
        if account.lease is lease:
            self.purse.drain(account)

    def wallet_changed(self, team_id: str, recall: bool) -> None:
        """The team's budget changed: what was believed of it is forgotten, and on a recall its lease goes back."""
        account = self.purse.accounts.get(team_id)
        if account is None:
            return
        account.short = False
        if recall:
            self.purse.drain(account)
        if account.waiters:
            self.refill(account)

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


def insufficient(account: Account, hold_nanos: int, group: str) -> Refused:
    """The tutorial's refusal: who, which budget, what is spent, and what this call could cost."""
    view = account.view
    return Refused(
        Reason.INSUFFICIENT_BALANCE,
        f"Budget exceeded for consumer group: {group}",
        {
            "team": group,
            "budget": usd(view.budget if view is not None else 0),
            "spent": usd(account.spent_nanos),
            "estimated_cost": usd(hold_nanos),
        },
    )


def wall_clock_ns() -> int:
    """Unix time in nanoseconds: for what people read, never for what decides about money."""
    return time.time_ns()
