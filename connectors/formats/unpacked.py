"""Packed pages opened: the files inside, never more than the mapping allows.

Nothing that an archive says of itself is believed: bytes are counted while they are unpacked. A
packed file inside a packed file, and one under a password, are refused by name. Must not know what
is written in the files.
"""

from __future__ import annotations

import fnmatch
import gzip
import io
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO, cast

from mappings.errors import BatchRefused
from mappings.sources.formats import Unpack

_READ = 1 << 16
_IN_MEMORY = 32 << 20
_RATIO_FROM = 1 << 20
_ENCRYPTED = 0x1
_NESTED = {b"PK\x03\x04": "zip", b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"7z\xbc\xaf": "7z"}
_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    IndexError,
    ValueError,
    OSError,
    OverflowError,
    struct.error,
)
"""What the standard library raises for an archive that is damaged in some way."""


def members(content: BinaryIO, words: Unpack, *, nested: bool = False) -> Iterator[BinaryIO]:
    """The files in a page, one after the other; each is to be read before the next is asked for.

    `nested`: a file inside may be a zip itself (Excel's are). Raises BatchRefused: `archive`
    (damaged, or not the files that were asked for), `truncated`, `too_large`, `encrypted`,
    `nested_archive`.
    """
    if words.kind == "gzip":
        meter = _Meter(words, 0)
        packed = cast("IO[bytes]", _Taken(content, meter))
        with unpacking(), gzip.GzipFile(fileobj=packed, mode="rb") as source:
            yield _Metered(source, meter, nested=nested).opened()
        return
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as spooled:
        size = 0
        while piece := content.read(_READ):
            size += len(piece)
            if size > words.most_bytes:
                raise _too_large(f"the archive itself has more than {words.most_bytes:,} bytes")
            spooled.write(piece)
        spooled.seek(0)
        with unpacking():
            yield from _of_zip(cast("BinaryIO", spooled), size, words, nested=nested)


def _of_zip(file: BinaryIO, size: int, words: Unpack, *, nested: bool) -> Iterator[BinaryIO]:
    with zipfile.ZipFile(file) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        if len(entries) > words.most_entries:
            raise _too_large(f"the archive holds {len(entries):,} files")
        wanted = sorted(
            (e for e in entries if fnmatch.fnmatchcase(e.filename, words.member)),
            key=lambda entry: entry.filename,
        )
        if not 0 < len(wanted) <= words.most:
            shown = ", ".join(e.filename for e in entries[:5]) or "nothing"
            raise BatchRefused(
                f"{len(wanted)} files in the archive match `member: {words.member}`, "
                f"1 to {words.most} may; it holds {shown}",
                code="archive",
                remedy="Correct `member` or `most` of `unpack`, or ask for the file again.",
            )
        meter = _Meter(words, size)
        for entry in wanted:
            if entry.flag_bits & _ENCRYPTED:
                raise BatchRefused(
                    f"{entry.filename} in the archive is under a password",
                    code="encrypted",
                    remedy="Ask for it without one: the way over SFTP is encrypted already.",
                )
            with archive.open(entry) as source:
                yield _Metered(source, meter, nested=nested).opened()


class _Meter:
    """How much came out of how much."""

    def __init__(self, words: Unpack, packed: int) -> None:
        self._words = words
        self.packed = packed
        self.out = 0

    def add(self, count: int) -> None:
        self.out += count
        if self.out > self._words.most_bytes:
            raise _too_large(f"unpacked it has more than {self._words.most_bytes:,} bytes")
        if self.out > _RATIO_FROM and self.out > self._words.most_ratio * max(self.packed, 1):
            raise _too_large(
                f"{self.packed:,} packed bytes unpack to more than {self._words.most_ratio} times "
                "as many"
            )


class _Metered(io.RawIOBase):
    """Passes bytes on, counts them, and looks at the first ones."""

    def __init__(self, source: object, meter: _Meter, *, nested: bool) -> None:
        self._source = cast("BinaryIO", source)
        self._meter = meter
        self._nested = nested
        self._begun = False

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill the buffer. Raises BatchRefused."""
        view = memoryview(buffer)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  a buffer has no name before 3.12
        with unpacking():
            piece = self._source.read(min(len(view), _READ))
        self._meter.add(len(piece))
        if not self._begun:
            self._begun = True
            kind = next((k for mark, k in _NESTED.items() if piece.startswith(mark)), None)
            if kind is not None and not self._nested:
                raise BatchRefused(
                    f"the packed file is itself packed ({kind})",
                    code="nested_archive",
                    remedy="Ask for it packed once.",
                )
        view[: len(piece)] = piece
        return len(piece)

    def opened(self) -> BinaryIO:
        """As a buffered stream."""
        return cast("BinaryIO", io.BufferedReader(self, _READ))


class _Taken:
    """The packed bytes, counted as they are read."""

    def __init__(self, content: BinaryIO, meter: _Meter) -> None:
        self._content = content
        self._meter = meter

    def read(self, size: int = -1) -> bytes:
        """As the page gives them; nothing at all is no gzip file."""
        piece = self._content.read(size)
        if not piece and not self._meter.packed:
            message = "it is empty"
            raise EOFError(message)
        self._meter.packed += len(piece)
        return piece


@contextmanager
def unpacking() -> Iterator[None]:
    """Translates what the standard library raises for a damaged archive. Raises BatchRefused."""
    try:
        yield
    except EOFError as error:
        raise BatchRefused(
            f"the packed file was cut off ({error})", code="truncated", remedy="Ask for it again."
        ) from error
    except _FAULTS as error:
        raise BatchRefused(
            f"the packed file cannot be unpacked ({type(error).__name__}: {error})",
            code="archive",
            remedy="Ask for it again, or correct `unpack` in the mapping.",
        ) from error


def _too_large(says: str) -> BatchRefused:
    return BatchRefused(
        says, code="too_large", remedy="Raise the limit of `unpack` if that is what it should be."
    )
