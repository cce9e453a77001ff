"""``/v1/tokens``: gateway keys and access keys."""

from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request
from starlette.responses import Response

from keeptrusts.api.access import TheActor, TheControl
from keeptrusts.api.errors import bad_request
from keeptrusts.api.exact_json import answer
from keeptrusts.api.repeats import TheRepeat, once
from keeptrusts.api.resources.token_shapes import Attribution, Token, TokenCreate, TokenPatch, TokenRotate, one_team
from keeptrusts.api.shapes import PAGE_DEFAULT, PAGE_MAX, Instant, rfc3339
from keeptrusts.clock import instant_at_ms, unix_ms
from keeptrusts.control import rotation, tokens
from keeptrusts.control.context import Control
from keeptrusts.control.token_shapes import allowed_dimensions, allowed_ips, allowed_models, bound_dimensions
from keeptrusts.store.tokens import TokenRow


async def create(control: TheControl, actor: TheActor, body: TokenCreate) -> Response:
    """Issue a token. Its secret is in this answer and never shown again."""
    _not_past(control, body.expires_at)
    wish = tokens.Wish(
        token_type=body.token_type,
        name=body.name,
        description=body.description,
        key_class=body.class_,
        role="admin" if body.token_type == "access" else None,
        rate_limit=body.rate_limit,
        allowed_models=body.allowed_models,
        team_id=body.team_id or body.attribution.team,
        consumer_group=body.consumer_group,
        attribution=body.attribution.bound(),
        expires_at=body.expires_at,
        allowed_dimensions=body.allowed_dimensions.named(),
        allowed_ips=body.allowed_ips,
        on_exhausted=body.on_exhausted,
    )
    row, secret = await tokens.create(control, actor, wish)
    return _issued(control, row, secret, 201)


def _issued(control: Control, row: TokenRow, secret: str, status: int) -> Response:
    shown = told(row, control.tools.now_ms())
    return answer({"id": shown.pop("id"), "token": secret, **shown}, status)


async def list_tokens(
    control: TheControl,
    token_type: Annotated[Literal["gateway", "access"] | None, Query(alias="type")] = None,
    status: Literal["provisioned", "active", "suspended", "expired", "revoked"] | None = None,
    team_id: str | None = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT,
    cursor: str | None = None,
) -> Response:
    """The newest tokens first."""
    found = await tokens.page(control, token_type, status, team_id, cursor, limit + 1)
    now_ms = control.tools.now_ms()
    rows = found[:limit]
    more = rows[-1].token_id if len(found) > limit else None
    return answer({"data": [told(row, now_ms) for row in rows], "next_cursor": more})


WITHOUT_OVERLAP = TokenRotate()

TokenId = Annotated[str, Path(max_length=100)]


async def get(control: TheControl, token_id: TokenId) -> Response:
    """One token."""
    return answer(told(await tokens.get(control, token_id), control.tools.now_ms()))


async def patch(control: TheControl, actor: TheActor, token_id: TokenId, body: TokenPatch) -> Response:
    """Suspend, resume, or change limits, models and bindings. Gateways act on it within a second."""
    _not_past(control, body.expires_at)
    given = body.model_fields_set
    if "name" in given and body.name is None:
        raise bad_request("name: a token always has one")
    fields: dict[str, Any] = {
        name: getattr(body, name)
        for name in ("name", "description", "rate_limit", "consumer_group", "team_id")
        if name in given
    }
    if "allowed_models" in given:
        fields["allowed_models"] = None if body.allowed_models is None else tokens.json_text(body.allowed_models)
    if "attribution" in given:
        bound = body.attribution or Attribution()
        fields["attribution"] = tokens.json_text(bound.bound())
        if bound.team is not None:
            try:
                one_team(fields.get("team_id"), bound)
            except ValueError as error:
                raise bad_request(str(error)) from None
            fields["team_id"] = bound.team
    if "allowed_dimensions" in given:
        named = {} if body.allowed_dimensions is None else body.allowed_dimensions.named()
        fields["allowed_dimensions"] = tokens.json_text(named)
    if "allowed_ips" in given:
        fields["allowed_ips"] = tokens.json_text(body.allowed_ips or [])
    if body.on_exhausted is not None:
        fields["on_exhausted"] = body.on_exhausted
    if "expires_at" in given:
        fields["expires_at_ms"] = None if body.expires_at is None else unix_ms(body.expires_at)
    row = await tokens.change(control, actor, token_id, fields, body.status)
    return answer(told(row, control.tools.now_ms()))


async def rotate(
    request: Request,
    control: TheControl,
    actor: TheActor,
    repeat: TheRepeat,
    token_id: TokenId,
    body: TokenRotate = WITHOUT_OVERLAP,
) -> Response:
    """Give a token a new secret, shown in this answer alone; its id, limits and spend stay. The secret before works for
    ``overlap_seconds`` more, and gateways know the new one within a second. With an Idempotency-Key the
    same request again is told the same secret."""
    given, overlap_s = request.headers.get("idempotency-key", ""), body.overlap_seconds
    row, secret = await once(repeat, lambda: rotation.rotate(control, actor, token_id, overlap_s, repeat, given))
    return _issued(control, row, secret, 200)


async def delete(control: TheControl, actor: TheActor, token_id: TokenId) -> Response:
    """Revoke a token for good."""
    return answer(told(await tokens.revoke(control, actor, token_id), control.tools.now_ms()))


def told(row: TokenRow, now_ms: int) -> dict[str, Any]:
    """The token as it is shown."""
    ended = row.expires_at_ms is not None and row.expires_at_ms <= now_ms and row.status != "revoked"
    return Token.model_validate(
        {
            "id": row.token_id,
            "token_type": row.token_type,
            "name": row.name,
            "description": row.description,
            "status": "expired" if ended else row.status,
            "class": row.key_class,
            "role": row.role,
            "rate_limit": row.rate_limit,
            "allowed_models": allowed_models(row),
            "team_id": row.team_id,
            "consumer_group": row.consumer_group,
            "attribution": bound_dimensions(row),
            "allowed_dimensions": {name: list(values) for name, values in allowed_dimensions(row).items()},
            "allowed_ips": list(allowed_ips(row)),
            "on_exhausted": row.on_exhausted,
            "suspended_reason": row.suspended_reason,
            "hint": row.hint,
            "created_at": _time(row.created_at_ms),
            "expires_at": _time(row.expires_at_ms),
            "last_used_at": _time(row.last_used_at_ms),
            "rotated_at": _time(row.rotated_at_ms),
            "old_secret_until": _time(row.old_until_ms if (row.old_until_ms or 0) > now_ms else None),
        }
    ).model_dump(by_alias=True)


def _time(ms: int | None) -> str | None:
    return None if ms is None else rfc3339(instant_at_ms(ms))


def _not_past(control: Control, expires_at: Instant | None) -> None:
    if expires_at is not None and unix_ms(expires_at) <= control.tools.now_ms():
        raise bad_request(f"expires_at: {rfc3339(expires_at)} is past")
