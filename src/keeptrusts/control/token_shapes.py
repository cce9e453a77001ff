"""A stored token as others need it: what a gateway knows of a key, and the dimensions that it is bound to."""

import msgspec

from keeptrusts.clock import instant_at_ms
from keeptrusts.core.identity.attribution import Attribution
from keeptrusts.core.identity.gateway_key import KeyRecord, resolve_model_list
from keeptrusts.store.tokens import TokenRow

BOUND = ("application", "feature", "environment", "project", "customer", "department", "user")
"""Dimensions beside the team that a key may be bound to."""


def allowed_models(row: TokenRow) -> list[str] | None:
    """The stored model list as people wrote it; None: nothing was said."""
    return None if row.allowed_models is None else msgspec.json.decode(row.allowed_models, type=list[str])


def bound_dimensions(row: TokenRow) -> dict[str, str]:
    """The dimensions that every call of the key carries, without the team."""
    return msgspec.json.decode(row.attribution, type=dict[str, str])


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
    )
