"""Which files of a listing are read: the pattern, their order, markers, and whether they are whole.

Works on plain listings. Must not touch the wire or look into a file.
"""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from connectors.sftp_entries import Choice, Entry
from connectors.sftp_markers import Lateness, marker_lack, refuse_lone_marker
from connectors.sftp_order import behind, in_order, refuse_gap
from mappings.errors import BatchRefused, Misconfigured, NotNow, Refused, SourceChanged
from mappings.sources import SftpSource

__all__ = [
    "Choice",
    "Entry",
    "choose",
    "folder_and_pattern",
    "place_behind",
    "rest_behind",
    "safe_location",
]


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


def choose(
    source: SftpSource, listing: Iterable[Entry], since: str | None = None, *, now: float
) -> Choice:
    """All matches for `pick: all`, the last in order for `latest`; markers respected.

    `since`: the last file read before; then only those behind it, and `again` before. `now`: our
    clock in seconds; it decides whether a marker is late, never what is read.
    Raises NotNow (`no_file`, `no_marker`, `stale_marker`, `marker_without_file`), Misconfigured
    (the last three where `marker_minutes` are over, `order`), BatchRefused (`gap`; `file_name` for
    a name that is no plain name).
    """
    matching, by_name = _wanted(source, listing)
    ordered, notes = in_order(source, matching)
    if source.gapless:
        refuse_gap(source, ordered, since)
    if source.pick == "latest":
        late = Lateness(source.marker_minutes, now)
        return Choice((_latest(source, ordered, by_name, late),), notes, complete=True)
    left_out = len(ordered) < len(matching)
    if since is not None:
        ordered = behind(source, ordered, since)
    whole: list[Entry] = []
    for entry in ordered:
        lack = marker_lack(source.marker or "", entry, by_name)
        if lack is None:
            whole.append(entry)
            continue
        notes = (*notes, lack.says)
        if source.order is not None:  # what is behind it waits: the order is what they mean
            break
    return Choice(tuple(whole), notes, complete=len(whole) == len(ordered) > 0 and not left_out)


def place_behind(files: Sequence[Entry], count: int) -> str:
    """Where a read stood behind the first `count` of these files."""
    told = "\n".join(f"{one.name}\0{one.size}\0{one.modified_at}" for one in files[:count])
    return f"{count} {hashlib.sha256(told.encode('utf-8', 'surrogatepass')).hexdigest()}"


def rest_behind(files: tuple[Entry, ...], place: str) -> tuple[Entry, ...]:
    """The files behind an earlier read's place.

    Raises SourceChanged (`place`) where those before it are not the ones that were read.
    """
    count = int(place.partition(" ")[0])
    if len(files) < count or place_behind(files, count) != place:
        raise SourceChanged(
            f"the first {count} files are others than those that were read before",
            code="place",
            remedy="Nothing to do: all are read from their beginning.",
        )
    return files[count:]


def _wanted(source: SftpSource, listing: Iterable[Entry]) -> tuple[list[Entry], dict[str, Entry]]:
    """The files that match, and by name they and their markers; others are not kept."""
    _, pattern = folder_and_pattern(source.files)
    marker = source.marker or ""
    by_name: dict[str, Entry] = {}
    matching: list[Entry] = []
    for entry in listing:
        if "/" in entry.name or "\0" in entry.name or entry.name in {"", ".."}:
            raise BatchRefused(
                f"the server lists a file called {entry.name!r}, which is no plain name",
                code="file_name",
                remedy="Ask the ERP's owner what wrote it; nothing was read.",
            )
        if marker and entry.name.endswith(marker):
            if fnmatch.fnmatchcase(entry.name.removesuffix(marker), pattern):
                by_name[entry.name] = entry
        elif fnmatch.fnmatchcase(entry.name, pattern):
            by_name[entry.name] = entry
            matching.append(entry)
    return matching, by_name


def _latest(
    source: SftpSource, ordered: list[Entry], by_name: dict[str, Entry], late: Lateness
) -> Entry:
    marker = source.marker or ""
    if marker:
        refuse_lone_marker(marker, ordered, by_name, late)
    if not ordered:
        raise NotNow(
            f"no file matches {source.files}",
            code="no_file",
            remedy="The next schedule looks again; if it should be there, ask the ERP's owner.",
        )
    entry = ordered[-1]
    lack = marker_lack(marker, entry, by_name)
    if lack is not None:
        raise late.error(
            lack,
            entry.modified_at,
            "It is still being written, or its export died: the next schedule looks again; "
            "if the marker stays away, ask the ERP's owner.",
        )
    return entry
