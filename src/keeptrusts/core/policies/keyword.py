"""``keyword``: words and phrases of the user's own, whole words of any case, however they are spaced."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from keeptrusts.core.policies import kind
from keeptrusts.core.policies.kind import Kind, Rule
from keeptrusts.core.policies.phrases import Phrases
from keeptrusts.core.policies.pii import Marker
from keeptrusts.core.policies.plain_words import as_phrase


def _wordy(words: str) -> str:
    if not as_phrase(words):
        raise PydanticCustomError("no_words", "holds no word", {"suggestion": "write the word to look for"})
    return words


Words = Annotated[str, StringConstraints(min_length=1, max_length=120), AfterValidator(_wordy)]


class Settings(kind.Settings):
    """``config`` of a keyword policy."""

    words: list[Words] = Field(
        min_length=1,
        max_length=10_000,
        validation_alias=kind.either("words", "keywords"),
        examples=["[project aurora, merger]"],
    )
    marker: Marker = Field(default="[REDACTED]", description="What stands in the place of what is redacted.")


def rules(config: Mapping[str, Any], name: str) -> tuple[Rule, ...]:
    """One rule for all the words."""
    settings = Settings.model_validate(config)
    words = tuple(dict.fromkeys(map(as_phrase, settings.words)))
    return (Rule("keyword", name, Phrases(words), settings.marker),)


KIND = Kind(settings=Settings, rules=rules)
