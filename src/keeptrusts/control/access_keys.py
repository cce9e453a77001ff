"""Access keys (``kt_ak_...``): what programs speak to the API with."""

from keeptrusts.clock import NANOS_PER_MS
from keeptrusts.control.context import Actor, Control
from keeptrusts.core.identity.gateway_key import has_valid_checksum, key_digest

USABLE = frozenset({"provisioned", "active"})
NOTED_EVERY_MS = 60_000
"""How often at most a key's last use is written down."""


async def actor_of_access_key(control: Control, key: str) -> Actor | None:
    """Who the key stands for; None when it is unknown, suspended, revoked or expired. Notes that it was used."""
    if not has_valid_checksum(key):
        return None
    now_ms = control.tools.now_ms()
    async with control.store.read() as books:
        row = await books.tokens.by_digest(key_digest(control.pepper, key), now_ms)
    if row is None or row.token_type != "access" or row.status not in USABLE:
        return None
    if row.expires_at_ms is not None and row.expires_at_ms <= now_ms:
        return None
    if row.last_used_at_ms is None or now_ms - row.last_used_at_ms > NOTED_EVERY_MS:
        async with control.store.write() as books:
            await books.tokens.mark_used({row.token_id: now_ms * NANOS_PER_MS})
    return Actor("access_key", row.token_id)
