"""The text of a policy file to a Rulebook, or to everything that is wrong with it, all at once. Reads nothing but the text."""

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct
from pydantic import ValidationError

from keeptrusts.core.policies.registry import KINDS
from keeptrusts.core.problem import Problem
from keeptrusts.core.rulebook.complaints import Complaints
from keeptrusts.core.rulebook.consistency import RULES
from keeptrusts.core.rulebook.layers import LAYERS_MAX, Layer, Sheets, merged_tree
from keeptrusts.core.rulebook.places import NO_PLACES, Path, Places, path_text, plain
from keeptrusts.core.rulebook.policy_file.document import PolicyFile
from keeptrusts.core.rulebook.provider_names import models_are_named_once, with_plain_providers
from keeptrusts.core.rulebook.quoting import quoted
from keeptrusts.core.rulebook.rulebook import Rulebook
from keeptrusts.core.rulebook.survey import Survey
from keeptrusts.core.rulebook.to_rulebook import to_rulebook
from keeptrusts.core.rulebook.yaml_tree import Unreadable

TEXT_BYTES_MAX = 1_000_000
EXAMPLE = "a file begins with `version: '1'` and names `providers`"


class Compiled(Struct, frozen=True):
    """``rulebook`` is None when any problem is an error. Problems stand in the order of the file.

    ``document`` is what the file holds, merged when there are several, as plain values; None when it could not be read.
    """

    rulebook: Rulebook | None
    problems: tuple[Problem, ...]
    places: Places = NO_PLACES
    document: dict[str, Any] | None = None


def compile_rulebook(text: str) -> Compiled:
    """Check a policy file as a whole and compile it. Never raises for what the text holds."""
    return compile_layers([Layer("", text)])


def compile_layers(layers: Sequence[Layer]) -> Compiled:
    """Lay the files over each other, the last on top, check the whole and compile it. Never raises for what they hold."""
    if len(layers) > LAYERS_MAX:
        return Compiled(None, (Problem("too_large", f"more than {LAYERS_MAX} files", ""),))
    for layer in layers:
        if len(layer.text) > TEXT_BYTES_MAX or len(layer.text.encode(errors="surrogatepass")) > TEXT_BYTES_MAX:
            message = f"the file is over {TEXT_BYTES_MAX} bytes"
            return Compiled(None, (Problem("too_large", message, "", file=layer.name or None),))
    sheets = Sheets(layers)
    try:
        tree = merged_tree(layers, sheets)
    except Unreadable as stopped:
        return Compiled(None, (sheets.told(stopped.problem),))
    if tree.root is None or tree.root.content is None:
        return Compiled(None, (Problem("empty", "the file is empty", "", 1, 1, EXAMPLE),))
    document, places = plain(tree.root, sheets)
    if not isinstance(document, dict):
        message = "the file is not a mapping of keys to values"
        problem = Problem("wrong_type", message, "", *places.of_value(()) or (1, 1), EXAMPLE)
        return Compiled(None, (sheets.told(problem),))
    return _compile(document, places, tree.problems)


def _compile(document: dict[str, Any], places: Places, earlier: tuple[Problem, ...]) -> Compiled:
    written = Survey(document, places)
    models_are_named_once(written)
    survey = Survey(with_plain_providers(document), places)
    for rule in RULES:
        rule(survey)
    problems = [*earlier, *_without_value(document, (), places), *written.problems, *survey.problems]
    given = _given(survey.document)
    file: PolicyFile | None = None
    try:
        file = PolicyFile.model_validate(given)
    except ValidationError as errors:
        problems += [p for p in Complaints(PolicyFile, places).of(errors) if not _is_told(p, problems)]
    problems += _policy_problems(survey)
    problems.sort(key=lambda p: (p.line or 0, p.column or 0))
    has_errors = any(p.severity == "error" for p in problems)
    rulebook = to_rulebook(file) if file is not None and not has_errors else None
    return Compiled(rulebook, tuple(map(places.sheets.told, problems)), places, document)


def _policy_problems(survey: Survey) -> Iterator[Problem]:
    """What the kinds say to the ``config`` of their policies."""
    for policy in survey.items("policies"):
        kind = KINDS.get(survey.text(*policy, "type") or "")
        config = survey.value(*policy, "config")
        if kind is None or not isinstance(config, dict | None):
            continue
        try:
            kind.settings.model_validate(_given(config or {}))
        except ValidationError as errors:
            yield from Complaints(kind.settings, survey.places, (*policy, "config")).of(errors)


def _without_value(value: Any, path: Path, places: Places) -> Iterator[Problem]:
    """Keys with nothing behind them: most often a list whose items were all commented out."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if inner is None:
                at = (*path, key)
                line, column = places.of_key(at) or (None, None)
                message = f"{quoted(key)} has no value"
                yield Problem("no_value", message, path_text(at), line, column, "give it one, or leave the key out")
            yield from _without_value(inner, (*path, key), places)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _without_value(inner, (*path, i), places)


def _given(value: Any) -> Any:
    """The document without the keys that have no value: those are told of already."""
    if isinstance(value, dict):
        return {key: _given(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_given(inner) for inner in value]
    return value


def _is_told(problem: Problem, told: list[Problem]) -> bool:
    """A key without a value is missing to the types; one finding is enough."""
    return problem.code == "missing_key" and any(t.code == "no_value" and t.path == problem.path for t in told)


def _place(places: Places, path: Path) -> tuple[int | None, int | None]:
    return places.of_value(path) or (None, None)
