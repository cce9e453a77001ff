"""``data_residency``: calls go only to targets that say that they keep data in an allowed place."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from keeptrusts.core.policies import kind
from keeptrusts.core.policies.kind import FLAG_OR_BLOCK, INPUT_ONLY, Kind

Place = Annotated[str, StringConstraints(min_length=2, max_length=64, pattern=r"^[a-z0-9][a-z0-9-]*$")]


class Settings(kind.Settings):
    """``config`` of a data_residency policy."""

    regions: list[Place] = Field(
        min_length=1,
        validation_alias=kind.either("regions", "allowed_regions"),
        description="`eu` allows targets of residency `eu` and of regions such as `eu-central-1`.",
        examples=["[eu, ch]"],
    )


def is_within(config: Mapping[str, Any], places: Iterable[str | None]) -> bool:
    """Whether one of the places that a target names is allowed. A target that names none is nowhere allowed."""
    allowed = Settings.model_validate(config).regions
    return any(place is not None and _is_in(place, region) for place in places for region in allowed)


def _is_in(place: str, region: str) -> bool:
    return place == region or place.startswith(region + "-")


KIND = Kind(settings=Settings, judges="target", phases=INPUT_ONLY, actions=FLAG_OR_BLOCK)
