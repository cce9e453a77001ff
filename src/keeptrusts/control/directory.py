"""The directory of teams. Where it is strict, a name that nobody has entered is taken for a slip of the pen."""

from keeptrusts.control.audit import note
from keeptrusts.control.context import Actor, Control
from keeptrusts.control.denial import not_found
from keeptrusts.control.teams import named_groups
from keeptrusts.core.rulebook.nearest import did_you_mean
from keeptrusts.store.books import Books


async def put_team(control: Control, actor: Actor, team_id: str, name: str) -> None:
    """Enters a team, or names it anew."""
    async with control.store.write() as books:
        before = (await books.directory.teams()).get(team_id)
        await books.directory.put(team_id, name, control.tools.now_ms())
        was = None if before is None else {"name": before}
        await note(books, control.tools, actor, "team.put", team_id, was, {"name": name})


async def teams(control: Control) -> dict[str, str]:
    """The name of every team that was entered, by id."""
    async with control.store.read() as books:
        return await books.directory.teams()


async def must_be_known(control: Control, books: Books, team_id: str) -> None:
    """Raises Denial when the directory is strict and holds no such team, and neither a wallet nor a group names it."""
    if not control.strict_teams:
        return
    known = set(await books.directory.teams())
    known |= {wallet.scope_id for wallet in await books.wallets.every() if wallet.scope == "team"}
    known |= {group.team_id for group in await named_groups(books) if group.team_id is not None}
    if team_id not in known:
        hint = f" ({did_you_mean(team_id, sorted(known))})" if known else ""
        raise not_found(f"there is no team {team_id!r}{hint}: PUT /v1/teams/{{id}} enters one", "unknown_team")
