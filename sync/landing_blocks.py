"""A landed page is a row of zstd frames, one a block; equal blocks are not packed anew.

Beside each page lies what its blocks are (`<file>.blocks`), a cache: without it everything is
packed. A page whose every block is that of the page before is the same file under a second name.
Must not decide what is landed, or be the proof of it: that is the SHA-256 of the page.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import xxhash
import zstandard

BLOCK_BYTES = 4 * 1024 * 1024
_PACKED_AT_ONCE = 2
_LEVEL = 1  # the network and the database are the slow ends; level 3 saves 8 % of the bytes


@dataclass(slots=True)
class Blocks:
    """The blocks of one page: digest of the raw bytes and size of the frame, in order."""

    digests: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, page: Path) -> Blocks | None:
        """What lies beside a page; None where that is missing or does not fit the page."""
        try:
            told = json.loads(_beside(page).read_text(encoding="ascii"))
            found = cls([str(d) for d in told["digests"]], [int(n) for n in told["sizes"]])
            whole = page.stat().st_size == sum(found.sizes)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found if whole and len(found.digests) == len(found.sizes) else None

    def keep(self, page: Path) -> None:
        """Write them down beside a page; a failure costs the next pull some packing."""
        with contextlib.suppress(OSError):
            text = json.dumps({"digests": self.digests, "sizes": self.sizes})
            _beside(page).write_text(text, encoding="ascii")


def blocks_of(content: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces of any size in blocks of BLOCK_BYTES, the last one shorter."""
    waiting: list[bytes] = []
    size = 0
    for piece in content:
        rest = piece
        while size + len(rest) >= BLOCK_BYTES:
            cut = BLOCK_BYTES - size
            yield b"".join([*waiting, rest[:cut]])
            waiting, size, rest = [], 0, rest[cut:]
        if rest:
            waiting.append(rest)
            size += len(rest)
    if waiting:
        yield b"".join(waiting)


class PageWriter:
    """Writes one page block by block; packing goes on in a thread while the next block comes."""

    def __init__(self, path: Path, like: Path | None) -> None:
        """`like`: the page that this one probably equals, packed by this module."""
        self._path = path
        self._like = like
        self._before = None if like is None else Blocks.of(like)
        self._blocks = Blocks()
        self._packer: _Packer | None = None

    def add(self, block: bytes) -> None:
        """Take in a block. Raises OSError."""
        digest = xxhash.xxh3_128_hexdigest(block)
        place = len(self._blocks.digests)
        before = self._before
        self._blocks.digests.append(digest)
        known = [] if before is None or self._packer is not None else before.digests
        if before is not None and known[place : place + 1] == [digest]:
            self._blocks.sizes.append(before.sizes[place])
            return
        self._packing().put(block)

    def close(self) -> None:
        """Everything is on disk. Raises OSError."""
        before = self._before
        if (
            self._packer is None
            and before is not None
            and self._like is not None
            and self._blocks.digests == before.digests
            and before.digests
        ):
            os.link(self._like, self._path)
        else:
            packer = self._packing()
            packer.close()
            self._blocks.sizes += packer.sizes
        self._blocks.keep(self._path)

    def abandon(self) -> None:
        """Stop; what was written is to be thrown away."""
        if self._packer is not None:
            self._packer.abandon()

    def _packing(self) -> _Packer:
        """The packer, begun with the frames of the blocks that are known already."""
        if self._packer is None:
            target = self._path.open("wb")
            known = sum(self._blocks.sizes)
            if known and self._like is not None:
                with self._like.open("rb") as source:
                    _copy(source, target, known)
            self._packer = _Packer(target)
        return self._packer


class _Packer:
    """Packs blocks, two at a time, and writes them in order, in threads of its own."""

    def __init__(self, target: IO[bytes]) -> None:
        self.sizes: list[int] = []
        self._target = target
        self._pool = ThreadPoolExecutor(_PACKED_AT_ONCE, "packing")
        self._queue: queue.Queue[Future[bytes] | None] = queue.Queue(maxsize=3)
        self._failed: OSError | None = None
        self._thread = threading.Thread(target=self._work, name="landing", daemon=True)
        self._thread.start()

    def put(self, block: bytes) -> None:
        if self._failed is not None:
            raise self._failed
        self._queue.put(self._pool.submit(_packed, block))

    def close(self) -> None:
        self._end()
        with self._target as target:
            if self._failed is not None:
                raise self._failed
            target.flush()
            os.fsync(target.fileno())

    def abandon(self) -> None:
        """Stop without caring for what was written."""
        self._end()
        with contextlib.suppress(OSError):
            self._target.close()

    def _end(self) -> None:
        self._queue.put(None)
        self._thread.join()
        self._pool.shutdown()

    def _work(self) -> None:
        while (packed := self._queue.get()) is not None:
            if self._failed is not None:
                continue
            try:
                frame = packed.result()
                self._target.write(frame)
                self.sizes.append(len(frame))
            except OSError as error:
                self._failed = error


def _packed(block: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=_LEVEL).compress(block)


def _copy(source: IO[bytes], target: IO[bytes], size: int) -> None:
    while size:
        piece = source.read(min(size, BLOCK_BYTES))
        if not piece:
            message = "the page before was cut off while it was copied"
            raise OSError(message)
        target.write(piece)
        size -= len(piece)


def _beside(page: Path) -> Path:
    return page.with_name(f"{page.name}.blocks")
