"""The configuration of managed gateways: put by operators, checked as a gateway would, kept version by version."""

from typing import Any

from msgspec import Struct

from keeptrusts.control.audit import note
from keeptrusts.control.context import Actor, Control
from keeptrusts.control.denial import conflict, invalid, not_found
from keeptrusts.core.problem import Problem
from keeptrusts.core.rulebook.compare import changes
from keeptrusts.core.rulebook.managed import compile_managed
from keeptrusts.core.rulebook.plain_rules import without_credentials
from keeptrusts.core.rulebook.rulebook import Rulebook
from keeptrusts.store.books import Books
from keeptrusts.store.gateway_config import ConfigRow

SUBJECT = "gateway-config"
NO_CONFIG = "no configuration was put yet: `kt policy push` puts one"
CHANGES_NOTED = 200
BEYOND = 2**53


class Put(Struct, frozen=True):
    """What came of putting a text: the version that is in force, what it changes, and what is odd about it. ``is_new``: it is
    another text than the one before."""

    row: ConfigRow
    changes: tuple[str, ...]
    warnings: tuple[Problem, ...]
    is_new: bool


async def put(control: Control, actor: Actor, text: str, description: str, expected: int | None) -> Put:
    """Makes the text the next version. ``expected`` is the version that the operator saw last, None: whatever is there.

    Raises Denial for a text with errors, with all of them, and when another version is in force than was expected.
    """
    rulebook, warnings = _checked(text)
    async with control.store.write() as books:
        return await _add(control, books, actor, text, description, expected, rulebook, warnings, "gateway_config.put")


async def roll_back(control: Control, actor: Actor, version: int) -> Put:
    """Makes the text of an earlier version the next one. Raises Denial when there is none, or when this release refuses it."""
    async with control.store.write() as books:
        old = await books.gateway_config.find(version)
        if old is None:
            raise not_found(f"there is no version {version} of the gateways' configuration")
        rulebook, warnings = _checked(old.text)
        why = f"back to version {version}"
        return await _add(control, books, actor, old.text, why, None, rulebook, warnings, "gateway_config.roll_back")


async def find(control: Control, version: int | None) -> ConfigRow:
    """This version, or the one in force. Raises Denial when there is none."""
    async with control.store.read() as books:
        wanted = version if version is not None else await books.gateway_config.last_version()
        row = await books.gateway_config.find(wanted)
    if row is None:
        raise not_found(NO_CONFIG if version is None else f"there is no version {version}")
    return row


async def versions(control: Control, before: int | None, limit: int) -> list[ConfigRow]:
    """The versions, the newest first."""
    async with control.store.read() as books:
        return await books.gateway_config.before(before or BEYOND, limit)


async def _add(
    control: Control,
    books: Books,
    actor: Actor,
    text: str,
    description: str,
    expected: int | None,
    rulebook: Rulebook,
    warnings: tuple[Problem, ...],
    action: str,
) -> Put:
    last = await books.gateway_config.last_version()
    if expected is not None and expected != last:
        raise conflict(f"version {last} is in force, and not {expected}: look at what changed, then put yours again")
    before = await books.gateway_config.find(last)
    if before is not None and before.text == text:
        return Put(before, (), warnings, False)
    told = _told(before, rulebook)
    row = ConfigRow(last + 1, text, actor.actor_id, description, control.tools.now_ms())
    await books.gateway_config.add(row)
    was = None if before is None else {"version": last}
    noted = {"version": row.version, "description": description, "changes": list(told[:CHANGES_NOTED])}
    await note(books, control.tools, actor, action, SUBJECT, was, noted)
    return Put(row, told, warnings, True)


def _told(before: ConfigRow | None, rulebook: Rulebook) -> tuple[str, ...]:
    old = None if before is None else compile_managed(before.text).rulebook
    return () if old is None else tuple(change.text for change in changes(old, rulebook))


def _checked(text: str) -> tuple[Rulebook, tuple[Problem, ...]]:
    compiled = compile_managed(text)
    rulebook = compiled.rulebook
    if rulebook is None:
        errors = [problem for problem in compiled.problems if problem.severity == "error"]
        raise invalid(
            f"the configuration has {len(errors)} error{'s' * (len(errors) != 1)}: {_line(errors[0])}",
            problems=[_plain(problem) for problem in compiled.problems],
        )
    named = [group.name for group in rulebook.groups if group.api_key is not None]
    if named:
        raise invalid(
            f"the group {named[0]!r} has an api_key, and secrets are not kept here: "
            "make keys with `kt tokens create`, or give it in a file of the gateway's own, laid over this"
        )
    if without_credentials(text) != text:
        raise invalid(
            "an address has a password in it, and secrets are not kept here: name the variable that holds the address"
        )
    return rulebook, tuple(compiled.problems)


def _line(problem: Problem) -> str:
    place = f"line {problem.line}: " if problem.line is not None else ""
    return f"{place}{problem.path}: {problem.message}"


def _plain(problem: Problem) -> dict[str, Any]:
    return {name: getattr(problem, name) for name in problem.__struct_fields__ if name != "file"}
