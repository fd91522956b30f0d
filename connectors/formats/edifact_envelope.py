"""Interchanges and messages of EDIFACT bytes, with everything that their envelopes contradict.

A fault of a message is told with the message: the others are sound. A fault of an interchange
(UNZ, its reference, its end) is raised, because nothing says then what is missing. Must not look
into a message's meaning.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from connectors.formats.edifact_text import (
    BETWEEN,
    Cut,
    Piece,
    Service,
    codec_of,
    cuts,
    parted,
    service_of,
    tag_of,
)
from connectors.formats.segment_paths import Segment
from mappings.errors import BatchRefused
from mappings.sources.formats import EdifactFormat

MOST_BYTES = 256 * 1024 * 1024
"""A page longer than this is refused: an interchange is looked at as a whole."""

_UNA_BYTES = 9
_ENVELOPE = frozenset({"UNH", "UNZ", "UNG", "UNE"})


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a message. `code` names the kind."""

    code: str
    says: str


@dataclass(slots=True)
class Message:
    """One message from UNH to UNT, its pieces included both."""

    pieces: list[Piece]
    start: int
    end: int
    kind: str
    reference: str
    faults: list[Fault] = field(default_factory=list)


@dataclass(slots=True)
class Interchange:
    """From UNA or UNB to UNZ. `head`: UNA as a segment (its first element is the decimal mark)
    and UNB, for paths.
    """

    head: list[Segment]
    messages: list[Message]
    control: str
    marks: Service
    start: int
    end: int
    sha256: str
    remarks: list[Fault]


def interchanges(data: bytes, form: EdifactFormat) -> Iterator[Interchange]:
    """All of a page, each with its own service characters.

    Raises BatchRefused: `envelope`, `truncated`, `trailer`, `service_string`, `charset`;
    Misconfigured (`encoding`).
    """
    if len(data) > MOST_BYTES:
        raise BatchRefused(
            f"the page is longer than {MOST_BYTES:,} bytes",
            code="too_large",
            remedy="Ask the partner for smaller interchanges.",
        )
    at = len(data) - len(data.lstrip(BETWEEN))
    while at < len(data):
        found = _Reading(data, at, form).whole()
        yield found
        at = found.end
        while at < len(data) and data[at] in BETWEEN:
            at += 1


def header(data: bytes, form: EdifactFormat) -> Segment:
    """The first interchange's UNB alone, whatever is wrong behind it. Raises as `interchanges`."""
    start = len(data) - len(data.lstrip(BETWEEN))
    return _Reading(data, start, form).header()


