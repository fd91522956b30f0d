"""The landing store: the bytes that ERPs sent, unchanged, compressed, with a manifest.

`<landing>/<erp>/<feed>/<batch>/` holds one file per page and, written last, `manifest.json`: a
folder without it is an unfinished pull, and so is one whose batch never landed in the database.
Documents lie in `<landing>/documents/` by SHA-256.
Evidence is written once and never changed. Must not parse what it stores.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import fsspec
import zstandard

from mappings.errors import Misconfigured, WaybillError
from sync.landing_ahead import PIECE_BYTES, ReadAhead
from sync.landing_blocks import PageWriter, blocks_of

_LEVEL = 1  # the network and the database are the slow ends; level 3 saves 8 % of the bytes
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Landed:
    """One stored page: its file name in the batch's folder, SHA-256 and size of the raw bytes."""

    file: str
    sha256: str
    bytes: int


class Landing:
    """A landing store at an fsspec URL (a folder's path, `s3://…`, `memory://…`)."""

    def __init__(self, url: str) -> None:
        self.url = url
        filesystem, root = fsspec.url_to_fs(url)
        self._fs: Any = filesystem
        self._root: str = str(root).rstrip("/")

    @property
    def local(self) -> bool:
        """Is it a folder of this machine, where reading a page twice costs next to nothing?"""
        return "file" in self._fs.protocol or "local" in self._fs.protocol

    def folder(self, erp: str, feed: str, batch_id: int) -> str:
        """A batch's folder, relative to the store."""
        return f"{erp}/{feed}/{batch_id}"

    def location(self, folder: str, file: str = "") -> str:
        """Where a person finds it."""
        return "/".join(part for part in (self._root, folder, file) if part)

    def write_page(
        self,
        folder: str,
        number: int,
        name: str,
        content: Iterable[bytes],
        *,
        like: tuple[str, str] | None = None,
    ) -> Landed:
        """Store one page while it arrives. Raises Misconfigured (code `disk_full`, `landing`).

        `like`: folder and file of a page that this one probably equals; what is the same is then
        not packed again.
        """
        file = f"{number:05d}-{_UNSAFE.sub('_', name)[-80:] or 'page'}.zst"
        if self.local:
            return self._write_local_page(folder, file, content, like)
        digest, size = hashlib.sha256(), 0
        with self._writing(f"{folder}/{file}") as target:
            compressor = zstandard.ZstdCompressor(level=_LEVEL).stream_writer(target, closefd=False)
            for piece in content:
                digest.update(piece)
                size += len(piece)
                compressor.write(piece)
            compressor.close()
        return Landed(file, digest.hexdigest(), size)

    def _write_local_page(
        self, folder: str, file: str, content: Iterable[bytes], like: tuple[str, str] | None
    ) -> Landed:
        digest, size = hashlib.sha256(), 0
        path = Path(self.location(folder, file))
        with self._translated():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            writer = PageWriter(path, None if like is None else Path(self.location(*like)))
            try:
                for block in blocks_of(content):
                    digest.update(block)
                    size += len(block)
                    writer.add(block)
                writer.close()
            except BaseException:
                writer.abandon()
                raise
        return Landed(file, digest.hexdigest(), size)

    def write_manifest(self, folder: str, manifest: dict[str, Any]) -> str:
        """Seal a batch; returns the manifest's SHA-256."""
        text = json.dumps(manifest, indent=1, sort_keys=True, default=str).encode()
        with self._writing(f"{folder}/{MANIFEST}") as target:
            target.write(text)
        return hashlib.sha256(text).hexdigest()

    def read_manifest(self, folder: str) -> dict[str, Any]:
        """The manifest of a batch. Raises Misconfigured (code `evidence`) where it is gone."""
        try:
            with self._fs.open(f"{self._root}/{folder}/{MANIFEST}", "rb") as source:
                return cast("dict[str, Any]", json.loads(source.read()))
        except FileNotFoundError:
            raise _gone(self.location(folder, MANIFEST)) from None

    @contextmanager
    def open_page(self, folder: str, file: str, sha256: str | None = None) -> Iterator[BinaryIO]:
        """The raw bytes of a page as a stream.

        Raises Misconfigured (code `evidence`) where they are gone, and at the end of the block
        where they are not those of `sha256`: whatever was made of them is then not to be used.
        """
        try:
            source = self._fs.open(f"{self._root}/{folder}/{file}", "rb")
        except FileNotFoundError:
            raise _gone(self.location(folder, file)) from None
        with source:
            packed = zstandard.ZstdDecompressor().stream_reader(
                source, closefd=False, read_across_frames=True
            )
            reader = _Hashing(cast("Any", packed), checked=sha256 is not None)
            ahead = ReadAhead(reader) if self._large(folder, file) else None
            try:
                yield cast("BinaryIO", io.BufferedReader(ahead or reader, PIECE_BYTES))
            finally:
                if ahead is not None:
                    ahead.stop()
                if sha256 is not None and reader.whole() != sha256:
                    raise _changed(self.location(folder, file))

    def _large(self, folder: str, file: str) -> bool:
        """Does a thread of its own pay for reading this page?"""
        if not self.local:
            return False
        return Path(self.location(folder, file)).stat().st_size > PIECE_BYTES

    def verify(self, folder: str, file: str, sha256: str) -> bool:
        """Do the stored bytes still have the hash they landed with?"""
        try:
            with self.open_page(folder, file, sha256):
                return True
        except Misconfigured:
            return False

    def remove(self, folder: str) -> None:
        """Drop the files of a pull that never landed, or whose time as evidence is over.

        It may have a manifest: a process can end between the seal and the database's record.
        """
        path = f"{self._root}/{folder}"
        if self._fs.exists(f"{path}/{MANIFEST}"):
            self._fs.rm(f"{path}/{MANIFEST}")  # first: half a folder must not look sealed
        if self._fs.exists(path):
            self._fs.rm(path, recursive=True)

    def keep_pages(self, folder: str, files: set[str]) -> None:
        """Of a pull that has not been sealed, drop every file but these."""
        path = f"{self._root}/{folder}"
        for found in self._fs.ls(path, detail=False) if self._fs.exists(path) else ():
            if str(found).rsplit("/", 1)[-1].removesuffix(".blocks") not in files:
                self._fs.rm(found)

    def remove_page(self, folder: str, file: str) -> None:
        """Drop one page of a pull that has not been sealed: its source is read again."""
        for path in (f"{self._root}/{folder}/{file}", f"{self._root}/{folder}/{file}.blocks"):
            if self._fs.exists(path):
                self._fs.rm(path)

    def write_document(self, content: Iterable[bytes]) -> Landed:
        """Store a document under its SHA-256; the same bytes are stored once."""
        digest, size, pieces = hashlib.sha256(), 0, []
        for piece in content:
            digest.update(piece)
            size += len(piece)
            pieces.append(piece)
        name = digest.hexdigest()
        path = f"documents/{name[:2]}/{name}"
        if not self._fs.exists(f"{self._root}/{path}"):
            waiting = f"{path}.{secrets.token_hex(4)}"
            with self._writing(waiting) as target:
                target.writelines(pieces)
            self._fs.mv(f"{self._root}/{waiting}", f"{self._root}/{path}")
        return Landed(path, name, size)

    def open_document(self, sha256: str) -> IO[bytes]:
        """The bytes of a stored document. Raises FileNotFoundError."""
        return cast(
            "IO[bytes]", self._fs.open(f"{self._root}/documents/{sha256[:2]}/{sha256}", "rb")
        )

    def remove_document(self, sha256: str) -> bool:
        """Drop a document that nothing names any more; False where it was not there."""
        path = f"{self._root}/documents/{sha256[:2]}/{sha256}"
        there = bool(self._fs.exists(path))
        if there:
            self._fs.rm(path)
        return there

    @contextmanager
    def _writing(self, path: str) -> Iterator[IO[bytes]]:
        full = f"{self._root}/{path}"
        with self._translated():
            self._fs.makedirs(full.rsplit("/", 1)[0], exist_ok=True)
            with self._fs.open(full, "wb") as target:
                yield target
                target.flush()
                if hasattr(target, "fileno"):
                    os.fsync(target.fileno())

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except WaybillError:
            raise
        except OSError as error:
            if isinstance(error, ConnectionError | TimeoutError):
                raise
            full_disk = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
            raise Misconfigured(
                f"the landing store {self.url} "
                + ("is full" if full_disk else f"cannot be written ({error.strerror or error})"),
                code="disk_full" if full_disk else "landing",
                remedy="Free space or correct WAYBILL_LANDING, then run the feed again: "
                "nothing was loaded and nothing is lost.",
            ) from error


class _Hashing(io.RawIOBase):
    """Passes bytes on and, where somebody will ask, hashes them on the way."""

    def __init__(self, source: IO[bytes], *, checked: bool) -> None:
        self._source = source
        self._digest = hashlib.sha256() if checked else None

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  Buffer has no name before 3.12
        """Fill the buffer, as far as there is something."""
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, hashed; b"" at the end."""
        piece = self._source.read(size)
        if self._digest is not None:
            self._digest.update(piece)
        return piece

    def whole(self) -> str:
        """SHA-256 of everything, what nobody has read yet included; '' where it is damaged."""
        try:
            while self.read(1 << 20):
                pass
        except zstandard.ZstdError:
            return ""
        return "" if self._digest is None else self._digest.hexdigest()


def _changed(place: str) -> Misconfigured:
    return Misconfigured(
        f"the evidence {place} is not what landed",
        code="evidence",
        remedy="Restore it from the backup of the landing store, or pull the feed again.",
    )


def _gone(place: str) -> Misconfigured:
    return Misconfigured(
        f"the evidence {place} is not there",
        code="evidence",
        remedy="Restore it from the backup of the landing store, or pull the feed again.",
    )
