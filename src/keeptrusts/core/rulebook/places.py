"""A tree as plain values, with a map from each value's path to its place in the text."""

from typing import Any, NamedTuple

from keeptrusts.core.rulebook.layers import ONE_SHEET, Sheets
from keeptrusts.core.rulebook.yaml_tree import Node, Place

Path = tuple[str | int, ...]


class Places:
    """Where keys and values stand. A path that is not in the file has the place of its nearest ancestor.

    Lines are counted through all files of the document; ``sheets`` knows whose they are."""

    def __init__(self, sheets: Sheets = ONE_SHEET) -> None:
        self.sheets = sheets
        self._keys: dict[Path, Place] = {}
        self._values: dict[Path, Place] = {}

    def add(self, path: Path, value: Place, key: Place | None) -> None:
        self._values[path] = value
        if key is not None:
            self._keys[path] = key

    def of_value(self, path: Path) -> Place | None:
        """Where the value at ``path`` begins."""
        return _nearest(self._values, path)

    def of_key(self, path: Path) -> Place | None:
        """Where the key of ``path`` begins; a list item has no key: where the item begins."""
        return self._keys.get(path) or self.of_value(path)


NO_PLACES = Places()
"""For values that come from no file: every place is unknown."""


class Plain(NamedTuple):
    """A document as dictionaries, lists and scalars, and where each of them stood."""

    value: Any
    places: Places


def plain(root: Node, sheets: Sheets = ONE_SHEET) -> Plain:
    """The document without its places, and the places."""
    places = Places(sheets)
    return Plain(_unfold(root, (), None, places), places)


def path_text(path: Path) -> str:
    """``("groups", 0, "name")`` as people write it: ``groups[0].name``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")[:200]


def _unfold(node: Node, path: Path, key: Place | None, places: Places) -> Any:
    places.add(path, node.place, key)
    content = node.content
    if isinstance(content, dict):
        return {name: _unfold(entry.value, (*path, name), entry.place, places) for name, entry in content.items()}
    if isinstance(content, list):
        return [_unfold(item, (*path, i), None, places) for i, item in enumerate(content)]
    return content


def _nearest(places: dict[Path, Place], path: Path) -> Place | None:
    while path and path not in places:
        path = path[:-1]
    return places.get(path)
