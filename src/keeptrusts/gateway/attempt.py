"""One try at one target: hold the most that it can cost, send it, and turn the hold into what it did cost."""

from collections.abc import Awaitable, Callable
from time import time_ns

from keeptrusts.core.calls.chat import thinks_unseen
from keeptrusts.core.calls.request import TextRequest
from keeptrusts.core.calls.usage import NO_USAGE, Usage, UsageSource
from keeptrusts.core.ledger.records import Attempt as AttemptRow
from keeptrusts.core.ledger.records import AttemptOutcome, Close, Reserve, encode_record
from keeptrusts.core.pricing.bound import bound_of, plain_bound_nanos, unseen_tokens
from keeptrusts.core.pricing.price import Price, cost_nanos, unsaid_part
from keeptrusts.core.pricing.unbounded import refuse_unbounded, unpriced
from keeptrusts.core.providers.vendors import OPENAI_LIKE
from keeptrusts.core.providers.wire import Bill, Wire
from keeptrusts.core.refusal import Refused
from keeptrusts.core.routing.plan import Hop
from keeptrusts.gateway.call import Call
from keeptrusts.gateway.edition import Edition, Lane
from keeptrusts.gateway.exchange import UpstreamFailed
from keeptrusts.gateway.journal import Journal
from keeptrusts.gateway.purse import Account, Lease
from keeptrusts.gateway.purse_refill import Treasury
from keeptrusts.gateway.target_state import TargetState
from keeptrusts.gateway.targets import Answer
from keeptrusts.gateway.token_count import counted_input, counts_exactly

SHOWN_WHOLE = frozenset({*OPENAI_LIKE, "simulated"})
"""Providers whose answers show all that their models bill, but for those that are known to think unseen."""

MAX_GIVEN_ID_CHARS = 128

MIN_KEY_BYTES = 8
"""A shorter key is a placeholder, and may be a word."""

UNAUTHORIZED = 401
AILING = frozenset({UNAUTHORIZED, 403, 408, 425})
"""Statuses below 500 that say more about the target, or our key there, than about the request."""

CHEAPER_TIERS = frozenset({"flex", "batch"})
"""Service tiers that cost less than the standard price: without a price of their own they are taken to cost that."""

Escalate = Callable[[Account, int, Refused], Awaitable[tuple[Lease, int]]]
"""Holds a call for an approver: its account, the hold that it needs, and how it is refused otherwise."""


