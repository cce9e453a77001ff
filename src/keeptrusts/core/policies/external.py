"""``external``: a service of the user's own judges, over HTTP. What is sent to it and what it may answer stands here.

It is sent ``{"phase", "policy", "model", "door", "request_id", "consumer_group", "texts": [...]}`` and answers
``{"verdict": "allow"}``, or ``"violation"`` with a ``label`` for the event, or ``"redact"`` with as many ``texts`` as it got.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Struct
from pydantic import Field, StringConstraints

from keeptrusts.core.policies import kind
from keeptrusts.core.policies.kind import Kind

Url = Annotated[
    str,
    StringConstraints(max_length=500),
    kind.matching(
        r"https?://[^\s/?#@]+(/[^\s?#]*)?",
        "bad_address",
        "this is no address of a service: http or https, without a user, a query or a fragment",
        "for example `http://guard:9000/judge`",
    ),
]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]

ANSWER_BYTES_MAX = 4 * 1024 * 1024


class Settings(kind.Settings):
    """``config`` of an external policy."""

    url: Url = Field(
        description="Where the service answers POST. Redirects are not followed.", examples=["http://guard:9000/judge"]
    )
    timeout_ms: int = Field(default=1_000, ge=10, le=30_000, examples=[1000])
    secret_env: Variable | None = Field(
        default=None, description="The variable that holds the bearer token for the service.", examples=["GUARD_TOKEN"]
    )
    max_bytes: int = Field(
        default=1024 * 1024,
        ge=1_024,
        le=64 * 1024 * 1024,
        description="What is longer is not sent: it counts as a failure.",
    )


class Question(Struct, frozen=True):
    """What the service is asked."""

    phase: str
    policy: str
    model: str
    door: str
    request_id: str
    consumer_group: str | None
    texts: list[str]


class Answer(Struct, frozen=True):
    """What it says. ``label`` goes into the event's action."""

    verdict: Literal["allow", "violation", "redact"]
    label: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_-]{1,64}$")] = "violation"
    texts: list[str] | None = None


_decode = msgspec.json.Decoder(Answer).decode
write_question = msgspec.json.Encoder().encode


def read_answer(body: bytes, asked: int) -> Answer:
    """The service's answer to a question of so many texts. Raises ValueError, saying what is wrong with it."""
    try:
        answer = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"its answer is not one: {error}") from None
    if answer.verdict == "redact" and len(answer.texts or ()) != asked:
        raise ValueError(f"it redacts, and gives {len(answer.texts or ())} texts for {asked}")
    return answer


def settings_of(config: Mapping[str, Any]) -> Settings:
    """The settings of a config that was checked."""
    return Settings.model_validate(config)


KIND = Kind(settings=Settings, judges="service")
