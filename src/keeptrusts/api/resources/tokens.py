"""``/v1/tokens``: gateway keys and access keys."""

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, Field, model_validator
from starlette.responses import Response

from keeptrusts.api.access import TheActor, TheControl
from keeptrusts.api.errors import bad_request
from keeptrusts.api.exact_json import answer
from keeptrusts.api.shapes import COUNT_MAX, PAGE_DEFAULT, PAGE_MAX, Count, Instant, Name, Shape, Text, rfc3339
from keeptrusts.clock import instant_at_ms, unix_ms
from keeptrusts.control import tokens
from keeptrusts.control.context import Control
from keeptrusts.control.token_shapes import BOUND, allowed_models, bound_dimensions
from keeptrusts.store.tokens import TokenRow

MODELS_MAX = 500

RateLimit = Annotated[Count, Field(ge=1, le=COUNT_MAX, description="Requests per minute.")]
Models = Annotated[list[Name], Field(min_length=1, max_length=MODELS_MAX, description='Model names; ["*"] means all.')]


class Attribution(Shape):
    """Dimensions that every call of the key is booked to."""

    team: Name | None = None
    application: Name | None = None
    feature: Name | None = None
    environment: Name | None = None
    project: Name | None = None
    customer: Name | None = None
    department: Name | None = None
    user: Name | None = None

    def bound(self) -> dict[str, str]:
        """The dimensions that are given, without the team."""
        return {name: value for name in BOUND if (value := getattr(self, name)) is not None}


class TokenCreate(Shape):
    """A new token. ``class`` presets ``rate_limit`` and ``allowed_models`` where they are left out."""

    token_type: Literal["gateway", "access"]
    name: Name
    description: Text | None = None
    class_: Literal["production", "development", "sandbox"] | None = Field(None, alias="class")
    role: Literal["admin"] | None = Field(None, description="Of an access key: this release knows the role admin only.")
    rate_limit: RateLimit | None = None
    allowed_models: Models | None = None
    team_id: Name | None = None
    consumer_group: Name | None = None
    attribution: Attribution = Attribution()
    expires_at: Instant | None = None

    @model_validator(mode="after")
    def fits_its_type(self) -> "TokenCreate":
        """A gateway key has no role; what belongs to calls has no place on an access key; one team."""
        if self.token_type == "gateway" and self.role is not None:
            raise ValueError("role: is for access keys; a gateway key has no rights in the API")
        if self.token_type == "access":
            for name in ("class_", "rate_limit", "allowed_models", "consumer_group", "team_id"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name.rstrip('_')}: is for gateway keys")
        _one_team(self.team_id, self.attribution)
        return self


class TokenPatch(Shape):
    """What may change; null takes a limit, a list, a binding or an end away. ``active`` resumes a suspended token."""

    status: Literal["active", "suspended", "revoked"] | None = None
    name: Name | None = None
    description: Text | None = None
    rate_limit: RateLimit | None = None
    allowed_models: Models | None = None
    team_id: Name | None = None
    consumer_group: Name | None = None
    attribution: Attribution | None = None
    expires_at: Instant | None = None


class Token(BaseModel):
    """A token as it is shown: never with its secret."""

    id: str
    token_type: str
    name: str
    description: str | None
    status: Literal["provisioned", "active", "suspended", "expired", "revoked"]
    class_: str | None = Field(alias="class", serialization_alias="class")
    role: str | None
    rate_limit: int | None
    allowed_models: list[str] | None
    team_id: str | None
    consumer_group: str | None
    attribution: dict[str, str]
    hint: str
    created_at: str
    expires_at: str | None
    last_used_at: str | None


class IssuedToken(Token):
    """A token just issued: ``token`` is its secret, in this answer alone."""

    token: str


class TokenPage(BaseModel):
    """The newest tokens first; ``next_cursor`` null: there is no more."""

    data: list[Token]
    next_cursor: str | None


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
    )
    row, secret = await tokens.create(control, actor, wish)
    shown = told(row, control.tools.now_ms())
    return answer({"id": shown.pop("id"), "token": secret, **shown}, 201)


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
                _one_team(fields.get("team_id"), bound)
            except ValueError as error:
                raise bad_request(str(error)) from None
            fields["team_id"] = bound.team
    if "expires_at" in given:
        fields["expires_at_ms"] = None if body.expires_at is None else unix_ms(body.expires_at)
    row = await tokens.change(control, actor, token_id, fields, body.status)
    return answer(told(row, control.tools.now_ms()))


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
            "hint": row.hint,
            "created_at": _time(row.created_at_ms),
            "expires_at": _time(row.expires_at_ms),
            "last_used_at": _time(row.last_used_at_ms),
        }
    ).model_dump(by_alias=True)


def _time(ms: int | None) -> str | None:
    return None if ms is None else rfc3339(instant_at_ms(ms))


def _one_team(team_id: str | None, attribution: Attribution) -> None:
    if team_id is not None and attribution.team is not None and team_id != attribution.team:
        raise ValueError("team_id: is another team than attribution.team; a key belongs to one")


def _not_past(control: Control, expires_at: Instant | None) -> None:
    if expires_at is not None and unix_ms(expires_at) <= control.tools.now_ms():
        raise bad_request(f"expires_at: {rfc3339(expires_at)} is past")
