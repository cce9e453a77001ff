"""Whether a database still has the schema that its migrations made: tables, indexes, and the triggers that keep facts from
being changed."""

import re
from collections.abc import Mapping
from functools import lru_cache

import apsw
from msgspec import Struct

from keeptrusts.store.contracts import Connection
from keeptrusts.store.migrate import migrations

OWN_TABLE = "schema_migration"
"""Made before the first migration."""


class Difference(Struct, frozen=True):
    """Something of the schema that is not as the migrations made it. ``what`` says how: it is missing, altered, added, off."""

    kind: str
    name: str
    what: str


TRIGGER = re.compile(r"CREATE TRIGGER (\w+)\s+BEFORE \w+ ON (\w+)")
GUARD = re.compile(r"CREATE FUNCTION (\w+)\(\).*?\$\$(.*?)\$\$", re.DOTALL)


async def guards_of_postgres(connection: Connection) -> list[Difference]:
    """What of the triggers that keep facts from being changed is missing, off or altered in a PostgreSQL database.

    Its catalogue keeps no statement as it was written, so that tables are not compared.
    """
    written = "\n".join(migration.sql for migration in migrations("postgres"))
    rows = await connection.fetch(
        """
        SELECT t.tgname::text, c.relname::text, t.tgenabled::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE NOT t.tgisinternal"""
    )
    there = {(table, name): enabled for name, table, enabled in rows}
    found = []
    for name, table in TRIGGER.findall(written):
        if (table, name) not in there:
            found.append(Difference("trigger", name, "is missing"))
    wanted = {name for name, _ in TRIGGER.findall(written)}
    off = sorted({name for (_, name), enabled in there.items() if name in wanted and enabled not in ("O", "A")})
    found += [Difference("trigger", name, "is off") for name in off]
    sources = dict(await connection.fetch("SELECT proname::text, prosrc FROM pg_proc WHERE prokind = 'f'"))
    for name, body in GUARD.findall(written):
        if " ".join(sources.get(name, "").split()) != " ".join(body.split()):
            found.append(Difference("function", name, "was altered" if name in sources else "is missing"))
    return found


async def differences(connection: Connection) -> list[Difference]:
    """What a SQLite database's schema has too little, too much or otherwise, by kind and name."""
    rows = await connection.fetch("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    there = {(kind, name): _plain(sql) for kind, name, sql in rows if not name.startswith("sqlite_")}
    there.pop(("table", OWN_TABLE), None)
    wanted = expected()
    found = [Difference(*each, "is missing") for each in wanted.keys() - there.keys()]
    found += [Difference(*each, "was added") for each in there.keys() - wanted.keys()]
    found += [Difference(*each, "was altered") for each in wanted.keys() & there.keys() if wanted[each] != there[each]]
    return sorted(found, key=lambda difference: (difference.kind, difference.name))


@lru_cache(maxsize=1)
def expected() -> Mapping[tuple[str, str], str]:
    """The schema that this release's migrations make, by kind and name: made in memory and read back."""
    connection = apsw.Connection(":memory:")
    try:
        for migration in migrations():
            connection.execute(migration.sql)
        rows = connection.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    finally:
        connection.close()
    named = [(str(kind), str(name), str(sql)) for kind, name, sql in rows]
    return {(kind, name): _plain(sql) for kind, name, sql in named if not name.startswith("sqlite_")}


def _plain(sql: str) -> str:
    """The statement with its spaces and comments made even."""
    lines = (line.partition("--")[0] for line in sql.splitlines())
    return " ".join(" ".join(lines).split())
