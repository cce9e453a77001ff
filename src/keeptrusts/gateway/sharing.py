"""Answers that calls share: kept ones, those of equal calls that are under way, and those that a repeat is told again."""

import asyncio
from collections.abc import Awaitable, Callable

from msgspec import Struct

from keeptrusts.clock import NANOS_PER_S
from keeptrusts.core.calls.replays import REPLAYS, is_worth_keeping
from keeptrusts.core.calls.request import TextRequest
from keeptrusts.core.calls.usage import Usage
from keeptrusts.core.refusal import Refused
from keeptrusts.core.rulebook.rulebook import CacheRules
from keeptrusts.gateway.answers import Answers
from keeptrusts.gateway.cache import MAX_ENTRY_BYTES, Kept, cache_key, scope_of
from keeptrusts.gateway.call import Call
from keeptrusts.gateway.caller import owner_of
from keeptrusts.gateway.client import Client
from keeptrusts.gateway.doors import Door
from keeptrusts.gateway.edition import Edition, Lane
from keeptrusts.gateway.flights import Flight, Landing
from keeptrusts.gateway.meaning import Meaning
from keeptrusts.gateway.node import Node
from keeptrusts.gateway.repeats import MAX_REMEMBERED_ANSWER_BYTES, Repeat, asked_digest, repeat_key
from keeptrusts.gateway.wording import Wording


def share_of(
    node: Node,
    edition: Edition,
    call: Call,
    client: Client,
    door: Door,
    request: TextRequest,
    body: bytes,
    lane: Lane,
) -> "Share | None":
    """What this call shares with others, or None: it is on its own. Raises Refused for a repeat that is none."""
    rules, answers = edition.rulebook.cache, node.answers
    key = repeat_id = None
    beside = b""
    if rules.enabled and call.caller.group not in rules.without and not client.wants_no_trace:
        if edition.rulebook is node.rulebook:
            answers.follow(rules, edition.callers)
        beside = client.lines(door.passed) + _ways(lane)
        if door.seals_ids:
            # The answer's id is sealed for whoever made it: others could not go on from it.
            beside += b"\0" + owner_of(call.caller).encode()
        key = cache_key(rules, call.caller, request, beside)
    given = client.headers.get(b"idempotency-key")
    if given:
        repeat_id = repeat_key(call.caller, given), asked_digest(door.name, request.model, body)
    if key is None and repeat_id is None:
        return None
    share = Share(answers, rules, call, client, request, key, repeat_id)
    if key is not None and answers.near is not None:
        embedder = rules.embedder
        meaning = None if embedder is None else Meaning(node, edition, call, lane, embedder)
        scope = f"{scope_of(rules, call.caller)}\0{embedder}\0".encode() + beside
        share.wording = Wording(answers.near, scope, request, meaning)
    return share


class Found(Struct, frozen=True):
    """An answer that is given again: ``events`` is its form as a stream, where that is asked for. ``how``: ``hit``,
    ``coalesced`` (an equal call was under way), ``semantic`` (to the same question in other words), ``replay`` (of the same call, by its Idempotency-Key)."""

    kept: Kept
    events: bytes | None
    how: str


