"""A token's new secret: its id, limits and books stay, and for as long as asked the old secret works beside the new one."""

from hashlib import blake2b

import msgspec
from msgspec import Struct

from keeptrusts.control.context import Actor, Control
from keeptrusts.control.denial import conflict
from keeptrusts.control.repeats import Repeat, answered, remember
from keeptrusts.control.tokens import PREFIXES, changeable, write
from keeptrusts.core.identity.gateway_key import SECRET_BYTES, hint, issue_key, key_digest
from keeptrusts.store.tokens import TokenRow

MAX_OVERLAP_S = 30 * 86_400


class Salt(Struct, frozen=True):
    """What is remembered of a rotation that may be asked for again (hex). The secret comes of it by the pepper and by the
    Idempotency-Key, neither of which the store has."""

    salt: str


async def rotate(
    control: Control,
    actor: Actor,
    token_id: str,
    overlap_s: int,
    repeat: Repeat | None = None,
    idempotency_key: str = "",
) -> tuple[TokenRow, str]:
    """Gives the token a new secret, which is returned and kept nowhere. The one before is of use for ``overlap_s`` seconds
    more, and the one before that of none from now on. Raises Denial for a token that is revoked or has expired.

    A ``repeat`` of the same request, for one whose answer was lost, changes nothing and returns the same secret.
    """
    tools = control.tools
    async with control.store.write() as books:
        row = await changeable(books, token_id)
        told = await answered(books, actor, repeat, Salt)
        salt = tools.draw(SECRET_BYTES) if told is None else bytes.fromhex(told.salt)
        draw = salt if repeat is None else _drawn(control.pepper, salt, token_id, idempotency_key)
        key = issue_key(PREFIXES[row.token_type], draw)
        digest = key_digest(control.pepper, key)
        if told is not None:
            if digest not in (row.digest, row.old_digest):
                raise conflict(
                    f"{token_id} was rotated again since: that secret is of no use any more", "token_rotated"
                )
            return row, key
        now_ms = tools.now_ms()
        if row.expires_at_ms is not None and row.expires_at_ms <= now_ms:
            raise conflict(f"{token_id} has expired: a new secret would be of no use, set expires_at", "token_expired")
        after = msgspec.structs.replace(
            row,
            digest=digest,
            hint=hint(key),
            old_digest=row.digest,
            old_until_ms=now_ms + overlap_s * 1_000,
            rotated_at_ms=now_ms,
        )
        await write(control, books, actor, "token.rotate", row, after)
        await remember(books, tools, actor, repeat, Salt(salt.hex()))
    return after, key


def _drawn(pepper: bytes, salt: bytes, token_id: str, idempotency_key: str) -> bytes:
    said = b"\0".join((b"rotation", salt, token_id.encode(), idempotency_key.encode()))
    return blake2b(said, key=pepper, digest_size=SECRET_BYTES).digest()
