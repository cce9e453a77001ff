"""A stored token as others need it: what a gateway knows of a key, and the dimensions that it is bound to."""

import msgspec

from keeptrusts.clock import instant_at_ms
from keeptrusts.core.identity.additions import ADDABLE
from keeptrusts.core.identity.attribution import Attribution
from keeptrusts.core.identity.gateway_key import KeyRecord, resolve_model_list
from keeptrusts.store.tokens import TokenRow

BOUND = ADDABLE
"""Dimensions beside the team that a key may be bound to: those that it may let its clients name."""


def allowed_models(row: TokenRow) -> list[str] | None:
    """The stored model list as people wrote it; None: nothing was said."""
    return None if row.allowed_models is None else msgspec.json.decode(row.allowed_models, type=list[str])


def bound_dimensions(row: TokenRow) -> dict[str, str]:
    """The dimensions that every call of the key carries, without the team."""
    return msgspec.json.decode(row.attribution, type=dict[str, str])


def allowed_dimensions(row: TokenRow) -> dict[str, tuple[str, ...]]:
    """What clients may add, and the values that they may use; ``*``: any."""
    return msgspec.json.decode(row.allowed_dimensions, type=dict[str, tuple[str, ...]])


def allowed_ips(row: TokenRow) -> tuple[str, ...]:
    """The networks that calls may come from; empty: any."""
    return msgspec.json.decode(row.allowed_ips, type=tuple[str, ...])


def key_record(row: TokenRow) -> KeyRecord:
    """What gateways know of the key."""
    return KeyRecord(
        key_id=row.token_id,
        digest=row.digest,
        name=row.name,
        status=row.status,
        rate_limit=row.rate_limit,
        allowed_models=resolve_model_list(allowed_models(row)),
        consumer_group=row.consumer_group,
        attribution=Attribution(team=row.team_id, **bound_dimensions(row)),
        expires_at=None if row.expires_at_ms is None else instant_at_ms(row.expires_at_ms),
        allowed_dimensions=allowed_dimensions(row),
        allowed_ips=allowed_ips(row),
        old_digest=row.old_digest,
        old_until=None if row.old_until_ms is None else instant_at_ms(row.old_until_ms),
        suspended_reason=row.suspended_reason,
    )
