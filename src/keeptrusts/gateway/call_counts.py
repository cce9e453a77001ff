"""What this process counts of its calls: plain numbers, one row for each kind of call, added to once when a call ends."""

from bisect import bisect_left
from time import time_ns

from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.gateway.call import Call

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Upper bounds of the buckets of durations that providers decide."""

OWN_SHIFT = 14
OWN_BUCKETS = 50
OWN_SECONDS = tuple(float(1 << OWN_SHIFT + n) / 1_000_000_000 for n in range(20))
"""Upper bounds of the buckets of what the gateway itself takes of a call's time: powers of two, from 16 us to 8.6 s, since a
number's length in bits is found faster than its place in a list."""

MAX_KINDS = 2_000
"""Names of models and teams that are made up must not fill the memory: what is beyond goes under OTHER."""

OTHER = "other"
NS_PER_S = 1_000_000_000

Kind = tuple[str, str, str | None, str, str | None]
"""Door, status, provider, model (empty when none was called), team."""

_BOUNDS_NS = tuple(int(bound * NS_PER_S) for bound in SECONDS)


class Histogram:
    """How many durations were in each bucket (the last one has no upper bound), and their sum."""

    __slots__ = ("buckets", "total_ns")

    def __init__(self, bounds: int) -> None:
        self.buckets = [0] * (bounds + 1)
        self.total_ns = 0


class Row(Histogram):
    """The calls of one kind: how long they took (as a histogram), their tokens and money, in nano-USD.

    ``plain``: they ended well."""

    __slots__ = (
        "cache_write_tokens",
        "cached_tokens",
        "cost_nanos",
        "input_tokens",
        "output_tokens",
        "plain",
        "retries",
        "saved_nanos",
        "unpriced",
    )

    def __init__(self, plain: bool) -> None:
        super().__init__(len(SECONDS))
        self.plain = plain
        self.cost_nanos = 0
        self.saved_nanos = 0
        self.input_tokens = 0
        self.cached_tokens = 0
        self.cache_write_tokens = 0
        self.output_tokens = 0
        self.retries = 0
        self.unpriced = 0


class CallCounts:
    """All rows of this process, and what is counted beside them. ``ended`` is called once for each call that has a row."""

    def __init__(self) -> None:
        self.rows: dict[Kind, Row] = {}
        self.own = Histogram(OWN_BUCKETS)
        self.first_bytes = Histogram(len(SECONDS))
        self.refusals: dict[str, int] = {}
        self.limits: dict[tuple[str, str], int] = {}
        self.policies: dict[str, int] = {}
        self.failed_attempts: dict[tuple[str, str], int] = {}

    def ended(self, call: Call, door: str) -> None:
        """A call ended: it is counted, in well under a microsecond where nothing is out of the ordinary."""
        took_ns = time_ns() - call.at_ns
        if took_ns < 0:
            took_ns = 0
        kind = door, call.status, call.provider, call.model, call.caller.attribution.team
        row = self.rows.get(kind) or self._row(kind)
        row.buckets[bisect_left(_BOUNDS_NS, took_ns)] += 1
        row.total_ns += took_ns
        if not row.plain or call.stream or call.policy_actions or len(call.attempts) > 1 or call.unpriced:
            self._seldom(call, row)
            if not call.attempts:
                return
        own_ns = took_ns - call.upstream_ns
        if own_ns < 0:
            own_ns = 0
        own = self.own
        own.buckets[(own_ns >> OWN_SHIFT).bit_length()] += 1
        own.total_ns += own_ns
        usage = call.usage
        row.cost_nanos += call.cost_nanos or 0
        row.input_tokens += usage.input
        row.output_tokens += usage.output
        if usage.cache_read or usage.cache_write or usage.cache_write_1h:
            row.cached_tokens += usage.cache_read
            row.cache_write_tokens += usage.cache_write + usage.cache_write_1h

    def _row(self, kind: Kind) -> Row:
        if len(self.rows) >= MAX_KINDS:
            kind = kind[0], kind[1], kind[2], kind[3] and OTHER, OTHER
            if kind in self.rows:
                return self.rows[kind]
        row = self.rows[kind] = Row(kind[1] == "ok")
        return row

    def _seldom(self, call: Call, row: Row) -> None:
        """What most calls do not have: a stream, more than one attempt, an ending that is not good, a policy that acted."""
        row.saved_nanos += call.saved_nanos
        if call.first_byte_ns:
            waited_ns = max(0, call.first_byte_ns - call.at_ns)
            self.first_bytes.buckets[bisect_left(_BOUNDS_NS, waited_ns)] += 1
            self.first_bytes.total_ns += waited_ns
        self._attempted(call, row)
        for action in call.policy_actions:
            known = action in self.policies or len(self.policies) < MAX_KINDS
            self.policies[action if known else OTHER] = self.policies.get(action if known else OTHER, 0) + 1

    def _attempted(self, call: Call, row: Row) -> None:
        attempts = call.attempts
        if not attempts:
            return
        row.retries += len(attempts) - 1
        row.unpriced += call.unpriced
        for attempt in attempts[:-1]:
            # The call's own usage is the last attempt's.
            row.input_tokens += attempt.usage.input
            row.output_tokens += attempt.usage.output
        for attempt in attempts if call.status != "ok" else attempts[:-1]:
            key = attempt.target, attempt.outcome
            self.failed_attempts[key] = self.failed_attempts.get(key, 0) + 1

    def refused(self, refused: Refused) -> None:
        """A call was refused, whoever made it."""
        self.refusals[refused.reason] = self.refusals.get(refused.reason, 0) + 1
        if refused.reason is Reason.RATE_LIMIT_EXCEEDED:
            # The scope's kind alone (key, group): its name would make a series for each key.
            scope = str(refused.details.get("scope", "")).partition(" ")[0]
            limit = str(refused.details.get("limit", "")), scope
            self.limits[limit] = self.limits.get(limit, 0) + 1
