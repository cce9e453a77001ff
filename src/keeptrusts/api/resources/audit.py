"""``/v1/audit``: who changed what, and the signed checkpoints over that and over the ledger."""

from decimal import Decimal
from typing import Annotated, Any

import msgspec
from fastapi import Query
from pydantic import BaseModel
from starlette.responses import Response

from keeptrusts.api.access import TheControl
from keeptrusts.api.exact_json import answer
from keeptrusts.api.instants import Instant, instant_ns
from keeptrusts.api.shapes import PAGE_DEFAULT, PAGE_MAX, Usd, rfc3339
from keeptrusts.clock import instant_at_ms
from keeptrusts.control import audit
from keeptrusts.core.audit.statement import BadStatement, Sealed, read_statement
from keeptrusts.core.ids import base36
from keeptrusts.core.metering.rendering import timestamp
from keeptrusts.core.metering.selection import END_OF_TIME_NS
from keeptrusts.core.money import usd
from keeptrusts.store.audit import Act

ACT_DIGITS = 9

_decode = msgspec.json.Decoder(float_hook=Decimal).decode


class ActShape(BaseModel):
    """One act. ``before`` and ``after`` hold what changed, amounts in nano-USD; null: there was, or is, nothing."""

    id: str
    number: int
    timestamp: str
    actor: str
    action: str
    subject_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class ActPage(BaseModel):
    """The newest acts first."""

    acts: list[ActShape]
    next_cursor: str | None


class CheckpointShape(BaseModel):
    """A checkpoint. ``hash`` is what to keep elsewhere: it stands for every row up to here. ``rows`` and ``cost_usd`` are
    sums over all checkpoints so far; those fields and ``root`` are null when the statement is not one any more."""

    number: int
    hash: str
    made_at: str | None
    key: str | None
    root: str | None
    rows: dict[str, int] | None
    cost_usd: Usd | None
    statement: str
    signature: str


class CheckpointPage(BaseModel):
    """The newest checkpoints first."""

    checkpoints: list[CheckpointShape]
    next_cursor: str | None


Filter = Annotated[str | None, Query(max_length=200)]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
Cursor = Annotated[int | None, Query(ge=0, lt=2**63, description="The next_cursor of the answer before.")]


async def list_acts(
    control: TheControl,
    actor: Filter = None,
    action: Filter = None,
    subject_id: Filter = None,
    since: Instant = None,
    until: Instant = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response:
    """Who changed what: every act that matches all given filters."""
    asked = {"actor": actor, "action": action, "subject_id": subject_id}
    equals = {name: value for name, value in asked.items() if value is not None}
    since_ns = instant_ns(control, "since", since, 0)
    until_ns = instant_ns(control, "until", until, END_OF_TIME_NS)
    found = await audit.list_acts(control, equals, cursor, since_ns, until_ns, limit + 1)
    page = found[:limit]
    more = str(page[-1].number) if len(found) > limit else None
    return answer({"acts": [_told(act) for act in page], "next_cursor": more})


async def list_checkpoints(control: TheControl, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None) -> Response:
    """The signed checkpoints over ledger and audit trail, as they are kept; `kt audit verify` checks them."""
    found = await audit.list_checkpoints(control, cursor, limit + 1)
    page = found[:limit]
    more = str(page[-1].number) if len(found) > limit else None
    return answer({"checkpoints": [_checkpoint(sealed) for sealed in page], "next_cursor": more})


def _told(act: Act) -> dict[str, Any]:
    return {
        "id": f"act_{base36(act.number, ACT_DIGITS)}",
        "number": act.number,
        "timestamp": timestamp(act.at_ns),
        "actor": act.actor,
        "action": act.action,
        "subject_id": act.subject_id,
        "before": None if act.before is None else _decode(act.before),
        "after": None if act.after is None else _decode(act.after),
    }


def _checkpoint(sealed: Sealed) -> dict[str, Any]:
    kept: dict[str, Any] = {"number": sealed.number, "hash": sealed.hash}
    try:
        statement = read_statement(sealed.text)
    except BadStatement:
        kept |= dict.fromkeys(("made_at", "key", "root", "rows", "cost_usd"))
    else:
        kept |= {
            "made_at": rfc3339(instant_at_ms(statement.made_at_ms)),
            "key": statement.key,
            "root": statement.root,
            "rows": dict(statement.so_far.rows),
            "cost_usd": usd(statement.so_far.cost_nanos),
        }
    return kept | {"statement": sealed.text, "signature": sealed.signature}
