"""``/v1/gateways``: the nodes that the ledger knows, what each holds, and giving one up that is lost."""

from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from keeptrusts.api.access import TheActor, TheControl
from keeptrusts.api.exact_json import answer
from keeptrusts.api.shapes import PAGE_DEFAULT, PAGE_MAX, Shape, Usd, rfc3339
from keeptrusts.clock import instant_at_ms
from keeptrusts.control import retirement
from keeptrusts.control.retirement import KnownNode
from keeptrusts.core.money import usd


class Retirement(Shape):
    """Gives a node up."""

    force: bool = Field(False, description="Also a node that is alive: it ends by itself within a second or two.")


class GatewayShape(BaseModel):
    """A gateway node. ``alive``: it was heard of in the last ten seconds. ``state``: ``live`` until its journal is finished
    (``ended``) or somebody gave it up (``retired``); one that is live and not alive crashed, or cannot reach the API.

    ``leased`` is what it has at hand, ``suspense`` what nobody can prove of what it had.
    """

    id: str
    hostname: str
    version: str
    state: Literal["live", "ended", "retired"]
    alive: bool
    leases: int
    leased: Usd
    suspense: Usd
    journal_seq: int = Field(description="Up to which record its journal is applied.")
    registered_at: str
    config_fingerprint: str = Field(description="The same for all that go by the same rules.")
    config_version: int | None = Field(description="Of a managed gateway: the version that it goes by.")


class GatewayPage(BaseModel):
    """The newest first."""

    data: list[GatewayShape]
    next_cursor: str | None


async def list_gateways(
    control: TheControl,
    state: Annotated[str, Query(pattern="^(open|all)$", description="open: without those that have ended.")] = "open",
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """Gateway nodes: one for each gateway process that ever registered."""
    found = await retirement.nodes_page(control, state == "all", cursor, limit + 1)
    page = found[:limit]
    more = page[-1].row.node_id if len(found) > limit else None
    return answer({"data": [_shown(node) for node in page], "next_cursor": more})


async def retire(control: TheControl, actor: TheActor, node_id: str, body: Retirement) -> Response:
    """Give a lost node up: what it had leased goes to suspense. Doing so again changes nothing."""
    return answer(_shown(await retirement.retire(control, actor, node_id, body.force)))


def _shown(node: KnownNode) -> dict[str, object]:
    row = node.row
    return {
        "id": row.node_id,
        "hostname": row.registration.hostname,
        "version": row.registration.version,
        "state": row.state,
        "alive": node.alive,
        "leases": row.open_leases,
        "leased": usd(row.leased_nanos),
        "suspense": usd(row.suspense_nanos),
        "journal_seq": row.journal_seq,
        "registered_at": rfc3339(instant_at_ms(row.registered_at_ms)),
        "config_fingerprint": row.registration.config_fingerprint,
        "config_version": row.registration.config_version,
    }
