"""Several policy files laid over each other: a later one changes what the earlier ones say.

Mappings merge key by key. Lists of named things merge by their ``id`` or ``name``; any other list replaces the one below it, as
a plain value does. A key without a value (``null``) takes away what stands below it, and so does ``remove: true`` in a named
thing. Lines are counted through all files, as if each stood below those before it; ``Sheets`` knows whose a line is.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from keeptrusts.core.problem import Problem
from keeptrusts.core.rulebook.quoting import quoted
from keeptrusts.core.rulebook.yaml_tree import Keyed, Node, Place, Tree, Unreadable, read_tree

LAYERS_MAX = 20
NAMES = ("id", "name")
REMOVE = "remove"

Path = tuple[str | int, ...]


class Layer(Struct, frozen=True):
    """One file's name, as people know it, and its text."""

    name: str
    text: str


class Origin(NamedTuple):
    """A file and a line in it."""

    file: str
    line: int


class Sheets:
    """Where each file begins in the count of lines through all of them."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.names = tuple(layer.name for layer in layers)
        self.offsets = [0]
        for layer in layers[:-1]:
            self.offsets.append(self.offsets[-1] + len(layer.text.splitlines()) + 1)

    @property
    def several(self) -> bool:
        """Whether a line alone does not say whose it is."""
        return len(self.names) > 1

    def origin(self, line: int) -> Origin:
        """The file that holds this line, and its number there."""
        index = bisect_right(self.offsets, line - 1) - 1
        return Origin(self.names[index], line - self.offsets[index])

    def told(self, problem: Problem) -> Problem:
        """The problem with its own file and the line in that, where there are several files."""
        if not self.several or problem.line is None:
            return problem
        origin = self.origin(problem.line)
        return replace(problem, file=origin.file, line=origin.line)


ONE_SHEET = Sheets([Layer("", "")])


def merged_tree(layers: Sequence[Layer], sheets: Sheets) -> Tree:
    """The trees of all layers as one. Raises Unreadable for the first text that is no YAML."""
    root: Node | None = None
    problems: list[Problem] = []
    for layer, offset in zip(layers, sheets.offsets, strict=True):
        tree = _laid(layer.text, offset)
        problems += tree.problems
        if tree.root is None or tree.root.content is None:
            if sheets.several:
                raise Unreadable(Problem("empty", "this file is empty", "", offset + 1, 1, "leave it out"))
            continue
        if root is None:
            root = tree.root
        elif isinstance(root.content, dict) and isinstance(tree.root.content, dict):
            root = _merged(root, tree.root, (), problems)
        else:
            # One of the two is no mapping: whoever reads the document says so, at its place.
            root = tree.root if isinstance(root.content, dict) else root
    return Tree(root, tuple(problems))


def _laid(text: str, offset: int) -> Tree:
    """The tree of one file whose lines are counted from ``offset``."""
    try:
        tree = read_tree(text.removeprefix("\ufeff"))
    except Unreadable as stopped:
        raise Unreadable(_lower(stopped.problem, offset)) from None
    if not offset or tree.root is None:
        return tree
    return Tree(_lowered(tree.root, offset, {}), tuple(_lower(problem, offset) for problem in tree.problems))


def _lower(problem: Problem, offset: int) -> Problem:
    return problem if problem.line is None else replace(problem, line=problem.line + offset)


def _lowered(node: Node, offset: int, done: dict[int, Node]) -> Node:
    """The same node farther down; what aliases share stays shared."""
    if (known := done.get(id(node))) is not None:
        return known
    content = node.content
    if isinstance(content, dict):
        content = {
            key: Keyed(_down(keyed.place, offset), _lowered(keyed.value, offset, done))
            for key, keyed in content.items()
        }
    elif isinstance(content, list):
        content = [_lowered(item, offset, done) for item in content]
    done[id(node)] = lowered = Node(_down(node.place, offset), content, node.size, node.height)
    return lowered


def _down(place: Place, offset: int) -> Place:
    return Place(place.line + offset, place.column)


def _merged(below: Node, above: Node, path: Path, problems: list[Problem]) -> Node:
    if isinstance(below.content, dict) and isinstance(above.content, dict):
        return _node(above, _mapping(below.content, above.content, path, problems))
    if isinstance(below.content, list) and isinstance(above.content, list):
        under, over = _named(below.content), _named(above.content)
        if under is not None and over is not None:
            return _node(above, _things(under, over, path, problems))
    return above


def _mapping(below: dict[str, Keyed], above: dict[str, Keyed], path: Path, problems: list[Problem]) -> dict[str, Keyed]:
    result = dict(below)
    for key, keyed in above.items():
        under = result.get(key)
        if keyed.value.content is None:
            if result.pop(key, None) is None:
                problems.append(_nothing_there(quoted(key), (*path, key), keyed))
        elif under is None:
            result[key] = keyed
        else:
            result[key] = Keyed(keyed.place, _merged(under.value, keyed.value, (*path, key), problems))
    return result


def _things(below: dict[str, Node], above: dict[str, Node], path: Path, problems: list[Problem]) -> list[Node]:
    result = dict(below)
    for name, thing in above.items():
        content = thing.content
        assert isinstance(content, dict)
        remove = content.get(REMOVE)
        if remove is not None and remove.value.content is True:
            if result.pop(name, None) is None:
                problems.append(_nothing_there(quoted(name), path, remove))
        elif name in result:
            result[name] = _merged(result[name], thing, (*path, name), problems)
        else:
            result[name] = thing
    return list(result.values())


def _named(items: Iterable[Node]) -> dict[str, Node] | None:
    """The items by their names, in order; None when they are not all named, or two have the same name."""
    found: dict[str, Node] = {}
    for item in items:
        content = item.content
        if not isinstance(content, dict):
            return None
        name = next((content[key].value.content for key in NAMES if key in content), None)
        if not isinstance(name, str) or name in found:
            return None
        found[name] = item
    return found


def _node(above: Node, content: list[Node] | dict[str, Keyed]) -> Node:
    inner = content if isinstance(content, list) else [keyed.value for keyed in content.values()]
    size = 1 + sum(node.size for node in inner)
    return Node(above.place, content, size, 1 + max((node.height for node in inner), default=0))


def _nothing_there(what: str, path: Path, at: Keyed) -> Problem:
    text = ".".join(map(str, path))[:200]
    message = f"{what} is to be taken away, and no file below this one has it"
    return Problem("nothing_to_remove", message, text, *at.place, "leave it out", "warning")