class _Reading:
    """One interchange, from its first byte."""

    def __init__(self, data: bytes, at: int, form: EdifactFormat) -> None:
        self._data = data
        self._form = form
        self._remarks: list[Fault] = []
        self._start = at
        self._marks, self._body, self._una = self._service(at)
        self._codec = "ascii"

    def whole(self) -> Interchange:
        """Everything up to UNZ."""
        coming = cuts(self._data, self._body, self._marks)
        head = self._head(next(coming, None))
        reference = head.at(5) or ""
        control = " ".join((head.at(2) or "", head.at(3) or "", reference))
        messages, last, groups = self._messages(coming)
        self._close(last, reference, groups or len(messages))
        end = last.end + (1 if last.terminated else 0)
        return Interchange(
            [Segment("UNA", self._una), head],
            messages,
            control,
            self._marks,
            self._start,
            end,
            hashlib.sha256(self._data[self._start : end]).hexdigest(),
            self._remarks,
        )

    def header(self) -> Segment:
        """UNB."""
        return self._head(next(cuts(self._data, self._body, self._marks), None))

    def _head(self, first: Cut | None) -> Segment:
        if first is None or tag_of(self._data, first) != "UNB":
            raise self._refused("envelope", f"there is no UNB at byte {self._body}")
        head = parted(self._data, first, self._marks, "latin-1").segment
        self._codec = codec_of(head.at(1) or "", self._form.encoding)
        return parted(self._data, first, self._marks, self._codec).segment

    def _service(self, at: int) -> tuple[Service, int, tuple[tuple[str, ...], ...]]:
        """The service characters, where UNB begins, and the decimal mark as UNA's element."""
        data = self._data
        mark = b"," if self._form.decimal == "comma" else b"."
        if not data.startswith((b"UNA", b"UNB"), at):
            at = self._skip_leading(at)
        if data.startswith(b"UNB", at):
            return Service(decimal=mark), at, ((mark.decode(),),)
        advice = data[at + 3 : at + _UNA_BYTES]
        behind = at + _UNA_BYTES
        while behind < len(data) and data[behind] in BETWEEN:
            behind += 1
        if not data.startswith(b"UNB", behind):
            advice, behind = self._long_una(at)
        found = service_of(advice, mark)
        return found, behind, ((found.decimal.decode(),),)

    def _long_una(self, at: int) -> tuple[bytes, int]:
        """Seven characters, reserved and repetition both, as some partners write it."""
        data = self._data
        behind = at + _UNA_BYTES + 1
        while behind < len(data) and data[behind] in BETWEEN:
            behind += 1
        long = data[at + 3 : at + _UNA_BYTES + 1]
        if not data.startswith(b"UNB", behind) or "long_una" not in self._form.tolerate:
            shown = long.decode("ascii", "backslashreplace")
            raise self._refused(
                "service_string", f"UNA is followed by {shown!r} instead of six characters and UNB"
            )
        self._remarks.append(Fault("long_una", "UNA has seven service characters"))
        return long[:4] + long[5:], behind

    def _skip_leading(self, at: int) -> int:
        """Where a header begins behind a few stray characters, if the profile lets them be."""
        data = self._data
        found = min(
            (i for i in (data.find(b"UNA", at), data.find(b"UNB", at)) if i >= 0), default=-1
        )
        shown = data[at : at + 20].decode("ascii", "backslashreplace")
        if found < 0 or "leading_text" not in self._form.tolerate:
            raise self._refused("envelope", f"{shown!r} stands where UNA or UNB should")
        self._remarks.append(Fault("leading_text", f"{shown!r} stands before the header"))
        return found

    def _messages(self, coming: Iterator[Cut]) -> tuple[list[Message], Cut, int]:
        """Messages, the UNZ, and how many functional groups there are."""
        found: list[Message] = []
        groups = 0
        now: Message | None = None
        for cut in coming:
            tag = tag_of(self._data, cut)
            if not cut.terminated:
                self._unterminated(cut, tag)
            if tag in _ENVELOPE and now is not None:
                now.faults.append(Fault("no_unt", "the message has no UNT"))
                found.append(now)
                now = None
            if tag == "UNZ":
                return found, cut, groups
            if tag in {"UNG", "UNE"}:
                groups += tag == "UNG"
                continue
            now = self._added(cut, tag, now)
            if tag == "UNT":
                now.faults += _count_faults(now)
                found.append(now)
                now = None
        raise self._refused("truncated", "the interchange ends without UNZ")

    def _added(self, cut: Cut, tag: str, now: Message | None) -> Message:
        """The message with one more segment; UNH begins one."""
        piece = parted(self._data, cut, self._marks, self._codec)
        if tag == "UNH":
            head = piece.segment
            now = Message([], cut.start, cut.end, head.at(2) or "", head.at(1) or "")
        if now is None:
            raise self._refused("envelope", f"{tag or 'a segment'} outside of a message")
        now.pieces.append(piece)
        now.end = cut.end
        if not tag:
            shown = self._data[cut.start : cut.start + 20].decode("ascii", "backslashreplace")
            now.faults.append(Fault("segment", f"{shown!r} begins no segment"))
        return now

    def _unterminated(self, cut: Cut, tag: str) -> None:
        if tag != "UNZ":
            shown = self._data[cut.start : cut.start + 20].decode("ascii", "backslashreplace")
            raise self._refused("truncated", f"the interchange ends inside of {shown!r}")
        if "missing_terminator" not in self._form.tolerate:
            raise self._refused("truncated", "the last segment is not ended")
        self._remarks.append(Fault("missing_terminator", "UNZ is not ended"))

    def _close(self, last: Cut, reference: str, count: int) -> None:
        """UNZ counts messages (or groups), never segments, and repeats the reference."""
        end = parted(self._data, last, self._marks, self._codec).segment
        if end.at(1) != str(count):
            raise self._refused("trailer", f"UNZ declares {end.at(1)!r} messages, {count} came")
        if (end.at(2) or "") != reference:
            raise self._refused(
                "trailer", f"UNZ repeats the reference {end.at(2)!r}, UNB said {reference!r}"
            )

    def _refused(self, code: str, says: str) -> BatchRefused:
        return BatchRefused(
            f"EDIFACT: {says}",
            code=code,
            remedy="Ask the partner to send the interchange again.",
        )


def _count_faults(message: Message) -> list[Fault]:
    """What UNT says, against what came."""
    end = message.pieces[-1].segment
    count = len(message.pieces)
    faults: list[Fault] = []
    if (end.at(1) or "").lstrip("0") != str(count):
        says = f"UNT declares {end.at(1)!r} segments, {count} came"
        faults.append(Fault("segment_count", says))
    if (end.at(2) or "") != message.reference:
        says = f"UNT repeats the reference {end.at(2)!r}, UNH said {message.reference!r}"
        faults.append(Fault("message_reference", says))
    return faults
