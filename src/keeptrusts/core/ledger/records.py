"""What a node writes into its journal, and the store applies: one record per step of a call's money.

Records are msgpack arrays, tagged by their first element; their order in the journal is their sequence.
"""

from typing import Literal

import msgspec
from msgspec import Struct

from keeptrusts.core.calls.usage import NO_USAGE, Usage, UsageSource
from keeptrusts.core.identity.attribution import Attribution

CallStatus = Literal["ok", "cached", "blocked", "refused", "upstream_error", "interrupted", "recovered"]
"""``blocked``: budget or policy said no; ``refused``: a known caller's limits, rights or bad request;
``interrupted``: the answer ended early; ``recovered``: its node crashed, the row was made from its journal."""

AttemptOutcome = Literal["settled", "void", "indeterminate"]
"""``void``: nothing was billed; ``indeterminate``: nobody can know yet, so the hold is posted and flagged."""


class Boot(Struct, frozen=True, array_like=True, tag="boot"):
    """A process opened the journal. ``boot_id`` is the machine's boot, so that replay can tell a crash from a reboot."""

    node_id: str
    boot_id: str
    at_ns: int


class LeaseIntent(Struct, frozen=True, array_like=True, tag="intent"):
    """The node is about to ask for a lease of this id: written first, so that recovery can close what it never heard of."""

    lease_id: str
    team_id: str


class Granted(Struct, frozen=True, array_like=True, tag="granted", gc=False):
    """The store granted ``nanos`` to a lease: written before any of it is spent, so that a store which lost the grant (an
    older backup, a failover) can make it again. ``also`` are the budgets beside the team's, as in GrantRequest."""

    grant_id: str
    lease_id: str
    nanos: int
    team_id: str
    also: tuple[str, ...]
    at_ns: int


class Reserve(Struct, frozen=True, array_like=True, tag="reserve", gc=False):
    """An attempt is about to be sent: everything that recovery needs to write its ledger row without its node.

    ``lease_id`` is None when no wallet is enforced; ``hold_nanos`` is then only the bound of the cost, held nowhere. ``at_ns`` is Unix time of the reserve.
    """

    call_id: str
    attempt: int
    lease_id: str | None
    hold_nanos: int
    at_ns: int
    key_id: str | None
    group: str | None
    attribution: Attribution
    target: str
    provider: str
    model: str
    asked_model: str
    price_version: str | None
    request_id: str


class Attempt(Struct, frozen=True, array_like=True, gc=False):
    """One try at one target, as the event keeps it. ``chosen`` says why it was made there, where there was a choice;
    ``given_id`` is what the provider calls the request."""

    number: int
    target: str
    provider: str
    model: str
    outcome: AttemptOutcome
    hold_nanos: int
    cost_nanos: int
    status: int | None = None
    reason: str | None = None
    lease_id: str | None = None
    usage: Usage = NO_USAGE
    usage_source: UsageSource = UsageSource.NONE
    price_version: str | None = None
    chosen: str | None = None
    given_id: str | None = None


class Close(Struct, frozen=True, array_like=True, tag="close", gc=False):
    """An attempt that was followed by another one ended: its hold turned into its cost (0 for a void one)."""

    call_id: str
    attempt: Attempt


class Event(Struct, frozen=True, array_like=True, tag="event", gc=False):
    """A call ended: the one ledger row. ``attempts`` ends with the attempt that this record itself settles, if any did.

    ``settles`` is how many of the last attempts this record closes (0 when nothing was sent, else 1): the earlier ones
    had their own Close. ``cost_nanos`` is None for a call that was never sent. ``ticket`` is the last that the call was held with.
    Times are Unix nanoseconds.
    """

    call_id: str
    at_ns: int
    latency_ms: int
    key_id: str | None
    group: str | None
    attribution: Attribution
    provider: str | None
    model: str
    asked_model: str
    served_model: str | None
    status: CallStatus
    reason: str | None
    cost_nanos: int | None
    usage: Usage
    usage_source: UsageSource
    price_version: str | None
    unpriced: bool
    cache_hit: bool
    saved_nanos: int
    policy_actions: tuple[str, ...]
    attempts: tuple[Attempt, ...]
    settles: int
    request_id: str
    stream: bool
    http_status: int
    ticket: str | None = None


class Return(Struct, frozen=True, array_like=True, tag="return"):
    """Unspent money of a lease goes back. The node has lowered its own balance before this was written."""

    lease_id: str
    nanos: int


class CloseLease(Struct, frozen=True, array_like=True, tag="closelease"):
    """The lease will never be spent from again: whatever the store still counts as leased under it goes back.

    ``to_suspense``: after a reboot or a damaged journal nobody can prove what was spent from it, so the rest counts as
    spent until a person resolves it.
    """

    lease_id: str
    team_id: str
    to_suspense: bool = False


class End(Struct, frozen=True, array_like=True, tag="end"):
    """The journal is finished: every call has its event, every lease its end, and nothing follows."""


Record = Boot | LeaseIntent | Granted | Reserve | Close | Event | Return | CloseLease | End


class ReserveMark(Struct, frozen=True, array_like=True, tag="reserve", gc=False):
    """A Reserve as the store reads it: it moves nothing there, so that its other fields are passed over, whatever they are."""

    call_id: str


StoredRecord = Boot | LeaseIntent | Granted | ReserveMark | Close | Event | Return | CloseLease | End
"""A record as the store reads it."""

NOT_A_RECORD = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that are no record: text that is not UTF-8 has an exception of its own."""

encode_record = msgspec.msgpack.Encoder().encode
decode_record = msgspec.msgpack.Decoder(Record).decode
decode_stored = msgspec.msgpack.Decoder(StoredRecord).decode
