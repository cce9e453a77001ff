"""What is different between two sets of rules, thing by thing and setting by setting, in words for whoever must agree to it."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct

from keeptrusts.core.rulebook.plain_rules import plain_rules
from keeptrusts.core.rulebook.rulebook import Rulebook

THINGS: Mapping[str, str] = {
    "groups": "group",
    "model_groups": "model group",
    "policies": "policy",
    "spend_controls": "spend control of",
    "targets": "target",
    "thresholds": "budget alert at",
}
"""What one thing of a list is called."""

NAMED_BY: tuple[tuple[str, ...], ...] = (
    ("id",),
    ("name",),
    ("team", "period"),
    ("percent",),
    ("counts", "window_s"),
    ("provider", "model"),
)
"""What tells the things of a list from each other."""

NOT_TOLD = frozenset({"version"})
"""Settings that follow from others."""

NANOS = 1_000_000_000

Kind = Literal["added", "removed", "changed"]


class Change(Struct, frozen=True):
    """One difference. ``subject`` is the thing that differs, "" for the rules as a whole; ``setting`` its setting, "" where all
    of the thing came or went. ``before`` and ``after`` are plain values."""

    kind: Kind
    subject: str
    setting: str
    before: Any = None
    after: Any = None

    @property
    def text(self) -> str:
        """A line for people."""
        if not self.setting:
            return f"{self.subject} {self.kind}"
        what = f"{self.subject}: {self.setting}" if self.subject else self.setting
        return f"{what} {_said(self.setting, self.before)} -> {_said(self.setting, self.after)}"


def changes(old: Rulebook, new: Rulebook) -> list[Change]:
    """Every difference, in the order of the rules. That a group's key is another is told, the key is not."""
    found = list(plain_changes(plain_rules(old), plain_rules(new)))
    keys = {group.name: group.api_key for group in old.groups}
    found += [
        Change("changed", f"group {group.name}", "api_key", "one key", "another key")
        for group in new.groups
        if keys.get(group.name) and group.api_key and keys[group.name] != group.api_key
    ]
    return found


def plain_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """The same of rules as ``plain_rules`` has them; they don't tell keys apart."""
    yield from _mapping(old, new, "", "")


def _mapping(old: Mapping[str, Any], new: Mapping[str, Any], subject: str, setting: str) -> Iterator[Change]:
    for name in dict.fromkeys([*old, *new]):
        if name not in NOT_TOLD:
            path = f"{setting}.{name}" if setting else name
            yield from _value(old.get(name), new.get(name), subject, path)


def _value(old: Any, new: Any, subject: str, setting: str) -> Iterator[Change]:
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _mapping(old, new, subject, setting)
        return
    before, after = _named(old), _named(new)
    if before is not None and after is not None and (before or after):
        yield from _things(before, after, subject, setting)
        return
    yield Change("changed", subject, setting, old, new)


def _things(old: Mapping[str, Any], new: Mapping[str, Any], subject: str, setting: str) -> Iterator[Change]:
    within = f"{subject}, " if subject else ""
    for name in dict.fromkeys([*old, *new]):
        thing = f"{within}{THINGS.get(setting, setting)} {name}"
        if name not in new:
            yield Change("removed", thing, "", old[name])
        elif name not in old:
            yield Change("added", thing, "", None, new[name])
        else:
            yield from _mapping(old[name], new[name], thing, "")


def _named(value: Any) -> dict[str, Mapping[str, Any]] | None:
    """A list of things by their names; None for anything else."""
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        return None
    for keys in NAMED_BY:
        if all(item.get(key) is not None for item in value for key in keys):
            found = {" ".join(str(item[key]) for key in keys): item for item in value}
            if len(found) == len(value):
                return found
    return None


def _said(setting: str, value: Any) -> str:
    unit = setting.rpartition("_")[2]
    match value:
        case None:
            return "none"
        case bool():
            return "on" if value else "off"
        case int() if unit == "nanos":
            return f"${value / NANOS:,.9f}".rstrip("0").rstrip(".")
        case int() | float() if unit in ("s", "ms"):
            return f"{value:g} {unit}"
        case list():
            return "[" + ", ".join(map(str, value)) + "]"
        case _:
            return str(value)
