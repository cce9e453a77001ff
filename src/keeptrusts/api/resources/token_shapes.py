"""What is sent and answered at ``/v1/tokens``."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StringConstraints, model_validator

from keeptrusts.api.shapes import COUNT_MAX, Count, Instant, Name, Shape, Text
from keeptrusts.control.rotation import MAX_OVERLAP_S
from keeptrusts.core.identity.additions import ADDABLE, ANY, MAX_CHOICES, MAX_VALUE
from keeptrusts.core.identity.networks import read_network

MODELS_MAX = 500
NETWORKS_MAX = 1_000
GATEWAY_ONLY = (
    *("class_", "rate_limit", "allowed_models", "consumer_group", "team_id"),
    *("allowed_dimensions", "allowed_ips", "on_exhausted"),
)
"""Fields that say something about calls: an access key makes none."""

OnExhausted = Annotated[
    Literal["refuse", "suspend"],
    Field(description="What becomes of the key when its budget is used up: `suspend` until there is money again."),
]

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
    cost_center: Name | None = None

    def bound(self) -> dict[str, str]:
        """The dimensions that are given, without the team."""
        return {name: value for name in ADDABLE if (value := getattr(self, name)) is not None}


def _choices(value: Any) -> Any:
    return [value] if value == ANY else value


Value = Annotated[Name, StringConstraints(max_length=MAX_VALUE)]
Choices = Annotated[
    list[Value], BeforeValidator(_choices), Field(min_length=1, max_length=MAX_CHOICES, description="`*`: any value.")
]
Networks = Annotated[
    list[Annotated[str, AfterValidator(read_network)]],
    Field(max_length=NETWORKS_MAX, description="Networks that calls may come from, as 10.0.0.0/8; [] means anywhere."),
]


class AllowedDimensions(Shape):
    """What clients may add to the attribution of a call: a list of values, or ``*`` for any."""

    application: Choices | None = None
    feature: Choices | None = None
    environment: Choices | None = None
    project: Choices | None = None
    customer: Choices | None = None
    department: Choices | None = None
    user: Choices | None = None
    cost_center: Choices | None = None

    def named(self) -> dict[str, list[str]]:
        """The dimensions that are given."""
        return {name: values for name in ADDABLE if (values := getattr(self, name)) is not None}


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
    allowed_dimensions: AllowedDimensions = AllowedDimensions()
    allowed_ips: Networks = Field(default=[])
    on_exhausted: OnExhausted = "refuse"
    expires_at: Instant | None = None

    @model_validator(mode="after")
    def fits_its_type(self) -> "TokenCreate":
        """A gateway key has no role; what belongs to calls has no place on an access key; one team."""
        if self.token_type == "gateway" and self.role is not None:
            raise ValueError("role: is for access keys; a gateway key has no rights in the API")
        if self.token_type == "access":
            for name in GATEWAY_ONLY:
                if getattr(self, name) not in (None, [], AllowedDimensions(), "refuse"):
                    raise ValueError(f"{name.rstrip('_')}: is for gateway keys")
        one_team(self.team_id, self.attribution)
        if both := self.attribution.bound().keys() & self.allowed_dimensions.named().keys():
            raise ValueError(
                f"allowed_dimensions: the key is bound to its {', '.join(sorted(both))}: no client can add that"
            )
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
    allowed_dimensions: AllowedDimensions | None = None
    allowed_ips: Networks | None = None
    on_exhausted: OnExhausted | None = None
    expires_at: Instant | None = None


class TokenRotate(Shape):
    """How long the secret before works beside the new one: not at all, if left out."""

    overlap_seconds: Annotated[Count, Field(ge=0, le=MAX_OVERLAP_S)] = 0


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
    allowed_dimensions: dict[str, list[str]] = Field(description="What clients may add; `*` stands for any value.")
    allowed_ips: list[str]
    on_exhausted: Literal["refuse", "suspend"]
    suspended_reason: Literal["manual", "budget_exhausted"] | None
    hint: str
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    rotated_at: str | None
    old_secret_until: str | None = Field(description="Until then the secret before the last rotation works too.")


class IssuedToken(Token):
    """A token just issued: ``token`` is its secret, in this answer alone."""

    token: str


class TokenPage(BaseModel):
    """The newest tokens first; ``next_cursor`` null: there is no more."""

    data: list[Token]
    next_cursor: str | None


def one_team(team_id: str | None, attribution: Attribution) -> None:
    """Raises ValueError when the two name different teams."""
    if team_id is not None and attribution.team is not None and team_id != attribution.team:
        raise ValueError("team_id: is another team than attribution.team; a key belongs to one")
