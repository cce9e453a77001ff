"""What every mapping of a policy file has in common: strict types, no unknown keys, and aliases for some keys."""

from pydantic import AliasChoices, BaseModel, ConfigDict
from pydantic.fields import FieldInfo


class Entry(BaseModel):
    """A mapping of the file. Text is never taken for a number, nor a number for text."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


def spellings(name: str, field: FieldInfo) -> tuple[str, ...]:
    """Every key that sets this field, the usual one first."""
    if isinstance(field.validation_alias, AliasChoices):
        return tuple(choice for choice in field.validation_alias.choices if isinstance(choice, str))
    return (name,)


def fields_by_key(entry: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of an entry by every key that sets them."""
    return {key: field for name, field in entry.model_fields.items() for key in spellings(name, field)}
