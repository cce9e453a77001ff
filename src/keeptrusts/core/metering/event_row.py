"""One row of the event ledger, as it is stored: a governed call with everything it is accounted by, or a budget alert."""

from typing import Literal

from msgspec import Struct

EventType = Literal["call", "budget_alert"]


class EventRow(Struct, frozen=True, gc=False):
    """The columns in their order. Tokens are in disjoint buckets; ``cost_nanos`` None: nothing was sent.

    ``policy_actions``, ``attempts`` and ``details`` are JSON texts. ``at_ns`` is when the call's money was reserved.
    """

    event_id: str
    type: EventType
    at_ns: int
    node_id: str
    journal_seq: int
    latency_ms: int
    key_id: str | None
    consumer_group: str | None
    team_id: str | None
    application: str | None
    feature: str | None
    environment: str | None
    project: str | None
    customer: str | None
    department: str | None
    user_id: str | None
    provider: str | None
    model: str | None
    asked_model: str | None
    served_model: str | None
    status: str
    reason: str | None
    cost_nanos: int | None
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int
    output_tokens: int
    reasoning_tokens: int
    usage_source: str
    price_version: str | None
    unpriced: bool
    cache_hit: bool
    saved_nanos: int
    policy_actions: str
    attempts: str
    request_id: str
    stream: bool
    http_status: int
    period_key: str | None
    details: str | None


COLUMNS: tuple[str, ...] = EventRow.__struct_fields__


class NumberedRow(Struct, frozen=True):
    """A row with the number that the store gave it; numbers rise in the order of recording."""

    number: int
    row: EventRow
