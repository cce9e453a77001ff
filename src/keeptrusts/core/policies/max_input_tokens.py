"""``max_input_tokens``: how long a prompt may be."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from keeptrusts.core.policies import kind
from keeptrusts.core.policies.kind import ALL_BUT_REDACT, INPUT_ONLY, Kind


class Settings(kind.Settings):
    """``config`` of a max_input_tokens policy."""

    limit: int = Field(
        ge=1,
        le=100_000_000,
        validation_alias=kind.either("limit", "max_tokens", "max_input_tokens"),
        description="In tokens: counted where the model's vocabulary is known, else the most that its bytes can be.",
        examples=[8000],
    )


def limit_of(config: Mapping[str, Any]) -> int:
    """The most tokens."""
    return Settings.model_validate(config).limit


KIND = Kind(settings=Settings, judges="call", phases=INPUT_ONLY, actions=ALL_BUT_REDACT)
