"""What a team is called: the name of the one consumer group that names it, else its id without ``team_``."""

from collections.abc import Iterable

from msgspec import Struct

ID_PREFIX = "team_"


class NamedGroup(Struct, frozen=True):
    """A consumer group that names a team, and when it was last registered, by which node."""

    name: str
    team_id: str | None
    node_id: str
    registered_at_ms: int


def team_name(team_id: str, groups: Iterable[NamedGroup]) -> str:
    """The team's display name. Of several registrations only the latest that speaks of the team counts."""
    naming = [group for group in groups if group.team_id == team_id]
    if naming:
        latest = max((group.registered_at_ms, group.node_id) for group in naming)
        names = [group.name for group in naming if (group.registered_at_ms, group.node_id) == latest]
        if len(names) == 1:
            return names[0]
    return team_id.removeprefix(ID_PREFIX) or team_id
