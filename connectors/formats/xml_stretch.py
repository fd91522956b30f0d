"""Records written alike, side by side, are read by one pattern instead of one by one by a parser.

An ERP's program writes a list of flat records with the same tags in the same order. Once the
parser has read one of them, the bytes that follow it and match its shape are cut out of what the
parser gets (`connectors.formats.xml_feed` does that). It loses nothing: the parser stands in the
list's content, a match is one whole element whose tags are, letter for letter, those that were
understood under the same namespaces, and so the document is well-formed with the stretch exactly
if it is without. What the pattern does not know (a comment, a nested list, a character reference)
goes through the parser. Must not decide what a record is and must not understand a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from lxml import etree

Wanted = Callable[[str], int | None]
"""Tag as lxml writes it → its column, `SKIP` for what nobody asks for, None where only the parser
can tell."""
SKIP: Final = -1

XSI_NIL: Final = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_FORMS: Final = 8
"""More ways than this to write one child are no habit: its attributes vary."""

_SPACE: Final = "[ \\t\\n\\r]*"
# What may stand in a text: no markup, nothing that XML forbids, no carriage return (the parser
# would make it a line feed), no ">" (after two brackets it is forbidden, so none is simpler).
_PLAIN: Final = r"[^<>&\r\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]*"
_ESCAPED: Final = f"{_PLAIN}(?:&(?:amp|lt|gt|quot|apos);{_PLAIN})*"
_NAME: Final = r"[^\s<>/&=\"'!?]+"
_ATTRIBUTES: Final = rf"(?:\s+{_NAME}=(?:\"[^<&\"\r\n\t]*\"|'[^<&'\r\n\t]*'))*"
_START: Final = re.compile(rf"<(?P<name>{_NAME})(?P<attributes>{_ATTRIBUTES})>")
_CHILD: Final = re.compile(
    rf"(?P<space>{_SPACE})<(?P<name>{_NAME})(?P<attributes>{_ATTRIBUTES})"
    rf"(?:(?P<closed> ?/>)|>(?P<text>{_ESCAPED})</(?P=name)>)"
)
_REFERENCES: Final = (
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&quot;", '"'),
    ("&apos;", "'"),
    ("&amp;", "&"),  # last: what it makes is no reference
)


@dataclass(frozen=True, slots=True)
class Child:
    """A child element as its bytes are. `closed`: how an empty tag ends, '' for a start tag."""

    name: str
    attributes: str
    closed: str
    text: str


@dataclass(frozen=True, slots=True)
class Written:
    """One flat record as its bytes are; tags letter for letter."""

    start: str
    end: str
    children: tuple[Child, ...]
    spaced: bool


def written(text: str) -> Written | None:
    """How a record is written, if it is flat and plain: children of texts, nothing else."""
    opened = _START.match(text)
    if opened is None:
        return None
    end = f"</{opened['name']}>"
    children: list[Child] = []
    spaced = False
    at = opened.end()
    while (child := _CHILD.match(text, at)) is not None:
        at = child.end()
        spaced = spaced or bool(child["space"])
        one = Child(child["name"], child["attributes"], child["closed"] or "", child["text"] or "")
        children.append(one)
    rest = text[at:]
    whole = rest.lstrip(" \t\n\r") == end and bool(children)
    if not whole or any(child.name == opened["name"] for child in children):
        return None
    return Written(opened[0], end, tuple(children), spaced or rest != end)


@dataclass(frozen=True, slots=True)
class Form:
    """One way in which a child was written, and what the parser understood of it."""

    attributes: str
    closed: str
    tag: str
    nil: bool


@dataclass(frozen=True)
class Shape:
    """How the records of one list are written, as far as it has been seen. Never changes.

    Holds under the namespaces under which it was learnt, and nowhere else.
    """

    start: str
    end: str
    wanted: Wanted
    children: dict[str, tuple[Form, ...]] = field(default_factory=dict)
    """By name as written, in their order."""
    after: dict[str, frozenset[str]] = field(default_factory=dict)
    """Child → children that stood right before it."""
    spaced: bool = False

    def learnt(self, seen: Written, record: etree._Element) -> Shape | None:
        """The shape that knows this record too, itself where it knows it already.

        None where a pattern could not tell what the parser tells.
        """
        if (seen.start, len(seen.children)) != (self.start, len(record)):
            return None
        children = dict(self.children)
        after = dict(self.after)
        before: list[str] = []
        for told, child in zip(seen.children, record, strict=True):
            form = self._form(told, child)
            if form is None or told.name in before:
                return None
            known = children.get(told.name, ())
            if form not in known:
                children[told.name] = (*known, form)
            after[told.name] = after.get(told.name, frozenset()).union(before[-1:])
            before.append(told.name)
        spaced = self.spaced or seen.spaced
        if children == self.children and after == self.after and spaced == self.spaced:
            return self
        if not self._one_place_each(children):
            return None
        try:
            order = list(TopologicalSorter(after).static_order())
        except CycleError:
            return None
        ordered = {name: children[name] for name in order}
        return Shape(self.start, self.end, self.wanted, ordered, after, spaced)

    def _form(self, told: Child, child: etree._Element) -> Form | None:
        """What the parser made of a child; None where that is more than one plain text."""
        tag = str(child.tag)
        nil = child.get(XSI_NIL) in ("true", "1")
        same = (child.text or "") == _resolved(told.text)
        if self.wanted(tag) is None or not same or len(child) or (nil and told.text):
            return None
        return Form(told.attributes, told.closed, tag, nil)

    def _one_place_each(self, children: dict[str, tuple[Form, ...]]) -> bool:
        """No tag and no column under two names, for then it would matter which comes first."""
        tags: dict[str, str] = {}
        columns: dict[int, str] = {}
        for name, forms in children.items():
            for form in forms:
                column = self.wanted(form.tag)
                if column is None or tags.setdefault(form.tag, name) != name:
                    return False
                if column != SKIP and columns.setdefault(column, name) != name:
                    return False
        return all(len(forms) <= _FORMS for forms in children.values())

    @property
    def tags(self) -> set[str]:
        """Tags of all children, as lxml writes them."""
        return {form.tag for forms in self.children.values() for form in forms}

    @cached_property
    def columns(self) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """(column, the pattern's groups that may hold its text)."""
        groups: dict[int, list[int]] = {}
        asked = [self.wanted(f.tag) for fs in self.children.values() for f in fs if self._asks(f)]
        for group, column in enumerate(asked):
            groups.setdefault(column or 0, []).append(group)
        return tuple((column, tuple(some)) for column, some in groups.items())

    def take(self, text: str) -> tuple[Stretch, int]:
        """The records at the start of `text`, and where in it something else begins."""
        escaped = "&" in text
        match = (self._escaped if escaped else self._plain).match
        rows: list[tuple[str | None, ...]] = []
        end = 0
        while (found := match(text, end)) is not None:
            rows.append(found.groups())
            end = found.end()
        return Stretch(self, rows, escaped), end

    @cached_property
    def _plain(self) -> re.Pattern[str]:
        return self._compiled(_PLAIN)

    @cached_property
    def _escaped(self) -> re.Pattern[str]:
        return self._compiled(_ESCAPED)

    def _compiled(self, text: str) -> re.Pattern[str]:
        """A whole record, with a group for each text that is asked for."""
        space = _SPACE if self.spaced else ""
        words = [_SPACE, re.escape(self.start)]
        for name, forms in self.children.items():
            ways = "|".join(self._way(name, form, text) for form in forms)
            words.append(f"(?:{space}(?:{ways}))?")
        return re.compile("".join((*words, space, re.escape(self.end))))

    def _way(self, name: str, form: Form, text: str) -> str:
        opened = re.escape(f"<{name}{form.attributes}")
        asked = self._asks(form)
        if form.closed:
            return opened + re.escape(form.closed) + ("()" if asked else "")
        inside = "" if form.nil else f"({text})" if asked else text
        return f"{opened}>{inside}</{re.escape(name)}>"

    def _asks(self, form: Form) -> bool:
        return not form.nil and self.wanted(form.tag) != SKIP


@dataclass(frozen=True, slots=True)
class Stretch:
    """Records in their order. `rows`: per record the pattern's groups, None where not there."""

    shape: Shape
    rows: list[tuple[str | None, ...]]
    escaped: bool

    def columns(self) -> dict[int, pa.Array]:
        """Texts by column; null = absent or nil, '' = there but empty. Others are all null."""
        found = tuple(zip(*self.rows, strict=True))
        return {
            column: self._texts([pa.array(found[group], pa.string()) for group in groups])
            for column, groups in self.shape.columns
        }

    def _texts(self, ways: list[pa.Array]) -> pa.Array:
        texts = pc.coalesce(*ways) if len(ways) > 1 else ways[0]
        if self.escaped:
            for reference, char in _REFERENCES:
                texts = pc.replace_substring(texts, reference, char)
        return texts


def _resolved(text: str) -> str:
    if "&" in text:
        for reference, char in _REFERENCES:
            text = text.replace(reference, char)
    return text
