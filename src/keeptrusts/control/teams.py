"""Teams by name: what a team id is called, and which ids a name means."""

from collections.abc import Iterable

from keeptrusts.core.metering.teams import NamedGroup, team_name
from keeptrusts.store.books import Books


async def named_groups(books: Books) -> list[NamedGroup]:
    """All registered consumer groups, as the naming rule needs them."""
    return [
        NamedGroup(row.group.name, row.group.team_id, row.node_id, row.registered_at_ms)
        for row in await books.groups.every()
    ]


async def team_names(books: Books, team_ids: Iterable[str]) -> dict[str, str]:
    """The display name of each team id."""
    groups = await named_groups(books)
    entered = await books.directory.teams()
    return {team_id: entered.get(team_id) or team_name(team_id, groups) for team_id in team_ids}


async def team_ids_called(books: Books, asked: str) -> list[str]:
    """The ids that ``asked`` may mean: itself, and every known team that has it for a display name."""
    groups = await named_groups(books)
    known = {group.team_id for group in groups if group.team_id is not None}
    known |= {wallet.scope_id for wallet in await books.wallets.every() if wallet.scope == "team"}
    names = {team_id: team_name(team_id, groups) for team_id in known} | await books.directory.teams()
    return sorted({asked, *(team_id for team_id, name in names.items() if name.casefold() == asked.casefold())})
