"""Parts of request and answer shapes that several nouns share: money, names, times, pages."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Strict,
    StringConstraints,
    WithJsonSchema,
)

from keeptrusts.core.money import BadAmount, nanos_from_usd, pico_per_token

PAGE_DEFAULT = 100
PAGE_MAX = 1_000
COUNT_MAX = 10**9


class Shape(BaseModel):
    """A request's shape: a field that it does not have is an error."""

    model_config = ConfigDict(extra="forbid")


def _number(value: Any) -> Decimal | int | str:
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        raise ValueError("must be a number (or a number as text), for example 500 or 0.01")
    return value


def _amount_nanos(value: Any) -> int:
    try:
        nanos = nanos_from_usd(_number(value))
    except BadAmount as error:
        raise ValueError(str(error)) from None
    if nanos < 0:
        raise ValueError(f"must be at least 0, not {value}")
    return nanos


def _pico(value: Any) -> int:
    try:
        return pico_per_token(_number(value))
    except BadAmount as error:
        raise ValueError(str(error)) from None


def _currency(text: str) -> str:
    if text != "USD":
        raise ValueError(f"this ledger is kept in USD, not in {text!r}")
    return text


def _clean(text: str) -> str:
    if any(ord(letter) < 32 or ord(letter) == 127 or 0xD800 <= ord(letter) < 0xE000 for letter in text):
        raise ValueError("must hold no control characters")
    return text


def _instant(value: Any) -> datetime:
    try:
        instant = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError("must be RFC 3339, for example 2027-01-31T12:00:00Z") from None
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)


MONEY_SCHEMA = {"type": "number", "minimum": 0, "description": "USD, at most nine decimals; also accepted as text."}
RATE_SCHEMA = {"type": "number", "minimum": 0, "description": "USD per 1,000 tokens, at most nine decimals."}

AmountNanos = Annotated[int, BeforeValidator(_amount_nanos), WithJsonSchema(MONEY_SCHEMA)]
"""An amount that came in, in nano-USD."""

RatePico = Annotated[int, BeforeValidator(_pico), WithJsonSchema(RATE_SCHEMA)]
"""A price that came in, in pico-USD per token."""

Usd = Annotated[Decimal, WithJsonSchema({"type": "number", "description": "USD, exact."})]
"""An amount that goes out."""

Currency = Annotated[str, AfterValidator(_currency)]
Count = Annotated[int, Strict()]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_clean)]
Text = Annotated[str, StringConstraints(max_length=2_000), AfterValidator(_clean)]
Instant = Annotated[datetime, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})]


def rfc3339(instant: datetime) -> str:
    """An aware instant as text, in UTC, to the second or as finely as it is."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
