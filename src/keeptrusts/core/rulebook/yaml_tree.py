"""YAML text to a tree whose every key and value knows its line and column; bounded in size, depth and nodes."""

from collections.abc import Iterator
from typing import NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)
from ruamel.yaml.reader import ReaderError

from keeptrusts.core.problem import Problem
from keeptrusts.core.rulebook.quoting import quoted
from keeptrusts.core.rulebook.yaml_scalars import Scalar, plain_scalar
from keeptrusts.core.rulebook.yaml_syntax import syntax_message

DEPTH_MAX = 32
NODES_MAX = 50_000
"""Counted with every alias spelled out, so that a few anchors cannot stand for a billion nodes."""

TEXT_TAG = "tag:yaml.org,2002:str"


class Place(NamedTuple):
    """A position in the text, both counted from 1."""

    line: int
    column: int


class Keyed(NamedTuple):
    """A key of a mapping with the place of the key itself, and its value."""

    place: Place
    value: "Node"


class Node(NamedTuple):
    """A value and where it begins. ``size`` counts the nodes in it and ``height`` its levels, aliases spelled out."""

    place: Place
    content: "Scalar | list[Node] | dict[str, Keyed]"
    size: int = 1
    height: int = 0


class Unreadable(Exception):
    """The text cannot be read any further; carries the one Problem that says where and why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Tree(NamedTuple):
    """The document's root (None: the text holds no document) and the duplicate keys that were met on the way."""

    root: Node | None
    problems: tuple[Problem, ...]


def read_tree(text: str) -> Tree:
    """Read one YAML document. Raises Unreadable at the first place that is not YAML or passes a bound."""
    reading = _Reading(YAML(typ="safe", pure=True).parse(text))
    try:
        root = reading.document()
    except ReaderError as bad:
        raise Unreadable(_unprintable(text, bad.position)) from None
    except MarkedYAMLError as bad:
        mark = bad.problem_mark or bad.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark else None
        raise Unreadable(_syntax_problem(syntax_message(bad.context, bad.problem), place)) from None
    except (YAMLError, ValueError):
        raise Unreadable(_syntax_problem("this is not YAML", None)) from None
    return Tree(root, tuple(reading.problems))


class _Reading:
    """One pass over the parser's events."""

    def __init__(self, events: Iterator[Event]) -> None:
        self.events = events
        self.anchors: dict[str, Node] = {}
        self.problems: list[Problem] = []
        self.nodes = 0

    def document(self) -> Node | None:
        event = next(self.events)
        while isinstance(event, StreamStartEvent | DocumentStartEvent):
            event = next(self.events)
        if isinstance(event, StreamEndEvent):
            return None
        root = self.node(event, "", 0)
        next(self.events)  # the document's end
        if isinstance(after := next(self.events), DocumentStartEvent):
            raise Unreadable(_syntax_problem("a second document begins here; a policy file holds one", _place(after)))
        return root

    def node(self, event: Event, path: str, depth: int) -> Node:
        place = _place(event)
        self.nodes += 1
        if depth > DEPTH_MAX:
            raise Unreadable(_too_deep(path, place))
        tag = event.tag if isinstance(event, ScalarEvent | CollectionStartEvent) else None
        if tag not in (None, "!", TEXT_TAG):
            raise Unreadable(_syntax_problem("tags (`!...`) have no meaning in a policy file", place))
        if isinstance(event, AliasEvent):
            node = self.alias(event, place)
        elif isinstance(event, ScalarEvent):
            is_plain = event.implicit[0] and tag is None
            node = Node(place, plain_scalar(event.value) if is_plain else event.value)
        elif isinstance(event, SequenceStartEvent):
            node = self.sequence(path, place, depth)
        else:
            node = self.mapping(path, place, depth)
        if depth + node.height > DEPTH_MAX:
            raise Unreadable(_too_deep(path, place))
        if max(node.size, self.nodes) > NODES_MAX:
            raise Unreadable(_bound_problem(f"more than {NODES_MAX} values", path, place))
        if isinstance(event, NodeEvent) and not isinstance(event, AliasEvent) and event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def alias(self, event: AliasEvent, place: Place) -> Node:
        node = self.anchors.get(event.anchor)
        if node is None:
            message = "an alias (`*name`) without an anchor (`&name`) before it"
            raise Unreadable(_syntax_problem(message, place, "quote the text if the `*` is part of it"))
        return node

    def sequence(self, path: str, place: Place, depth: int) -> Node:
        items: list[Node] = []
        while not isinstance(event := next(self.events), SequenceEndEvent):
            items.append(self.node(event, f"{path}[{len(items)}]", depth + 1))
        return _collection(place, items, items)

    def mapping(self, path: str, place: Place, depth: int) -> Node:
        entries: dict[str, Keyed] = {}
        merged: list[Node] = []
        while not isinstance(event := next(self.events), MappingEndEvent):
            key_place = _place(event)
            if not isinstance(event, ScalarEvent):
                raise Unreadable(_syntax_problem("a key must be a plain word", key_place))
            key = event.value
            value = self.node(next(self.events), f"{path}.{key}" if path else key, depth + 1)
            if key == "<<" and event.implicit[0]:
                merged.append(value)
            elif key in entries:
                self.problems.append(_duplicate_key(path, key, key_place, entries[key].place))
            else:
                entries[key] = Keyed(key_place, value)
        for value in merged:
            _merge(entries, value)
        return _collection(place, entries, [entry.value for entry in entries.values()])


def _collection(place: Place, content: list[Node] | dict[str, Keyed], inner: list[Node]) -> Node:
    size = 1 + sum(node.size for node in inner)
    return Node(place, content, size, 1 + max((node.height for node in inner), default=0))


def _merge(entries: dict[str, Keyed], source: Node) -> None:
    """The merge key ``<<``: what the mapping does not say itself comes from the anchored one."""
    sources = source.content if isinstance(source.content, list) else [source]
    for node in sources:
        if not isinstance(node.content, dict):
            raise Unreadable(_syntax_problem("`<<` takes an alias of a mapping", node.place))
        for key, entry in node.content.items():
            entries.setdefault(key, entry)


def _place(event: Event) -> Place:
    return Place(event.start_mark.line + 1, event.start_mark.column + 1)


def _syntax_problem(message: str, place: Place | None, suggestion: str | None = None) -> Problem:
    line, column = place or (None, None)
    return Problem("yaml_syntax", message, "", line, column, suggestion)


def _bound_problem(message: str, path: str, place: Place) -> Problem:
    return Problem("too_large", message, path[:200], place.line, place.column)


def _too_deep(path: str, place: Place) -> Problem:
    return _bound_problem(f"nested deeper than {DEPTH_MAX} levels", path, place)


def _unprintable(text: str, position: int) -> Problem:
    before = text[:position]
    place = Place(before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1)
    character = f"U+{ord(text[position]):04X}" if position < len(text) else "a character"
    return _syntax_problem(f"{character} may not stand in YAML", place)


def _duplicate_key(path: str, key: str, place: Place, first: Place) -> Problem:
    return Problem(
        "duplicate_key",
        f"the key {quoted(key)} stands here again; it was given first at line {first.line}, column {first.column}",
        f"{path}.{key}" if path else key,
        place.line,
        place.column,
        "keep one of the two",
    )
