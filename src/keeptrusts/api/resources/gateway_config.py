"""``/v1/gateway-config``: the configuration that managed gateways go by, with all its versions."""

from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from keeptrusts.api.access import TheActor, TheControl
from keeptrusts.api.exact_json import answer
from keeptrusts.api.shapes import Shape, rfc3339
from keeptrusts.clock import instant_at_ms
from keeptrusts.control import gateway_config
from keeptrusts.core.problem import Problem
from keeptrusts.store.gateway_config import ConfigRow

PAGE_MAX = 100
VERSION_MAX = 10**9

Version = Annotated[int, Query(ge=1, le=VERSION_MAX)]


class ConfigText(Shape):
    """A policy file for all managed gateways. No secret may stand in it."""

    text: str = Field(description="The file, in YAML.", max_length=1_000_000)
    description: str = Field("", description="Why, for the history.", max_length=500)
    expected_version: int | None = Field(
        None, ge=0, le=VERSION_MAX, description="The version that you saw last: 409 when another is in force."
    )


class Rollback(Shape):
    """Which version's text is to be in force again, as a new version."""

    version: int = Field(ge=1, le=VERSION_MAX)


class ConfigVersion(BaseModel):
    """One version."""

    version: int
    actor: str
    description: str
    created_at: str


class Config(ConfigVersion):
    """One version with its text."""

    text: str


class PutConfig(ConfigVersion):
    """The version in force, what it changes in words, and what is odd about it. ``is_new``: the text was another before."""

    is_new: bool
    changes: list[str]
    warnings: list[dict[str, Any]]


class ConfigVersions(BaseModel):
    """The newest first."""

    data: list[ConfigVersion]
    next_cursor: str | None


async def get(control: TheControl, version: Version | None = None) -> Response:
    """The version in force, or another."""
    row = await gateway_config.find(control, version)
    return answer({**_shown(row), "text": row.text})


async def put(control: TheControl, actor: TheActor, body: ConfigText) -> Response:
    """Put the configuration for all managed gateways: checked as they would, in force within about a second."""
    done = await gateway_config.put(control, actor, body.text, body.description, body.expected_version)
    return answer(_done(done))


async def list_versions(
    control: TheControl,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_MAX,
    cursor: Annotated[int | None, Query(ge=1, le=VERSION_MAX)] = None,
) -> Response:
    """Who put what, when and why."""
    found = await gateway_config.versions(control, cursor, limit + 1)
    page = found[:limit]
    more = str(page[-1].version) if len(found) > limit else None
    return answer({"data": [_shown(row) for row in page], "next_cursor": more})


async def roll_back(control: TheControl, actor: TheActor, body: Rollback) -> Response:
    """Put an earlier version's text in force again."""
    return answer(_done(await gateway_config.roll_back(control, actor, body.version)))


def _done(done: gateway_config.Put) -> dict[str, Any]:
    return {
        **_shown(done.row),
        "is_new": done.is_new,
        "changes": list(done.changes),
        "warnings": [_problem(problem) for problem in done.warnings],
    }


def _problem(problem: Problem) -> dict[str, Any]:
    return {name: getattr(problem, name) for name in problem.__struct_fields__ if name != "file"}


def _shown(row: ConfigRow) -> dict[str, Any]:
    return {
        "version": row.version,
        "actor": row.actor,
        "description": row.description,
        "created_at": rfc3339(instant_at_ms(row.created_at_ms)),
    }