class Share:
    """One call's part: first ``find``, and ``end`` in any case; what it buys itself is given to others by ``keep``."""

    def __init__(
        self,
        answers: Answers,
        rules: CacheRules,
        call: Call,
        client: Client,
        request: TextRequest,
        key: bytes | None,
        repeat_id: tuple[bytes, bytes] | None,
    ) -> None:
        self._answers = answers
        self._rules = rules
        self._call = call
        self._client = client
        self._request = request
        self._key = key
        self._repeat_id = repeat_id
        self._repeat: Repeat | None = None
        self._flight: Flight | None = None
        self._kept: Kept | None = None
        self._refused: Refused | None = None
        self._cached = False
        self._served = False
        self.wording: Wording | None = None
        self.room_bytes = MAX_ENTRY_BYTES if repeat_id is None else MAX_REMEMBERED_ANSWER_BYTES
        """How much of a stream's bytes is worth collecting."""

    @property
    def line(self) -> bytes:
        """The header line of an answer that was bought."""
        return b"x-keeptrusts-cache: miss\r\n" if self._key is not None else b""

    async def find(self, through: Callable[[], Awaitable[None]] | None) -> Found | None:
        """An answer that was paid for, waiting for it where an equal call is under way. None: buy one. ``through`` is what the
        call must go through first, unless it repeats one that did.

        Raises Refused as the call did that this one repeats, ClientGone, and what ``through`` raises.
        """
        if self._repeat_id is not None:
            repeated = await self._find_repeat(*self._repeat_id)
            if repeated is not None:
                return repeated
        if through is not None:
            await through()
        if self._key is None or self._client.wants_fresh:
            return None
        found = await self._find_equal(self._key)
        if found is not None:
            self._kept = found.kept
        elif self.wording is not None:
            self.wording.give_way()
        return found

    async def _find_repeat(self, key: bytes, asked: bytes) -> Found | None:
        repeats = self._answers.repeats
        while True:
            earlier = repeats.find(key, asked, asyncio.get_running_loop().time())
            if earlier is None:
                self._repeat = repeats.begin(key, asked)
                return None
            outcome = earlier.kept or await earlier.flight.wait(self._client.gone, None)
            if isinstance(outcome, Refused):
                raise outcome.again()
            if isinstance(outcome, Kept):
                return self._as_asked(outcome, "replay")

    async def _find_equal(self, key: bytes) -> Found | None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._rules.max_wait_s
        how = "hit"
        while True:
            kept = self._answers.cache.get(key, loop.time())
            if kept is not None and kept.age_s(self._call.at_ns // NANOS_PER_S) >= self._rules.ttl_s:
                kept = None  # kept under older rules
            found = None if kept is None else self._as_asked(kept, how)
            if found is not None:
                return found
            if self._rules.max_wait_s == 0:
                return await self._find_elsewhere(key)
            flight = self._answers.flights.get(key)
            if flight is None:
                self._flight = self._answers.flights[key] = Flight()
                return await self._find_elsewhere(key)
            outcome = await flight.wait(self._client.gone, until)
            if isinstance(outcome, Kept):
                return self._as_asked(outcome, "coalesced")
            if outcome is not Landing.FAILED:
                return None
            how = "coalesced"

    async def _find_elsewhere(self, key: bytes) -> Found | None:
        found = await self._find_far(key)
        if found is None and self.wording is not None:
            await self.wording.read()
            for other in self.wording.others(self._rules.threshold or 1.0):
                kept = self._answers.cache.get(other, asyncio.get_running_loop().time())
                found = None if kept is None else self._take(key, kept, "semantic")
                if found is not None:
                    break
        return found

    async def _find_far(self, key: bytes) -> Found | None:
        """In the store that gateways share, where there is one."""
        far = self._answers.far
        kept = None if far is None else await far.get(key)
        return None if kept is None else self._take(key, kept, "hit")

    def _take(self, key: bytes, kept: Kept, how: str) -> Found | None:
        """An answer from elsewhere; from now on it is this question's too."""
        left_s = self._rules.ttl_s - kept.age_s(self._call.at_ns // NANOS_PER_S)
        found = self._as_asked(kept, how) if left_s > 0 else None
        if found is not None:
            self._answers.keep(key, kept, self._rules, left_s)
            self._cached = True
        return found

    def _as_asked(self, kept: Kept, how: str) -> Found | None:
        if not self._request.stream:
            return Found(kept, None, how)
        events = REPLAYS[self._request.door].as_stream(kept.body, self._request.include_usage)
        return None if events is None else Found(kept, events, how)

    def keep_stream(self, events: bytes | None, cost_nanos: int, usage: Usage, is_priced: bool) -> None:
        """As ``keep``, for a stream that came to its end; None: there was too much of it to be kept."""
        self._served = True
        whole = None if events is None else REPLAYS[self._request.door].assemble(events, _usage_object(usage))
        if whole is not None:
            self.keep(whole, cost_nanos, is_priced)

    def keep(self, whole: bytes, cost_nanos: int, is_priced: bool) -> None:
        """The call has its whole answer. ``is_priced``: its provider said what it used, so that a hit can say what it saves."""
        self._served = True
        call, request, rules = self._call, self._request, self._rules
        at_s = call.at_ns // NANOS_PER_S
        self._kept = kept = Kept(whole, cost_nanos, call.provider or "", call.model, at_s)
        if self._key is None or not is_priced or len(whole) > MAX_ENTRY_BYTES:
            return
        if is_worth_keeping(request.door, whole, request.max_tokens is not None):
            self._cached = True
            self._answers.keep(self._key, kept, rules, rules.ttl_s)
            if self.wording is not None:
                self.wording.answered_by(self._key)
            if self._answers.far is not None:
                self._answers.far.put(self._key, kept, rules.ttl_s)

    def refuse(self, refused: Refused) -> None:
        """The call is refused: so are those that repeat it."""
        self._refused = refused

    def end(self) -> None:
        """The call is over, however it went: whoever waits for it goes on."""
        if self._repeat is not None and self._repeat_id is not None:
            self._answers.repeats.end(self._repeat_id[0], self._kept, asyncio.get_running_loop().time())
            self._repeat.flight.land(self._kept or self._refused or Landing.FAILED)
        if self._flight is not None and self._key is not None:
            del self._answers.flights[self._key]
            if self._cached and self._kept is not None:
                self._flight.land(self._kept)
            else:
                self._flight.land(Landing.OWN if self._served else Landing.FAILED)


def _ways(lane: Lane) -> bytes:
    """Who may answer: when the policy file sends a model's calls elsewhere, what was kept is no answer any more."""
    return "\0".join(sorted(f"{hop.target.id}\0{hop.model}" for hop in lane.hops)).encode()


def _usage_object(usage: Usage) -> dict[str, object]:
    """The usage in OpenAI's words."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.output,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }
