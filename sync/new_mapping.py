"""A proposed mapping as the text of its file: aligned, commented, every guess marked.

Must not guess anything itself, and must not write a file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.describe import Listing
from mappings.feeds import FEEDS
from mappings.vocabulary import Part
from sync.guess import Guess

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_RESERVED = {"null", "true", "false", "yes", "no", "on", "off", "y", "n", "~"}
_CURSOR_WORDS = ("cursor", "since")


@dataclass(frozen=True, slots=True)
class ProposedPart:
    """One part: its fields, and its own source (`words`) or its path in the root's record."""

    fields: Mapping[str, Guess]
    words: Mapping[str, Any] | None
    records: str | None
    columns: tuple[str, ...]
    listing: Listing | None = None


@dataclass(slots=True)
class Proposal:
    """A whole mapping. `feeds`: feed → part → what is proposed, None: absent."""

    erp: str
    title: str
    connection: str
    time_zone: str
    schema: str
    feeds: dict[str, dict[str, ProposedPart | None]] = field(default_factory=dict)


def mapping_text(proposal: Proposal) -> str:
    """The file. Parses as a mapping, whatever was guessed."""
    lookups = _lookups(proposal)
    lines = [
        f"# yaml-language-server: $schema={proposal.schema}",
        "# Proposed by `waybill new-erp`. A guess says how sure it is and what else it could be:",
        "# look at every one, check the feed (`waybill check`), and remove the comments.",
        f"erp: {proposal.erp}",
        f"title: {scalar(proposal.title)}",
        f"connection: {scalar(proposal.connection)}",
        f"time_zone: {proposal.time_zone}",
        "catalogue: open  # guess: or closed, where only products with a grant are sold",
    ]
    if lookups:
        lines += ["", "lookups:"]
        for name, table in lookups.items():
            pairs = ", ".join(f"{scalar(theirs)}: {scalar(ours)}" for theirs, ours in table.items())
            lines.append(f"  {name}: {{{pairs}}}")
    lines += ["", "feeds:"]
    for name, parts in proposal.feeds.items():
        lines += _feed(name, parts, lookups)
    return "\n".join(lines).rstrip() + "\n"


def _lookups(proposal: Proposal) -> dict[str, dict[str, str]]:
    """Lookup name → table; a name says part and field."""
    return {
        f"{part}_{name}": dict(guess.lookup or {})
        for parts in proposal.feeds.values()
        for part, one in parts.items()
        if one is not None
        for name, guess in one.fields.items()
        if guess.lookup is not None
    }


def _feed(
    name: str, parts: Mapping[str, ProposedPart | None], lookups: Mapping[str, object]
) -> list[str]:
    feed = FEEDS[name]
    main = parts[feed.main]
    if main is None:
        return []
    lines = [f"  {name}:", "    mode: snapshot", *_stamp(main)]
    lines += ["    source:", *_words(main.words or {}, 6), "    fields:"]
    lines += _fields(feed.part(feed.main), main, 6, lookups)
    others = [part for part in feed.parts if part.name != feed.main]
    if others:
        lines.append("    parts:")
    for part in others:
        one = parts.get(part.name)
        if one is None:
            lines.append(f"      {part.name}: absent")
            continue
        lines.append(f"      {part.name}:")
        if one.words is not None:
            lines += ["        source:", *_words(one.words, 10)]
        else:
            lines.append(f"        records: {scalar(one.records or '')}")
        lines += ["        fields:", *_fields(part, one, 10, lookups)]
    return [*lines, ""]


def _stamp(part: ProposedPart) -> list[str]:
    """A stamp is no proof that deltas can be trusted: it is pointed out, not used."""
    stamp = (part.words or {}).get("cursor")
    if stamp is None:
        return []
    return [
        f"    # {stamp} looks like a stamp: `mode: delta` and `cursor: {stamp}` in the source read",
        "    # changes only; then say in `misses` what it does not see",
    ]


def _words(words: Mapping[str, Any], indent: int) -> list[str]:
    lines = []
    for name, value in words.items():
        if name in _CURSOR_WORDS or value in (None, [], {}):
            continue
        lines.append(f"{' ' * indent}{name}: {_inline(value)}")
    return lines


def _inline(value: Any) -> str:  # noqa: ANN401  any JSON
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {_inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_inline(one) for one in value) + "]"
    return scalar(str(value))


def _fields(
    part: Part, proposed: ProposedPart, indent: int, lookups: Mapping[str, object]
) -> list[str]:
    written: list[tuple[str, str, str]] = []
    for one in part.mapped_fields:
        guess = proposed.fields.get(one.name)
        if guess is None:
            written.append((one.name, "absent", ""))
        else:
            lookup = f"{part.name}_{one.name}"
            written.append((one.name, _field(guess, lookup, lookup in lookups), _remark(guess)))
    width = max(len(name) for name, _, _ in written) + 1
    longest = max((len(text) for _, text, remark in written if remark), default=0)
    lines = []
    for name, text, remark in written:
        line = f"{' ' * indent}{name + ':':<{width}} {text}"
        lines.append(
            f"{line:<{indent + width + 1 + min(longest, 60)}}  # {remark}" if remark else line
        )
    used = {guess.path for guess in proposed.fields.values()}
    spare = [path for path in proposed.columns if path not in used]
    if spare:
        lines.append(f"{' ' * indent}# not used: {', '.join(_short(spare))}")
    return lines


def _field(guess: Guess, lookup: str, has_lookup: bool) -> str:  # noqa: FBT001  of the caller's table
    if guess.const is not None:
        return f"{{const: {scalar(guess.const)}}}"
    parts = [f"from: {scalar(guess.path or '?')}"]
    if guess.through:
        parts.append(f"through: [{', '.join(guess.through)}]")
    if has_lookup:
        parts.append(f"lookup: {lookup}")
    return "{" + ", ".join(parts) + "}"


def _remark(guess: Guess) -> str:
    """`guess: 62 %, or UnitCost; …`."""
    text = "guess: none" if guess.missing else f"guess: {guess.percent} %"
    if guess.others:
        text += f", or {' or '.join(guess.others)}"
    return f"{text}; {guess.says}" if guess.says else text


def _short(names: Iterable[str]) -> list[str]:
    listed = list(names)
    return listed if len(listed) <= 40 else [*listed[:40], "…"]  # noqa: PLR2004  what a line can hold


def scalar(text: str) -> str:
    """Plain where YAML reads it as the very text, else quoted."""
    if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED:
        return text
    return json.dumps(text, ensure_ascii=False)
