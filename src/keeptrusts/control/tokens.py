"""Issued tokens: gateway keys for calls, access keys for the API; their states are those of ``core/identity/gateway_key.py``."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct

from keeptrusts.clock import unix_ms
from keeptrusts.control.audit import note
from keeptrusts.control.context import Actor, Control
from keeptrusts.control.denial import conflict, invalid, not_found
from keeptrusts.control.directory import must_be_known
from keeptrusts.control.token_shapes import allowed_dimensions, bound_dimensions
from keeptrusts.core.identity.gateway_key import (
    ACCESS_PREFIX,
    GATEWAY_PREFIX,
    SECRET_BYTES,
    TRANSITIONS,
    KeyStatus,
    SuspendedReason,
    hint,
    issue_key,
    key_digest,
)
from keeptrusts.store.books import Books
from keeptrusts.store.tokens import TokenRow

PREFIXES: Mapping[str, str] = {"gateway": GATEWAY_PREFIX, "access": ACCESS_PREFIX}
BEFORE_ALL = "tok_~"
"""Sorts after every token id."""

OF_CALLS = frozenset(
    {
        *("rate_limit", "allowed_models", "consumer_group", "team_id"),
        *("allowed_dimensions", "allowed_ips", "on_exhausted"),
    }
)
"""Fields that say something about calls: an access key makes none."""

AskedStatus = Literal["active", "suspended", "revoked"]


class KeyClass(Struct, frozen=True):
    """What a class of keys is preset to."""

    rate_limit: int
    allowed_models: tuple[str, ...]


CLASSES: Mapping[str, KeyClass] = {
    "production": KeyClass(5_000, ("gpt-4o-mini",)),
    "development": KeyClass(500, ("gpt-4o", "gpt-4o-mini", "claude-sonnet-4-20250514")),
    "sandbox": KeyClass(100, ("*",)),
}


class Wish(Struct, frozen=True):
    """A new token as asked for. ``attribution`` is without the team."""

    token_type: str
    name: str
    description: str | None
    key_class: str | None
    role: str | None
    rate_limit: int | None
    allowed_models: list[str] | None
    team_id: str | None
    consumer_group: str | None
    attribution: dict[str, str]
    expires_at: datetime | None
    allowed_dimensions: dict[str, list[str]] = {}
    allowed_ips: list[str] = []
    on_exhausted: str = "refuse"


async def create(control: Control, actor: Actor, wish: Wish) -> tuple[TokenRow, str]:
    """Issues a token and returns it with its secret, which is kept nowhere."""
    tools = control.tools
    key = issue_key(PREFIXES[wish.token_type], tools.draw(SECRET_BYTES))
    preset = CLASSES.get(wish.key_class or "")
    models = wish.allowed_models
    if models is None and preset is not None:
        models = list(preset.allowed_models)
    row = TokenRow(
        token_id=tools.new_id("tok"),
        token_type=wish.token_type,
        digest=key_digest(control.pepper, key),
        hint=hint(key),
        name=wish.name,
        description=wish.description,
        status="provisioned",
        key_class=wish.key_class,
        role=wish.role,
        rate_limit=preset.rate_limit if wish.rate_limit is None and preset is not None else wish.rate_limit,
        allowed_models=None if models is None else json_text(models),
        consumer_group=wish.consumer_group,
        attribution=json_text(wish.attribution),
        team_id=wish.team_id,
        created_at_ms=tools.now_ms(),
        expires_at_ms=None if wish.expires_at is None else unix_ms(wish.expires_at),
        last_used_at_ms=None,
        allowed_dimensions=json_text(wish.allowed_dimensions),
        allowed_ips=json_text(wish.allowed_ips),
        on_exhausted=wish.on_exhausted,
    )
    async with control.store.write() as books:
        if wish.team_id is not None:
            await must_be_known(control, books, wish.team_id)
        await books.tokens.add(row)
        await _tell_gateways(books, row)
        await note(books, tools, actor, "token.create", row.token_id, None, _shown(row))
    return row, key


async def get(control: Control, token_id: str) -> TokenRow:
    """The token. Raises Denial when there is none."""
    async with control.store.read() as books:
        return await _found(books, token_id)


async def page(
    control: Control, token_type: str | None, status: str | None, team_id: str | None, before_id: str | None, limit: int
) -> list[TokenRow]:
    """The newest tokens, with ids below ``before_id``."""
    async with control.store.read() as books:
        now_ms = control.tools.now_ms()
        return await books.tokens.newest(token_type, status, team_id, now_ms, before_id or BEFORE_ALL, limit)


async def change(
    control: Control, actor: Actor, token_id: str, fields: Mapping[str, Any], status: AskedStatus | None
) -> TokenRow:
    """Changes fields of a token (columns by name) and its state. Gateways act on it within a second.

    A key that its budget has suspended and a person suspends too stays so, whatever money comes.
    """
    async with control.store.write() as books:
        row = await changeable(books, token_id)
        if row.token_type == "access" and (foreign := fields.keys() & OF_CALLS):
            raise invalid(f"{', '.join(sorted(foreign))}: is for gateway keys; {token_id} is an access key")
        after = msgspec.structs.replace(row, **fields)
        if both := bound_dimensions(after).keys() & allowed_dimensions(after).keys():
            names = ", ".join(sorted(both))
            raise invalid(f"allowed_dimensions: the key is bound to its {names}: no client can add that")
        if status is not None:
            reason: SuspendedReason | None = "manual" if status == "suspended" else None
            after = msgspec.structs.replace(
                after, status=_next_status(row, status), suspended_reason=reason, left_nanos=None
            )
        await write(control, books, actor, "token.update", row, after)
        return after


async def revoke(control: Control, actor: Actor, token_id: str) -> TokenRow:
    """Ends a token for good; doing so again changes nothing."""
    async with control.store.write() as books:
        row = await _kept(books, token_id)
        after = msgspec.structs.replace(row, status="revoked", suspended_reason=None, left_nanos=None)
        await write(control, books, actor, "token.revoke", row, after)
        return after


def resumed_status(row: TokenRow) -> KeyStatus:
    """The state of a suspended token that goes on: one that was never used is where it was."""
    return "active" if row.last_used_at_ms is not None else "provisioned"


def _next_status(row: TokenRow, asked: AskedStatus) -> KeyStatus:
    """The state that ``asked`` leads to."""
    if asked == row.status:
        return row.status
    following: KeyStatus = asked
    if asked == "active":
        following = resumed_status(row)
    if following not in TRANSITIONS[row.status] or (asked == "active" and row.status != "suspended"):
        raise conflict(
            f"{row.token_id} is {row.status}: it can't become {asked}"
            + (", its first use does that" if row.status == "provisioned" else ""),
            "illegal_transition",
            status=row.status,
        )
    return following


async def write(control: Control, books: Books, actor: Actor, action: str, before: TokenRow, after: TokenRow) -> None:
    """Writes what changed, tells gateways of it, and leaves a line in the audit trail; where nothing changed, none of it."""
    if after == before:
        return
    await books.tokens.update(after)
    await _tell_gateways(books, after)
    old, new = _shown(before), _shown(after)
    changed = {name for name in new if new[name] != old[name]}
    await note(
        books,
        control.tools,
        actor,
        action,
        after.token_id,
        {name: old[name] for name in sorted(changed)},
        {name: new[name] for name in sorted(changed)},
    )


async def _tell_gateways(books: Books, row: TokenRow) -> None:
    if row.token_type == "gateway":
        await books.changes.add("key", row.token_id)


async def changeable(books: Books, token_id: str) -> TokenRow:
    """The token, kept from other writers. Raises Denial when there is none, and when it is revoked."""
    row = await _kept(books, token_id)
    if row.status == "revoked":
        raise conflict(f"{token_id} is revoked: that is for good, issue a new token", "token_revoked")
    return row


async def _kept(books: Books, token_id: str) -> TokenRow:
    row = await books.tokens.kept(token_id)
    if row is None:
        raise not_found(f"there is no token {token_id!r}", "token_not_found")
    return row


async def _found(books: Books, token_id: str) -> TokenRow:
    row = await books.tokens.find(token_id)
    if row is None:
        raise not_found(f"there is no token {token_id!r}", "token_not_found")
    return row


def _shown(row: TokenRow) -> dict[str, Any]:
    shown = msgspec.structs.asdict(row)
    del shown["digest"], shown["old_digest"]
    return shown


def json_text(value: object) -> str:
    """A value as the JSON text that a column keeps."""
    return msgspec.json.encode(value).decode()
