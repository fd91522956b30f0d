"""YAML as text with line numbers: every scalar stays the text it is (`NO`, `01`, `1.10`).

Refuses duplicate keys and documents that grow through their anchors. Must not know what a mapping
means.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Tree = str | list["Tree"] | dict[str, "Tree"]
Place = tuple[str | int, ...]

_MOST_NODES = 50_000
_DEEPEST = 100
_MERGE = "tag:yaml.org,2002:merge"
_LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class Lines:
    """A document: its tree of text and the line (1 = first) on which every place is written."""

    tree: Tree
    line_of: dict[Place, int] = field(default_factory=dict)
    faults: list[tuple[int, Place, str]] = field(default_factory=list)
    """(line, place, why): what is wrong as YAML already: duplicate keys, keys that are no text."""

    def line(self, place: Place) -> int:
        """The line of a place, or of the nearest place around it."""
        while place and place not in self.line_of:
            place = place[:-1]
        return self.line_of.get(place, 1)


class NotYaml(Exception):
    """The text cannot be read as YAML; `line` is where, 1 = first."""

    def __init__(self, says: str, line: int) -> None:
        super().__init__(says)
        self.says = says
        self.line = line


def read_lines(text: str) -> Lines:
    """The tree of one YAML document. Raises NotYaml."""
    try:
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        says = " ".join(part for part in (error.context, error.problem) if part)
        raise NotYaml(says or "not YAML", mark.line + 1 if mark else 1) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise NotYaml(str(error).splitlines()[0] or "not YAML", 1) from error
    if node is None:
        raise NotYaml("the file is empty", 1)
    lines = Lines(tree="")
    lines.tree = _Walk(lines).tree(node, (), ())
    return lines


class _Walk:
    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self.nodes = 0

    def tree(self, node: Node, place: Place, above: tuple[int, ...]) -> Tree:
        self.nodes += 1
        line = _line(node)
        if self.nodes > _MOST_NODES or id(node) in above or len(above) > _DEEPEST:
            raise NotYaml("the file grows without end through its anchors", line)
        self.lines.line_of.setdefault(place, line)
        if isinstance(node, ScalarNode):
            return node.value
        above = (*above, id(node))
        if isinstance(node, SequenceNode):
            return [self.tree(item, (*place, i), above) for i, item in enumerate(node.value)]
        if isinstance(node, MappingNode):
            return self._mapping(node, place, above)
        raise NotYaml("not a text, list or mapping", line)

    def _mapping(self, node: MappingNode, place: Place, above: tuple[int, ...]) -> dict[str, Tree]:
        own: dict[str, Tree] = {}
        merged: dict[str, Tree] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self.lines.faults.append((_line(key), place, "a key must be text"))
                continue
            if key.tag == _MERGE:
                for source in value.value if isinstance(value, SequenceNode) else [value]:
                    if not isinstance(source, MappingNode):
                        says = "<< must name a mapping by its anchor"
                        self.lines.faults.append((_line(key), place, says))
                        continue
                    for name, one in self._mapping(source, place, (*above, id(source))).items():
                        merged.setdefault(name, one)
                continue
            here = (*place, key.value)
            if key.value in own:
                first = self.lines.line_of[here]
                says = f"written twice, first on line {first}. Remove one."
                self.lines.faults.append((_line(key), here, says))
                continue
            self.lines.line_of[here] = _line(key)
            own[key.value] = self.tree(value, here, above)
        return {**merged, **own}


def _line(node: Node) -> int:
    return node.start_mark.line + 1
