"""EDIFACT bytes → service characters and segments, exactly where they stand.

Works on bytes: the service characters are ASCII in every character set that UNB may name, so no
text is decoded to be cut. A header is looked for only where an interchange may begin: UNA or UNB
inside data is data. Must not know a message.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest

from connectors.formats.raw import LIST_SEPARATOR
from connectors.formats.segment_paths import Segment
from mappings.errors import BatchRefused, Misconfigured

BETWEEN = b" \t\r\n"
"""What may stand between two segments and means nothing."""

_CODECS = {
    "UNOA": "ascii", "UNOB": "ascii", "UNOC": "iso-8859-1", "UNOD": "iso-8859-2",
    "UNOE": "iso-8859-5", "UNOF": "iso-8859-7", "UNOG": "iso-8859-3", "UNOH": "iso-8859-4",
    "UNOI": "iso-8859-6", "UNOJ": "iso-8859-8", "UNOK": "iso-8859-9", "UNOL": "iso-8859-15",
    "UNOW": "utf-8", "UNOY": "utf-8",
}  # fmt: skip
_TAG = re.compile(rb"[A-Z][A-Z0-9]{2}")
_NO_TEXT = re.compile("[\x00-\x1e\x7f-\x9f]")
_UNA = 6


@dataclass(frozen=True, slots=True)
class Service:
    """The service characters of one interchange, a byte each; `release` b'' means none."""

    component: bytes = b":"
    element: bytes = b"+"
    decimal: bytes = b"."
    release: bytes = b"?"
    repetition: bytes = b""
    terminator: bytes = b"'"


@dataclass(frozen=True, slots=True)
class Cut:
    """One segment as it stands in the bytes: its place, and whether its terminator is there."""

    start: int
    end: int
    terminated: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """A segment with what is wrong with its characters, None where nothing is."""

    segment: Segment
    fault: str | None = None


def service_of(advice: bytes, decimal: bytes) -> Service:
    """The service characters after `UNA`; blank ones mean none.

    Raises BatchRefused (`service_string`) where they cannot be what they say.
    """
    component, element, mark, release, repetition, terminator = (
        advice[i : i + 1] for i in range(_UNA)
    )
    found = Service(
        component,
        element,
        mark if mark in {b",", b"."} else decimal,
        release.strip(),
        repetition.strip(),
        terminator,
    )
    used = [component, element, found.release, found.repetition, terminator]
    given = [mark for mark in used if mark]
    bad = [mark for mark in given if mark.isalnum() or mark.isspace() or mark > b"\x7e"]
    if len(set(given)) < len(given) or bad:
        raise BatchRefused(
            f"the service string advice UNA{advice.decode('ascii', 'backslashreplace')} "
            "does not name six different characters",
            code="service_string",
            remedy="Ask the partner to correct UNA, or to leave it out.",
        )
    return found


def cuts(data: bytes, at: int, marks: Service) -> Iterator[Cut]:
    """Segments from byte `at` on, in order; what stands between them is left out."""
    pattern = _segment_pattern(marks)
    while True:
        while at < len(data) and data[at] in BETWEEN:
            at += 1
        if at >= len(data):
            return
        found = pattern.match(data, at)
        if found is None:
            end = len(data.rstrip(BETWEEN))
            yield Cut(at, end, terminated=False)
            return
        yield Cut(at, found.end() - 1, terminated=True)
        at = found.end()


def tag_of(data: bytes, cut: Cut) -> str:
    """The three letters that a segment begins with; '' where it does not begin so."""
    found = _TAG.match(data, cut.start, cut.end)
    return found.group().decode() if found else ""


def parted(data: bytes, cut: Cut, marks: Service, codec: str) -> Piece:
    """One segment taken apart and decoded. What is not text in `codec` is told, and kept."""
    raw = data[cut.start : cut.end]
    fault: str | None = None
    try:
        raw.decode(codec)
    except UnicodeDecodeError as error:
        byte, place = raw[error.start], cut.start + error.start
        fault = f"byte {byte:#04x} at offset {place} does not exist in {codec}"
    elements = [_element(one, marks, codec) for one in _split(raw, marks.element, marks)[1:]]
    if fault is None:
        texts = (text for one in elements for text in one)
        strange = next((m for text in texts if (m := _NO_TEXT.search(text))), None)
        if strange is not None:
            fault = f"holds the control character U+{ord(strange.group()):04X}"
    tag = tag_of(data, cut)
    return Piece(Segment(tag, tuple(elements), cut.start, cut.end), fault)


def _element(raw: bytes, marks: Service, codec: str) -> tuple[str, ...]:
    """Components; those of a repeated element together, as a path with `[]` gives them."""
    again = _split(raw, marks.repetition, marks) if marks.repetition else [raw]
    rows = [
        [
            _unreleased(p, marks).decode(codec, "backslashreplace")
            for p in _split(one, marks.component, marks)
        ]
        for one in again
    ]
    if len(rows) == 1:
        return tuple(rows[0])
    return tuple(LIST_SEPARATOR.join(filter(None, texts)) for texts in zip_longest(*rows))


def codec_of(syntax: str, declared: str | None) -> str:
    """The codec of a syntax identifier, or the profile's. Raises Misconfigured (`encoding`)."""
    if declared is not None:
        try:
            codecs.lookup(declared)
        except LookupError as error:
            message = f"there is no encoding {declared!r}"
            raise Misconfigured(
                message, code="encoding", remedy="Correct `encoding` in the mapping."
            ) from error
        return declared
    known = _CODECS.get(syntax)
    if known is None:
        raise BatchRefused(
            f"UNB names the character set {syntax!r}, which is not one of UNOA to UNOY",
            code="charset",
            remedy="Write the partner's `encoding` into the format of the mapping.",
        )
    return known


@lru_cache(maxsize=64)
def _segment_pattern(marks: Service) -> re.Pattern[bytes]:
    end = re.escape(marks.terminator)
    if not marks.release:
        return re.compile(rb"[^" + end + rb"]*+" + end, re.DOTALL)
    release = re.escape(marks.release)
    return re.compile(rb"(?:[^" + end + release + rb"]|" + release + rb".)*+" + end, re.DOTALL)


def _split(raw: bytes, mark: bytes, marks: Service) -> list[bytes]:
    """At every `mark` that no release character stands before; release characters stay."""
    if not marks.release or marks.release not in raw:
        return raw.split(mark)
    return [found.group(1) for found in _part_pattern(mark, marks.release).finditer(raw)]


@lru_cache(maxsize=64)
def _part_pattern(mark: bytes, release: bytes) -> re.Pattern[bytes]:
    one, other = re.escape(mark), re.escape(release)
    inside = rb"((?:[^" + one + other + rb"]|" + other + rb".|" + other + rb"\Z)*+)"
    return re.compile(rb"(?:\A|" + one + rb")" + inside, re.DOTALL)


def _unreleased(raw: bytes, marks: Service) -> bytes:
    if not marks.release or marks.release not in raw:
        return raw
    return re.sub(re.escape(marks.release) + rb"(.)", rb"\1", raw, flags=re.DOTALL)
