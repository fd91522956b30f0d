"""Which files of a listing are read: the pattern, their order, markers, and whether they are whole.

Works on plain listings. Must not touch the wire or look into a file.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from mappings.errors import BatchRefused, Misconfigured, NotNow, Refused
from mappings.sources import SftpSource

_CLOCK_SECONDS = 2
"""Markers and files written in the same moment may get times in either order."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file as the server lists it. `size` and `modified_at` (its clock) may be unknown."""

    name: str
    size: int | None
    modified_at: int | None


@dataclass(frozen=True, slots=True)
class Choice:
    """The files to read, in order, and what was left out and why."""

    files: tuple[Entry, ...]
    notes: tuple[str, ...]
    complete: bool


def folder_and_pattern(files: str) -> tuple[str, str]:
    """Split `out/prices_*.csv`. Raises Misconfigured (`path`) for a path that leaves its folder."""
    path = PurePosixPath(files)
    if ".." in path.parts or not path.name or "\0" in files:
        raise Misconfigured(
            f"`files: {files}` is not a path inside the server's folder",
            code="path",
            remedy="Write folder/pattern without .. in the mapping.",
        )
    return str(path.parent), path.name


def safe_location(location: str) -> str:
    """A document's path as the ERP names it. Raises Refused (`path`) for one that climbs."""
    path = PurePosixPath(location)
    if not location or "\0" in location or ".." in path.parts or path.is_absolute():
        raise Refused(
            f"the document's path {location!r} leaves the server's folder",
            code="path",
            remedy="Ask the ERP's owner to correct the path.",
        )
    return str(path)


def choose(source: SftpSource, listing: list[Entry]) -> Choice:
    """All matches for `pick: all`, the last in order for `latest`; markers respected.

    Raises NotNow (`no_file`, `no_marker`, `stale_marker`, `marker_without_file`), BatchRefused
    (`file_name`) for a name that is no plain name.
    """
    _, pattern = folder_and_pattern(source.files)
    for entry in listing:
        if "/" in entry.name or "\0" in entry.name or entry.name in {"", ".."}:
            raise BatchRefused(
                f"the server lists a file called {entry.name!r}, which is no plain name",
                code="file_name",
                remedy="Ask the ERP's owner what wrote it; nothing was read.",
            )
    by_name = {entry.name: entry for entry in listing}
    marker = source.marker or ""
    matching = [
        entry
        for entry in listing
        if fnmatch.fnmatchcase(entry.name, pattern) and not (marker and entry.name.endswith(marker))
    ]
    ordered, notes = _ordered(source, matching)
    if source.pick == "latest":
        return Choice((_latest(source, ordered, by_name, pattern),), notes, complete=True)
    whole: list[Entry] = []
    for entry in ordered:
        lack = _marker_lack(marker, entry, by_name)
        if lack is None:
            whole.append(entry)
        else:
            notes = (*notes, lack[1])
    return Choice(tuple(whole), notes, complete=len(whole) == len(matching) > 0)


def _ordered(source: SftpSource, matching: list[Entry]) -> tuple[list[Entry], tuple[str, ...]]:
    if source.order is None:
        return sorted(matching, key=lambda entry: _natural(entry.name)), ()
    try:
        order = re.compile(source.order)
    except re.error as error:
        raise Misconfigured(
            f"`order: {source.order}` is no regular expression: {error}",
            code="order",
            remedy="Correct it in the mapping.",
        ) from error
    if order.groups < 1:
        raise Misconfigured(
            f"`order: {source.order}` has no group that orders the files",
            code="order",
            remedy=r"Put the number or date in parentheses, such as prices_(\d+)\.csv.",
        )
    ranked: list[tuple[tuple[tuple[int, str], ...], Entry]] = []
    notes: list[str] = []
    for entry in matching:
        found = order.search(entry.name)
        if found is None:
            notes.append(f"{entry.name} does not match `order` and was left out")
        else:
            ranked.append((_natural(found.group(1)), entry))
    ranked.sort(key=lambda one: (one[0], _natural(one[1].name)))
    return [entry for _, entry in ranked], tuple(notes)


def _latest(
    source: SftpSource, ordered: list[Entry], by_name: dict[str, Entry], pattern: str
) -> Entry:
    marker = source.marker or ""
    if marker:
        _refuse_lone_marker(marker, ordered, by_name, pattern)
    if not ordered:
        raise NotNow(
            f"no file matches {source.files}",
            code="no_file",
            remedy="The next schedule looks again; if it should be there, ask the ERP's owner.",
        )
    entry = ordered[-1]
    lack = _marker_lack(marker, entry, by_name)
    if lack is not None:
        raise NotNow(
            lack[1],
            code=lack[0],
            remedy="It is still being written, or its export died: the next schedule looks again; "
            "if the marker stays away, ask the ERP's owner.",
        )
    return entry


def _refuse_lone_marker(
    marker: str, ordered: list[Entry], by_name: dict[str, Entry], pattern: str
) -> None:
    last = _natural(ordered[-1].name) if ordered else ()
    for name in by_name:
        data = name.removesuffix(marker)
        lone = name.endswith(marker) and data not in by_name and fnmatch.fnmatchcase(data, pattern)
        if lone and _natural(data) > last:
            raise NotNow(
                f"the marker {name} is there, its file is not",
                code="marker_without_file",
                remedy="Ask the ERP's owner whether the file was moved or never written.",
            )


def _marker_lack(marker: str, entry: Entry, by_name: dict[str, Entry]) -> tuple[str, str] | None:
    """(code, why) where the file's marker does not say that it is whole."""
    if not marker:
        return None
    found = by_name.get(entry.name + marker)
    if found is None:
        return "no_marker", f"{entry.name} is there without its marker {entry.name}{marker}"
    times = (found.modified_at, entry.modified_at)
    if times[0] is not None and times[1] is not None and times[0] + _CLOCK_SECONDS < times[1]:
        return "stale_marker", f"{entry.name} was changed after its marker {found.name} was written"
    return None


def _natural(text: str) -> tuple[tuple[int, str], ...]:
    """Digits compare as numbers, the rest as text: 2 before 10."""
    return tuple(
        (int(part), "") if part.isascii() and part.isdigit() else (-1, part)
        for part in re.split(r"([0-9]+)", text)
    )
