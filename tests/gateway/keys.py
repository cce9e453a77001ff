"""Issued keys as a node hears of them, for tests that play the control plane."""

from typing import Any

import msgspec

from keeptrusts.core.identity.attribution import Attribution
from keeptrusts.core.identity.gateway_key import KeyRecord, issue_key, key_digest
from keeptrusts.core.link import Changes
from tests.gateway.house import TEAM, House

PEPPER = bytes(32)
"""What the fake control plane's registration answers."""


def secret(number: int) -> str:
    """An issued key."""
    return issue_key("kt_gk_", number.to_bytes(32, "big"))


def record(number: int = 1, **fields: Any) -> KeyRecord:
    """What a node knows of the key ``secret(number)``."""
    plain = KeyRecord(
        key_id="tok_1",
        digest=key_digest(PEPPER, secret(number)),
        name="k",
        status="active",
        rate_limit=None,
        allowed_models=None,
        consumer_group=None,
        attribution=Attribution(team=TEAM),
        expires_at=None,
    )
    return msgspec.structs.replace(plain, **fields)


def tell(house: House, *records: KeyRecord, budgets: tuple[str, ...] = ()) -> None:
    """The node hears of keys, and of budgets beside the team's."""
    control = house.control
    control.seq += 1
    control.changes_due = Changes(control.seq, keys=records)
    control.news.set()
    house.loop.turn()
    for name in budgets:
        house.node._know_budget(name)


def bearer(number: int = 1) -> dict[str, str]:
    """The header that a client of the key sends instead of the group's."""
    return {"x-consumer-group": "", "authorization": f"Bearer {secret(number)}"}
