"""Errors of the types, as pydantic finds them, turned into Problems: a place, a plain sentence, a suggestion; no secrets."""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from keeptrusts.core.problem import Problem
from keeptrusts.core.rulebook.later import INSTEAD, comes_later
from keeptrusts.core.rulebook.nearest import did_you_mean, nearest
from keeptrusts.core.rulebook.places import Path, Places, path_text
from keeptrusts.core.rulebook.policy_file.entry import fields_by_key, spellings
from keeptrusts.core.rulebook.quoting import listed, quoted
from keeptrusts.core.rulebook.shape import choices_at, entry_at, field_at, shape_text

UNSHOWN = frozenset({"api_key", "base_url", "env", "secret_key_ref", "store", "token_env", "url"})
"""Keys whose values are never repeated: a secret may stand there, rightly or by mistake."""

MEANT: Mapping[str, bool] = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}
NOT_SUPPORTED = "is not supported in this version"

Finding = tuple[str, str, str | None]
"""Code, message, suggestion."""


class Complaints:
    """Turns errors about a document of type ``root`` into Problems; ``prefix`` is where the document stands in the file."""

    def __init__(self, root: type[BaseModel], places: Places, prefix: Path = ()) -> None:
        self.root = root
        self.places = places
        self.prefix = prefix

    def of(self, errors: ValidationError) -> Iterator[Problem]:
        """One Problem for each error, in the order in which the types are checked."""
        for error in errors.errors(include_url=False):
            path = error["loc"]
            code, message, suggestion = self._finding(error, path)
            at_key = error["type"] == "extra_forbidden"
            whole = (*self.prefix, *path)
            place = self.places.of_key(whole) if at_key else self.places.of_value(whole)
            line, column = place or (None, None)
            yield Problem(code, message, path_text(whole), line, column, suggestion)

    def _finding(self, error: ErrorDetails, path: Path) -> Finding:
        kind = error["type"]
        if kind == "extra_forbidden":
            return self._unknown_key(path)
        if kind == "missing":
            return "missing_key", f"{quoted(str(path[-1]))} is missing", self._example(path)
        if kind == "literal_error":
            return self._unknown_value(path, error["input"])
        if kind in EXPECTED:
            return self._wrong_type(path, EXPECTED[kind], error["input"])
        bounds = error.get("ctx", {})
        if kind in BOUNDS:
            return "out_of_range", BOUNDS[kind](bounds), self._example(path)
        return kind, bounds.get("message", error["msg"]), bounds.get("suggestion")

    def _unknown_key(self, path: Path) -> Finding:
        *parents, key = path
        word, parent = str(key), entry_at(self.root, tuple(parents))
        known = fields_by_key(parent) if parent else {}
        if word in known:
            usual = next(n for n, f in parent.model_fields.items() if f is known[word]) if parent else word
            others = [s for s in spellings(usual, known[word]) if s != word]
            return "given_twice", f"{quoted(word)} and {listed(others)} are the same setting", "keep one of them"
        if comes_later(shape_text((*self.prefix, *parents)), word, is_key=True):
            return "not_supported", f"{quoted(word)} {NOT_SUPPORTED}", INSTEAD.get(word, "leave it out")
        special = SPECIAL_KEYS.get((shape_text((*self.prefix, *parents)), word))
        return special or ("unknown_key", f"unknown key {quoted(word)}", did_you_mean(word, known))

    def _unknown_value(self, path: Path, value: Any) -> Finding:
        choices = choices_at(self.root, path)
        if not isinstance(value, str):
            return self._wrong_type(path, f"one of {listed(choices)}" if choices[1:] else quoted(choices[0]), value)
        if comes_later(shape_text((*self.prefix, *path)), value, is_key=False):
            return (
                "not_supported",
                f"{quoted(value)} {NOT_SUPPORTED}",
                INSTEAD.get(value, f"known here: {listed(choices)}"),
            )
        if path[-1] == "provider" and ":" in value:
            provider, model = value.split(":")[0], value.rsplit(":", maxsplit=1)[-1]
            suggestion = f"write `provider: {provider}` and `model: {model}`" if provider in choices else None
            return (
                "unknown_value",
                f"{quoted(value)} is not the name of a provider",
                suggestion or did_you_mean("", choices),
            )
        key = str(path[-1] if isinstance(path[-1], str) else path[-2])
        what = CALLED.get(key, key)
        near = nearest(value, choices)
        known = f"known here: {listed(choices)}"
        return (
            "unknown_value",
            f"unknown {what} {quoted(value)}",
            f"did you mean {quoted(near)}? {known}" if near else known,
        )

    def _wrong_type(self, path: Path, expected: str, value: Any) -> Finding:
        message = f"expected {expected}, found {_described(value, shown=not UNSHOWN.intersection(map(str, path)))}"
        if expected == "true or false" and isinstance(value, str) and value.lower() in MEANT:
            return "wrong_type", message, f"write `{str(MEANT[value.lower()]).lower()}`, without quotes"
        if expected == "text" and isinstance(value, int | Decimal) and not UNSHOWN.intersection(map(str, path)):
            return "wrong_type", message, f"put it in quotes: '{str(value).lower()}'"
        if expected == "a whole number" and isinstance(value, str) and value.strip().isdecimal():
            return "wrong_type", message, "write the number without quotes"
        return "wrong_type", message, self._example(path)

    def _example(self, path: Path) -> str | None:
        field = field_at(self.root, path)
        return f"for example `{path[-1]}: {field.examples[0]}`" if field and field.examples else None


EXPECTED: Mapping[str, str] = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
"""What each of pydantic's type errors wanted, in a person's words."""

BOUNDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than": lambda ctx: f"must be more than {ctx['gt']}",
    "greater_than_equal": lambda ctx: f"must be at least {ctx['ge']}",
    "less_than_equal": lambda ctx: f"must be at most {ctx['le']}",
    "too_short": lambda ctx: f"must have at least {ctx['min_length']} item",
    "string_too_short": lambda ctx: "must not be empty",
    "string_too_long": lambda ctx: f"must be at most {ctx['max_length']} characters long",
}

SPECIAL_KEYS: Mapping[tuple[str, str], Finding] = {
    ("providers.targets[]", "api_key"): (
        "literal_secret",
        "a provider's key never stands in the file",
        "use `secret_key_ref: {env: OPENAI_API_KEY}` and set that variable",
    ),
    ("consumer_groups[].attribution", "team"): (
        "unknown_key",
        "a group's team is not set here",
        "set `wallet_team_id` on the group",
    ),
}
"""Keys that people may well try, by the place where they stand."""

CALLED: Mapping[str, str] = {"required": "dimension", "categories": "category"}
"""What one item of a list is called, where the list's key does not say."""


def _described(value: Any, *, shown: bool) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int() | Decimal():
            return f"the number {value}" if shown and len(str(value)) <= 40 else "a number"
        case str():
            return f"the text {quoted(value)}" if shown else "text"
        case list():
            return "a list"
        case _:
            return "a mapping"
