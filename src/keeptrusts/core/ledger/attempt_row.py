"""The attempts of a call as its ledger row keeps them: a JSON text, so that a reader needs no key to what stands where."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from keeptrusts.core.calls.other_usage import Other
from keeptrusts.core.calls.usage import Usage
from keeptrusts.core.ledger.records import Attempt

encode = msgspec.json.Encoder().encode


class OtherRow(Struct, frozen=True, omit_defaults=True, gc=False):
    """What is used beside words, by name. See core/calls/other_usage.py."""

    audio_input: int = 0
    audio_read: int = 0
    image_input: int = 0
    audio_output: int = 0
    image_output: int = 0
    images: int = 0
    image_kind: str | None = None
    characters: int = 0
    audio_ms: int = 0
    web_searches: int = 0
    file_searches: int = 0
    code_sessions: int = 0
    service_tier: str | None = None


class WordsRow(Struct, frozen=True, gc=False):
    """Tokens by bucket, where nothing but words was used: nearly always."""

    input: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    output: int
    reasoning: int


class UsageRow(Struct, frozen=True, gc=False):
    """Tokens by bucket. See core/calls/usage.py."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    other: OtherRow | None = None

    @property
    def usage(self) -> Usage:
        """The same as the pricing function takes it."""
        other = None if self.other is None else Other(*msgspec.structs.astuple(self.other))
        return Usage(
            self.input, self.cache_read, self.cache_write, self.cache_write_1h, self.output, self.reasoning, other
        )


class AttemptRow(Struct, frozen=True, gc=False):
    """One attempt. See core/ledger/records.py."""

    number: int
    target: str
    provider: str
    model: str
    outcome: str
    hold_nanos: int
    cost_nanos: int
    status: int | None
    reason: str | None
    lease_id: str | None
    usage: UsageRow
    usage_source: str
    price_version: str | None
    chosen: str | None = None
    given_id: str | None = None


decode_attempts = msgspec.json.Decoder(tuple[AttemptRow, ...]).decode
"""Raises msgspec.DecodeError or msgspec.ValidationError for a text that is not one of attempts."""


def attempts_text(attempts: Sequence[Attempt]) -> str:
    """The attempts as a row keeps them."""
    return encode([_row(attempt) for attempt in attempts]).decode() if attempts else "[]"


def other_row(other: Other) -> OtherRow:
    """The same by name."""
    return OtherRow(*msgspec.structs.astuple(other))


def _usage_row(usage: Usage) -> Any:
    other = usage.other
    words = (usage.input, usage.cache_read, usage.cache_write, usage.cache_write_1h, usage.output, usage.reasoning)
    return WordsRow(*words) if other is None else UsageRow(*words, other_row(other))


def _row(attempt: Attempt) -> AttemptRow:
    # By position, as for the row of the call: this is done for every call that there is.
    return AttemptRow(
        attempt.number,
        attempt.target,
        attempt.provider,
        attempt.model,
        attempt.outcome,
        attempt.hold_nanos,
        attempt.cost_nanos,
        attempt.status,
        attempt.reason,
        attempt.lease_id,
        _usage_row(attempt.usage),
        attempt.usage_source,
        attempt.price_version,
        attempt.chosen,
        attempt.given_id,
    )
