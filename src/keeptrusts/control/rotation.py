"""A token's new secret: its id, limits and books stay, and for as long as asked the old secret works beside the new one."""

import msgspec

from keeptrusts.control.context import Actor, Control
from keeptrusts.control.denial import conflict
from keeptrusts.control.tokens import PREFIXES, changeable, write
from keeptrusts.core.identity.gateway_key import SECRET_BYTES, hint, issue_key, key_digest
from keeptrusts.store.tokens import TokenRow

MAX_OVERLAP_S = 30 * 86_400


async def rotate(control: Control, actor: Actor, token_id: str, overlap_s: int) -> tuple[TokenRow, str]:
    """Gives the token a new secret, which is returned and kept nowhere. The one before is of use for ``overlap_s`` seconds
    more, and the one before that of none from now on. Raises Denial for a token that is revoked or has expired."""
    tools = control.tools
    async with control.store.write() as books:
        row = await changeable(books, token_id)
        now_ms = tools.now_ms()
        if row.expires_at_ms is not None and row.expires_at_ms <= now_ms:
            raise conflict(f"{token_id} has expired: a new secret would be of no use, set expires_at", "token_expired")
        key = issue_key(PREFIXES[row.token_type], tools.draw(SECRET_BYTES))
        after = msgspec.structs.replace(
            row,
            digest=key_digest(control.pepper, key),
            hint=hint(key),
            old_digest=row.digest,
            old_until_ms=now_ms + overlap_s * 1_000,
            rotated_at_ms=now_ms,
        )
        await write(control, books, actor, "token.rotate", row, after)
    return after, key
