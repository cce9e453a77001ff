"""Finds what the core may not do and an import contract cannot see: single names of modules that are fine as a whole."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

FORBIDDEN = {
    "datetime.datetime.now": "reads the clock",
    "datetime.datetime.utcnow": "reads the clock",
    "datetime.datetime.today": "reads the clock",
    "datetime.date.today": "reads the clock",
    "uuid.uuid1": "draws a number",
    "uuid.uuid4": "draws a number",
    "uuid.uuid6": "draws a number",
    "uuid.uuid7": "draws a number",
    "numpy.random": "draws a number",
    "io.open": "opens a file",
    "urllib.request": "opens a connection",
    "importlib.resources": "opens a file",
    "importlib.import_module": "hides an import from the contracts",
    "open": "opens a file",
    "print": "writes to the screen",
    "input": "reads from the keyboard",
    "breakpoint": "waits for a person",
    "eval": "runs text as code",
    "exec": "runs text as code",
    "__import__": "hides an import from the contracts",
}
# By module: the import contract forbids these too; here they are named with their line.
FORBIDDEN_MODULES = {
    "asyncio": "waits",
    "threading": "waits",
    "time": "reads the clock",
    "random": "draws a number",
    "secrets": "draws a number",
    "logging": "logs",
    "os": "opens something",
    "socket": "opens something",
    "subprocess": "opens something",
}


@dataclass(frozen=True, slots=True)
class Impurity:
    line: int
    name: str
    why: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.name} {self.why}"


def impurities(tree: ast.Module) -> list[Impurity]:
    """Each forbidden thing that the module mentions, called or only passed on, in order of its line."""
    return sorted({*_waits(tree), *_mentions(tree)}, key=lambda found: (found.line, found.name))


def _waits(tree: ast.Module) -> Iterator[Impurity]:
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith | ast.Await):
            yield Impurity(node.lineno, "async", "waits")


def _mentions(tree: ast.Module) -> Iterator[Impurity]:
    imported = _imported(tree)
    own = _own_names(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Name | ast.Attribute):
            continue
        chain = _chain(node)
        if chain is None or (chain[0] not in imported and chain[0] in own):
            continue
        name = ".".join([imported.get(chain[0], chain[0]), *chain[1:]])
        why = FORBIDDEN.get(name)
        if why is None and chain[0] in imported:
            why = FORBIDDEN_MODULES.get(name.split(".")[0])
        if why is not None:
            yield Impurity(node.lineno, name, why)


def _imported(tree: ast.Module) -> dict[str, str]:
    """What each imported name stands for: `from datetime import date as day` gives `{"day": "datetime.date"}`."""
    meaning = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.split(".")[0]
                meaning[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                meaning[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return meaning


def _own_names(tree: ast.Module) -> set[str]:
    """Names the module gives a meaning of its own, so that a state called `open` is no file."""
    own = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            own.add(node.id)
        elif isinstance(node, ast.arg):
            own.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            own.add(node.name)
    return own


def _chain(node: ast.expr) -> list[str] | None:
    """`a.b.c` as a list of its three names; None where it starts with anything but a name."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return [node.id, *names] if isinstance(node, ast.Name) else None
