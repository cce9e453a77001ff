"""``/v1/teams``: the directory of teams. Where it is strict, only known teams can be given money or keys."""

from typing import Annotated

from fastapi import Path
from pydantic import BaseModel
from starlette.responses import Response

from keeptrusts.api.access import TheActor, TheControl
from keeptrusts.api.exact_json import answer
from keeptrusts.api.shapes import Name, Shape
from keeptrusts.control import directory


class TeamEntry(Shape):
    """What people call the team; its id, if nobody says."""

    name: Name | None = None


class Team(BaseModel):
    """A team of the directory."""

    id: str
    name: str


class TeamPage(BaseModel):
    """All of them, by id."""

    data: list[Team]
    next_cursor: str | None


async def list_teams(control: TheControl) -> Response:
    """The teams that were entered."""
    found = await directory.teams(control)
    rows = [Team(id=team_id, name=name).model_dump() for team_id, name in found.items()]
    return answer({"data": rows, "next_cursor": None})


async def put(
    control: TheControl, actor: TheActor, team_id: Annotated[str, Path(max_length=200)], body: TeamEntry
) -> Response:
    """Enter a team, or name it anew."""
    name = body.name or team_id
    await directory.put_team(control, actor, team_id, name)
    return answer(Team(id=team_id, name=name))
