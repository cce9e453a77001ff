"""Gateway keys: how an issued key is built and checked, what a node knows of one, and which states it goes through."""

from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Literal
from zlib import crc32

from msgspec import Struct

from keeptrusts.core.identity.attribution import Attribution

SuspendedReason = Literal["manual", "budget_exhausted"]
"""Who suspended a key: a person, or the budget that it has used up. Only the latter ends by itself."""

KeyStatus = Literal["provisioned", "active", "suspended", "revoked"]
"""Stored states; ``expired`` is seen from ``expires_at`` and never stored."""

TRANSITIONS: Mapping[KeyStatus, frozenset[KeyStatus]] = {
    "provisioned": frozenset({"active", "suspended", "revoked"}),
    "active": frozenset({"suspended", "revoked"}),
    "suspended": frozenset({"active", "provisioned", "revoked"}),
    "revoked": frozenset(),
}
"""Where each state may go. A suspended key resumes to ``active``, or to ``provisioned`` when it was never used."""

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SECRET_BYTES = 32
CHECKSUM_LENGTH = 6
GATEWAY_PREFIX = "kt_gk_"
GROUP_PREFIX = "kt_cg_"
ACCESS_PREFIX = "kt_ak_"


def issue_key(prefix: str, draw: bytes) -> str:
    """A new key: the prefix, the drawn secret in base 62, and a checksum that lets garbage be told without a look-up.

    ``draw`` must be ``SECRET_BYTES`` bytes from a cryptographic source. The form follows GitHub's token format.
    """
    body = prefix + _base62(int.from_bytes(draw, "big"), 43)
    return body + checksum(body)


def checksum(body: str) -> str:
    """The six base-62 characters of the CRC-32 of everything before them."""
    return _base62(crc32(body.encode()), CHECKSUM_LENGTH)


def has_valid_checksum(key: str) -> bool:
    """Whether the key ends with the checksum of the rest: true for every key that we issued."""
    return len(key) > CHECKSUM_LENGTH and checksum(key[:-CHECKSUM_LENGTH]) == key[-CHECKSUM_LENGTH:]


def key_digest(pepper: bytes, key: str) -> str:
    """The keyed hash under which a key is stored and looked up, in hex. ``pepper`` is kept apart from the store."""
    return blake2b(key.encode(), key=pepper, digest_size=16).hexdigest()


def hint(key: str) -> str:
    """What may be shown of a key after it was issued: its prefix and its last four characters."""
    return f"{key[:6]}...{key[-4:]}"


def _base62(number: int, width: int) -> str:
    digits = []
    while number:
        number, rest = divmod(number, 62)
        digits.append(BASE62[rest])
    return "".join(reversed(digits)).rjust(width, "0")


class KeyRecord(Struct, frozen=True):
    """What a node knows of an issued key. ``digest`` is the keyed hash in hex; ``rate_limit`` is calls per minute.

    ``allowed_models`` None means every model. ``key_id`` (``tok_...``) is what events carry. ``allowed_dimensions`` is what
    clients may add to the attribution (``core/identity/additions.py``), ``allowed_ips`` where they may call from; empty:
    from anywhere. ``old_digest`` is the secret before the last rotation, of use until ``old_until``.
    """

    key_id: str
    digest: str
    name: str
    status: KeyStatus
    rate_limit: int | None
    allowed_models: tuple[str, ...] | None
    consumer_group: str | None
    attribution: Attribution
    expires_at: datetime | None
    allowed_dimensions: Mapping[str, tuple[str, ...]] = {}
    allowed_ips: tuple[str, ...] = ()
    old_digest: str | None = None
    old_until: datetime | None = None
    suspended_reason: SuspendedReason | None = None


def resolve_model_list(models: list[str] | None) -> tuple[str, ...] | None:
    """A stored list as nodes use it: None (all) when nothing was said or the list holds ``*``."""
    if models is None or "*" in models:
        return None
    return tuple(models)
