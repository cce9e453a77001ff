"""``model_allowlist``: which models calls may ask for. It refuses as any policy does, and can watch before it acts."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from keeptrusts.core.policies import kind
from keeptrusts.core.policies.kind import ALL_BUT_REDACT, INPUT_ONLY, Kind
from keeptrusts.core.policies.name_list import NameList

Named = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class Settings(kind.Settings):
    """``config`` of a model_allowlist policy."""

    models: list[Named] = Field(
        min_length=1,
        validation_alias=kind.either("models", "allowed_models"),
        description="A `*` in a name stands for anything.",
        examples=["[gpt-4o-mini, 'claude-*']"],
    )


def allows(config: Mapping[str, Any], model: str) -> bool:
    """Whether the model may be asked for."""
    return model in NameList(Settings.model_validate(config).models)


KIND = Kind(settings=Settings, judges="target", phases=INPUT_ONLY, actions=ALL_BUT_REDACT)
