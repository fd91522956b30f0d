"""A correction written into the text of a mapping: a few lines more, every other one untouched.

Comments, order and quotes of the file stay. Must not read or write files.
"""

from __future__ import annotations

import difflib
import json
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, SequenceNode

from mappings.errors import Misconfigured
from mappings.reading import parse_mapping
from sync.fix_rules import Rule

_WORDS = ("column", "part", "kind", "old", "new", "values", "until", "rule")


def with_correction(
    text: str, name: str, feed: str, part: str | None, rule: Rule, *, until: date, number: int
) -> str:
    """The mapping's text with the correction in front of the feed's others.

    `part`: None for the feed's main part; `name`: the file's. The result is read again: it says
    what it said before, and this. Raises Misconfigured (`mapping`, `rule_text`).
    """
    feeds = _value(yaml.compose(text, Loader=yaml.SafeLoader), "feeds")
    body = _value(feeds, feed)
    if not isinstance(body, MappingNode) or body.flow_style or not body.value:
        raise _by_hand(name, feed)
    words: dict[str, Any] = {
        "column": rule.path,
        "part": part,
        "kind": rule.kind,
        **_said(rule),
        "until": until.isoformat(),
        "rule": str(number),
    }
    entry = [
        f"{word}: {_scalar(word, words[word])}" for word in _WORDS if words.get(word) is not None
    ]
    known = _value(body, "corrections")
    lines = text.splitlines(keepends=True)
    if known is None:
        first = body.value[0][0].start_mark
        at, indent = first.line, " " * first.column
        added = [f"{indent}corrections:", *_item(entry, indent + "  ")]
    elif isinstance(known, SequenceNode) and not known.flow_style and known.value:
        at, indent = known.start_mark.line, " " * known.start_mark.column
        added = _item(entry, indent)
    else:
        raise _by_hand(name, feed)
    made = "".join([*lines[:at], *(f"{line}\n" for line in added), *lines[at:]])
    before, after = (parse_mapping(one, Path(name)) for one in (text, made))
    others = {**after.feeds[feed].model_dump(), "corrections": before.feeds[feed].corrections}
    wanted = {**before.feeds[feed].model_dump(), "corrections": before.feeds[feed].corrections}
    if others != wanted or after.feeds[feed].corrections[1:] != before.feeds[feed].corrections:
        raise _by_hand(name, feed)
    return made


def diff_of(old: str, new: str, name: str) -> str:
    """What `git apply` and people read; `name`: the file's path in its repository."""
    pieces = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), f"a/{name}", f"b/{name}"
    )
    return "".join(pieces)


def _said(rule: Rule) -> dict[str, Any]:
    if rule.kind == "map":
        return {"values": dict(rule.values)}
    if rule.kind == "trim":
        return {}
    new = {"new": rule.new}
    return new if rule.kind == "default" else {"old": rule.old, **new}


def _scalar(word: str, value: object) -> str:
    if isinstance(value, dict):
        inside = ", ".join(f"{_quoted(k)}: {_quoted(v)}" for k, v in value.items())
        return f"{{{inside}}}"
    return str(value) if word in ("part", "kind", "until", "rule") else _quoted(value)


def _quoted(value: object) -> str:
    return json.dumps(str(value), ensure_ascii=False)


def _item(entry: list[str], indent: str) -> list[str]:
    return [f"{indent}{'- ' if n == 0 else '  '}{line}" for n, line in enumerate(entry)]


def _value(node: Node | None, name: str) -> Node | None:
    if not isinstance(node, MappingNode):
        return None
    for key, value in node.value:
        if key.value == name:
            return value
    return None


def _by_hand(name: str, feed: str) -> Misconfigured:
    return Misconfigured(
        f"{name} is written in a way that {feed}'s corrections cannot be added to by themselves",
        code="rule_text",
        remedy="Write the feed in block style, a word a line, or add the correction by hand.",
    )
