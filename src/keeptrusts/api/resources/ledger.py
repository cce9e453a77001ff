"""``/v1/ledger``: whether the books hold, as the API's own watch last found them."""

from typing import Literal

from pydantic import BaseModel, Field
from starlette.responses import Response

from keeptrusts.api.access import TheControl
from keeptrusts.api.exact_json import answer
from keeptrusts.control import ledger_health


class FindingShape(BaseModel):
    """A row that breaks an invariant. Amounts are whole nano-USD."""

    subject: str = Field(description="Which row: a wallet period, a lease, an event, an entry.")
    what: str
    expected: int | str | None
    found: int | str | None


class InvariantShape(BaseModel):
    """One invariant. ``ok`` null: nothing speaks against it, but not everything was looked at."""

    invariant: str
    sentence: str
    ok: bool | None
    checked: int = Field(description="How many rows it was held against.")
    broken: int
    findings: list[FindingShape] = Field(description="The first of them, at most 20.")
    notes: dict[str, int] = Field(description="What is allowed, and worth knowing.")


class LedgerHealth(BaseModel):
    """``unknown``: not examined yet since the API started, or not lately."""

    status: Literal["ok", "violated", "unknown"]
    checked_at: str | None
    took_ms: int | None
    events_read: int = Field(description="How many events the reading under way has come to.")
    invariants: list[InvariantShape]


async def health(control: TheControl) -> Response:
    """The invariants L1 to L12 as they were found last. They are examined twice a minute at most; nothing is read now."""
    return answer(ledger_health.health(control))
