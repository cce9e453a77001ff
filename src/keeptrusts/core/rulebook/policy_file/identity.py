"""What a consumer group binds its calls to, what its clients may add to that, and where they may call from."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from keeptrusts.core.identity.additions import ANY, MAX_CHOICES
from keeptrusts.core.identity.networks import read_network
from keeptrusts.core.rulebook.policy_file.entry import Entry
from keeptrusts.core.rulebook.policy_file.values import Name, wrong

MAX_NETWORKS = 1_000


def _choices(value: Any) -> Any:
    return [value] if value == ANY else value


def _some(values: list[str]) -> list[str]:
    if not values:
        raise wrong(
            "empty", "an empty list allows no value", "name the values, write '*' for any, or leave the key out"
        )
    return values


def _network(text: str) -> str:
    try:
        return read_network(text)
    except ValueError as error:
        raise wrong("bad_network", str(error)) from None


Choices = Annotated[
    list[Name],
    BeforeValidator(_choices, json_schema_input_type=list[str] | str),
    Field(max_length=MAX_CHOICES),
    AfterValidator(_some),
]
"""The values that clients may name; ``*`` stands for any."""

Network = Annotated[str, AfterValidator(_network)]
Networks = Annotated[list[Network], Field(max_length=MAX_NETWORKS)]


class BoundAttribution(Entry):
    """Dimensions that every call of the group carries in its event."""

    application: Name | None = None
    feature: Name | None = None
    environment: Name | None = None
    project: Name | None = None
    customer: Name | None = None
    department: Name | None = None
    user: Name | None = None
    cost_center: Name | None = None


class AllowedDimensions(Entry):
    """What clients may add to a call's attribution, by headers (X-Keeptrusts-Feature), `metadata` or `user`: a list of values,
    or '*' for any. What the group binds stays as it is."""

    application: Choices | None = None
    feature: Choices | None = Field(default=None, examples=["[autocomplete, ranking]"])
    environment: Choices | None = None
    project: Choices | None = None
    customer: Choices | None = None
    department: Choices | None = None
    user: Choices | None = Field(default=None, examples=["'*'"])
    cost_center: Choices | None = None