class Attempt:
    """A hold, the answer that it pays for, and how it ended. ``hold_nanos`` is the bound, held or (without
    enforcement) only noted: it is what an attempt costs when nobody says what it used."""

    answer: Answer
    forwarded = False
    ended = False
    hold_nanos = 0
    cost_nanos = 0
    chosen: str | None = None
    _state: TargetState | None = None
    _probe = 0
    _sent_at = 0.0
    _account: Account | None = None
    _lease: Lease | None = None
    _sent_limit: int | None = None

    def __init__(self, call: Call, hop: Hop, price: Price | None, wire: Wire) -> None:
        self._call = call
        self._hop = hop
        self.price = price
        self.wire = wire

    def reserve_at_once(self, request: TextRequest, lane: Lane, treasury: Treasury) -> bool:
        """The common case of ``reserve``, without waiting: a plain request, an untiered price, money at hand."""
        hop = self._hop
        flat, answer_tokens = hop.flat, request.max_tokens or hop.longest_answer
        if flat is None or answer_tokens is None or hop.fits_max_tokens is not None or not request.plain:
            return False
        unseen = unseen_tokens(request, hop.target.provider)
        self.hold_nanos = plain_bound_nanos(request, flat, answer_tokens, unseen)
        account = lane.account
        if account is not None:
            lease = treasury.purse.take(account, self.hold_nanos)
            if lease is None:
                return False
            self._account, self._lease = account, lease
        return True

    async def reserve(
        self, request: TextRequest, lane: Lane, edition: Edition, treasury: Treasury, escalate: Escalate
    ) -> None:
        """Takes the hold from the team's lease, waiting for money if need be. Raises Refused.

        Where the budget says so, ``escalate`` holds the call for an approver before it is refused.
        """
        rulebook, hop, price = edition.rulebook, self._hop, self.price
        self._sent_limit = hop.fits_max_tokens if request.max_tokens is None else None
        if price is None:
            if edition.enforced:
                raise unpriced(hop.model, hop.target.provider)
            return
        longest = hop.longest_answer if self._sent_limit is None else self._sent_limit
        unknown_limit = rulebook.unknown_model_output_tokens
        unseen = unseen_tokens(request, hop.target.provider)
        bound = bound_of(request, price, longest, unknown_limit, unseen=unseen)
        self.hold_nanos = bound.nanos
        account = lane.account
        if account is None:
            return
        refuse_unbounded(request, price, hop.model, hop.target.provider)
        if bound.sent_limit is not None:
            self._sent_limit = bound.sent_limit
        lease = treasury.purse.take(account, bound.nanos)
        if lease is None:

            def tighten() -> int:
                return bound_of(request, price, longest, unknown_limit, counted_input(request), unseen).nanos

            countable = counts_exactly(hop.model) or hop.target.provider == "simulated"
            try:
                lease, self.hold_nanos = await treasury.wait(
                    account,
                    bound.nanos,
                    tighten if countable else None,
                    rulebook.reserve_wait_ms / 1000,
                    rulebook.max_waiting_per_wallet,
                    self._call.caller.display,
                )
            except Refused as refused:
                if not account.escalates(refused):
                    raise
                hold = min(bound.nanos, tighten()) if countable else bound.nanos
                lease, self.hold_nanos = await escalate(account, hold, refused)
        self._account, self._lease = account, lease

    def forward(self, request: TextRequest, edition: Edition, lines: bytes, journal: Journal, now: float) -> None:
        """Notes the reserve in the journal, then sends the request, with these header lines of the client's; ``answer`` is on
        its way. Raises Refused for what the provider can't do, and for a key that was revoked or suspended while the call
        waited: then nothing is noted."""
        call, hop = self._call, self._hop
        ended = call.caller.standing.refusal
        if ended is not None:
            raise ended.again()
        call.provider, call.model = hop.target.provider, hop.model
        body = self.wire.body(request, hop.model, self._sent_limit, hop.longest_answer)
        journal.append(
            encode_record(
                Reserve(
                    call.call_id,
                    len(call.attempts) + 1,
                    None if self._lease is None else self._lease.lease_id,
                    self.hold_nanos,
                    call.at_ns,
                    call.caller.key_id,
                    call.caller.group,
                    call.caller.attribution,
                    hop.target.id,
                    hop.target.provider,
                    hop.model,
                    call.asked_model,
                    None if self.price is None else self.price.version,
                    call.request_id,
                )
            )
        )
        target = edition.targets[hop.target.id]
        path = self.wire.path(hop.model, request.stream)
        self._state = target.state
        self._probe = target.state.begin()
        self._sent_at = now
        request_id, kind = call.request_id.encode(), request.content_type
        self.answer = target.send(path, lines, body, request_id, not request.stream, journal, kind)
        self.forwarded = True

    def settle(self, bill: Bill, usage: Usage, source: UsageSource, treasury: Treasury, status: int = 200) -> None:
        """The provider answered: ``usage``, its own figures or our count of what it said, decides the cost."""
        cost = 0 if self.price is None else cost_nanos(self.price, usage)
        if usage.other is not None and self.price is not None:
            self._settle_beside_words(self.price, usage, cost, source, status, treasury)
        else:
            self._end("settled", cost, usage, source, status, None, treasury)
        self._call.served_model = bill.served_model
        self._tell(status)

    def _settle_beside_words(
        self, price: Price, usage: Usage, cost: int, source: UsageSource, status: int, treasury: Treasury
    ) -> None:
        """What has no price is flagged, and costs the hold: never less than what is known, unless it is known to be cheaper."""
        assert usage.other is not None
        part = unsaid_part(price, usage)
        if part is None or usage.other.service_tier in CHEAPER_TIERS or cost > self.hold_nanos:
            if source is UsageSource.COUNTED:
                cost = min(cost, self.hold_nanos)
            self._end("settled", cost, usage, source, status, part and f"no price for {part}", treasury)
        else:
            why, worst = f"no price for {part}", UsageSource.WORST_CASE
            self._end("indeterminate", self.hold_nanos, usage, worst, status, why, treasury)
        self._call.unpriced = part is not None

    def settle_unsaid(self, bill: Bill, request: TextRequest, output_tokens: int, treasury: Treasury) -> None:
        """The provider answered whole but does not say what it used: our own count decides where everything that it
        bills can be seen, else the hold does."""
        call = self._call
        if request.has_media() or thinks_unseen(self._hop.model) or self._hop.target.provider not in SHOWN_WHOLE:
            why = "the answer does not say what it used"
            self._end("indeterminate", self.hold_nanos, NO_USAGE, UsageSource.WORST_CASE, 200, why, treasury)
        else:
            unseen = unseen_tokens(request, self._hop.target.provider)
            usage = Usage(input=counted_input(request) + unseen, output=output_tokens)
            cost = 0 if self.price is None else min(cost_nanos(self.price, usage), self.hold_nanos)
            self._end("settled", cost, usage, UsageSource.COUNTED, 200, None, treasury)
        call.served_model = bill.served_model
        self._tell(200)

    def void(self, status: int, treasury: Treasury, rejects_key: bool = False) -> None:
        """The provider said no, and billed nothing: the hold goes back whole."""
        self._end("void", 0, NO_USAGE, UsageSource.NONE, status, f"the provider answered {status}", treasury)
        self._tell(UNAUTHORIZED if rejects_key else status)

    def without_key(self, content: bytes) -> bytes:
        """What the provider says, without the key that it was called with: some proxies tell it back in their errors."""
        key = b"" if self._state is None else self._state.key
        return content.replace(key, b"[key]") if len(key) >= MIN_KEY_BYTES else content

    def pause(self, for_s: int) -> None:
        """The provider asked not to be called for this model for so long."""
        if self._state is not None:
            self._state.pause(self._hop.model, for_s)

    def fail(self, failure: UpstreamFailed, treasury: Treasury) -> None:
        """No complete answer came: free if the provider can't have seen the request or said no to it, else the hold is
        posted."""
        self._lose(failure, treasury)
        if self._state is not None:
            self._state.bad(self._probe)

    def _lose(self, failure: UpstreamFailed, treasury: Treasury) -> None:
        status = self.answer.status if self.forwarded else 0
        if failure.sent and status < 400:
            self._end("indeterminate", self.hold_nanos, NO_USAGE, UsageSource.WORST_CASE, None, str(failure), treasury)
        else:
            self._end("void", 0, NO_USAGE, UsageSource.NONE, status or None, str(failure), treasury)

    def break_off(self, treasury: Treasury) -> None:
        """The call ends in the middle of this attempt, for a reason of our own: what may have been sent is posted."""
        if self.ended:
            return
        if self.forwarded:
            self.answer.abandon()
        sent = self.forwarded and self.answer.sent
        self._lose(UpstreamFailed("the gateway broke the call off", sent=sent), treasury)
        if self._state is not None:
            self._state.left(self._probe)

    def _tell(self, status: int) -> None:
        """What the answer's status says about the target's health."""
        state = self._state
        if state is None:
            return
        if status == 200:
            state.good(self._probe)
        elif status == 429:
            state.limited += 1
            state.left(self._probe)
        elif status < 400 or status >= 500 or status in AILING:
            state.bad(self._probe)
        else:
            state.good(self._probe)

    def took(self, now: float, first_byte_at: float | None = None) -> None:
        """The answer that was settled came whole, now; a stream's first byte came when it did."""
        state = self._state
        if state is not None:
            state.served += 1
            state.recent.append((self._sent_at, now, first_byte_at, self._call.usage.output))

    def _end(
        self,
        outcome: AttemptOutcome,
        cost: int,
        usage: Usage,
        source: UsageSource,
        status: int | None,
        reason: str | None,
        treasury: Treasury,
    ) -> None:
        call, hop, lease = self._call, self._hop, self._lease
        given_id = b""
        if self.forwarded:
            call.upstream_ns += self.answer.waited_ns
            given_id = self.answer.given_id
        self.cost_nanos = cost
        self.ended = True
        if self._account is not None and lease is not None:
            treasury.purse.close(self._account, lease, self.hold_nanos, cost)
        row = AttemptRow(
            len(call.attempts) + 1,
            hop.target.id,
            hop.target.provider,
            hop.model,
            outcome,
            self.hold_nanos if lease is not None else 0,
            cost,
            status,
            reason,
            None if lease is None else lease.lease_id,
            usage,
            source,
            None if self.price is None else self.price.version,
            self.chosen,
            given_id.decode("ascii", "ignore")[:MAX_GIVEN_ID_CHARS] if given_id else None,
        )
        call.attempts = (*call.attempts, row)
        call.settles = 1
        call.cost_nanos = cost + (call.cost_nanos or 0)
        call.usage = usage
        call.usage_source = source
        call.price_version = row.price_version
        call.unpriced = self.price is None

    @property
    def budget_remaining_nanos(self) -> int | None:
        """What the team's budget has left after this call, as far as this node knows; None without enforcement."""
        account = self._account
        if account is None or account.view is None:
            return None
        return account.view.budget - account.spent_nanos

    def give_way(self, journal: Journal) -> None:
        """Another attempt follows: this one's end gets a record of its own."""
        call = self._call
        call.earlier_waits = (*call.earlier_waits, (time_ns(), self.answer.waited_ns if self.forwarded else 0))
        journal.append(encode_record(Close(self._call.call_id, self._call.attempts[-1])))
        self._call.settles = 0
