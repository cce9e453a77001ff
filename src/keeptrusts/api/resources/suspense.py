"""``/v1/ledger/suspense``: money in doubt, and what people found out about it."""

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel
from starlette.responses import Response

from keeptrusts.api.access import TheActor, TheControl
from keeptrusts.api.exact_json import answer
from keeptrusts.api.shapes import PAGE_DEFAULT, PAGE_MAX, AmountNanos, Shape, Text, Usd, rfc3339
from keeptrusts.clock import instant_at_ms
from keeptrusts.control import suspense
from keeptrusts.control.suspense import Doubt
from keeptrusts.core.money import usd


class Resolution(Shape):
    """``spent`` is what was really spent of the amount in suspense, by the provider's bill for example; the rest is free again."""

    spent: AmountNanos
    note: Text | None = None


class DoubtAccount(BaseModel):
    """A wallet that counts the amount as used, and in which period."""

    wallet_id: str
    scope: str
    scope_id: str
    period: str


class SuspenseItem(BaseModel):
    """What is in doubt of one lease."""

    lease_id: str
    gateway_id: str
    hostname: str
    amount: Usd
    why: str | None
    since: str
    wallets: list[DoubtAccount]


class SuspensePage(BaseModel):
    """By lease id, which is the order in which the leases were made."""

    data: list[SuspenseItem]
    next_cursor: str | None


class Resolved(BaseModel):
    """What became of the amount, in every wallet that counted it."""

    lease_id: str
    spent: Usd
    freed: Usd
    wallets: list[DoubtAccount]


async def list_suspense(
    control: TheControl,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT,
    cursor: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """Leases whose holder could not prove what it spent. Calls of unknown outcome are events: ``usage_source=worst_case``."""
    found = await suspense.doubts(control, cursor, limit + 1)
    page = found[:limit]
    more = page[-1].lease.lease_id if len(found) > limit else None
    return answer({"data": [_shown(doubt) for doubt in page], "next_cursor": more})


async def resolve(control: TheControl, actor: TheActor, lease_id: str, body: Resolution) -> Response:
    """Say what was really spent of a lease in suspense: that is posted, and the rest is free again."""
    doubt = await suspense.resolve(control, actor, lease_id, body.spent, body.note)
    freed = doubt.lease.in_doubt - body.spent
    return answer({"lease_id": lease_id, "spent": usd(body.spent), "freed": usd(freed), "wallets": _accounts(doubt)})


def _shown(doubt: Doubt) -> dict[str, object]:
    lease = doubt.lease
    return {
        "lease_id": lease.lease_id,
        "gateway_id": lease.node_id,
        "hostname": doubt.hostname,
        "amount": usd(lease.in_doubt),
        "why": lease.suspended_why,
        "since": rfc3339(instant_at_ms(lease.suspended_at_ms)),
        "wallets": _accounts(doubt),
    }


def _accounts(doubt: Doubt) -> list[dict[str, str]]:
    return [
        {
            "wallet_id": account.wallet.wallet_id,
            "scope": account.wallet.scope,
            "scope_id": account.wallet.scope_id,
            "period": account.period_key,
        }
        for account in doubt.accounts
    ]
