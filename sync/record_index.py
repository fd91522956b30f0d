"""Digests of the records of one applied batch, on disk: which raw records the portal knows.

One sorted file of (128-bit digest, record number) per feed, cut into ranges of the digest so that
any size is compared in bounded memory, and one of where each record lies. It is a cache bound to
one applied batch: where it is lost, damaged or of another batch the load compares everything. Must
not know a format or a table.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import xxhash

from sync.record_digests import FLUSH_RECORDS, RECORD, Gathered, ranges_for
from sync.record_places import Pages, Places, PlacesWriter

_MOST_REFUSED = 100_000
_FILES = ("records", "places")
_PIECE_BYTES = 1024 * 1024
_VERSION = 3


@dataclass(frozen=True, slots=True)
class Binding:
    """What the index speaks for; where any of it differs from the database it says nothing."""

    batch_id: int
    run_id: int
    content_sha256: str
    fingerprint: str
    header: str
    records: int
    digest: str = ""
    """xxh3-128 of the records and of their places: it finds damage, it proves nothing."""
    pages: Pages = ()
    refused: tuple[int, ...] = field(default=())
    """Numbers of records that were not accepted: they are not known."""


class Doubt(Exception):
    """The index cannot tell; the load compares everything."""


@dataclass(slots=True)
class Differences:
    """A batch beside the index. Numbers ascend."""

    unknown: np.ndarray
    """Records whose bytes the index does not hold."""
    gone: np.ndarray
    """Records of the index (numbers of the old batch) that did not come."""
    known: int = 0
    """Records that the index holds, each counted once."""
    repeated: int = 0
    """Further copies of known records."""


class RecordIndex:
    """The index of one feed: opened for a load, replaced after it."""

    def __init__(self, home: Path, erp: str, feed: str, scope_key: str) -> None:
        scope = hashlib.sha256(scope_key.encode()).hexdigest()[:12]
        self._folder = home / "cache" / "records" / erp / f"{feed}-{scope}"

    def binding(self) -> Binding | None:
        """What the index on disk speaks for; None where there is none that can be read."""
        try:
            found = json.loads((self._folder / "index.json").read_text(encoding="utf-8"))
            if found.pop("version") != _VERSION:
                return None
            found["refused"] = tuple(found["refused"])
            found["pages"] = tuple((page, first, n) for page, first, n in found["pages"])
            binding = Binding(**found)
            sizes = [(self._folder / name).stat().st_size for name in _FILES]
            wanted = [binding.records * RECORD.itemsize, Places.size(binding.pages)]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return binding if sizes == wanted else None

    def gather(self, total_bytes: int) -> Gathered:
        """An empty collection for a new batch."""
        self.clear_waiting()
        return Gathered(self._folder / "waiting", ranges_for(total_bytes))

    def placing(self) -> PlacesWriter:
        """Where the places of the new batch's records go."""
        return PlacesWriter(self._folder / "waiting" / "places")

    def placed(self, pages: Pages) -> Places:
        """The places of the new batch, as they were put down."""
        return Places(self._folder / "waiting" / "places", pages)

    def places(self, binding: Binding) -> Places:
        """The places of the batch that the index speaks for."""
        return Places(self._folder / "places", binding.pages)

    def compare(self, batch: Gathered, binding: Binding) -> Differences:
        """Hold a batch against the index, and write what will be its successor.

        Raises Doubt where the index is damaged, or two records share half a digest.
        """
        unknown: list[np.ndarray] = []
        gone: list[np.ndarray] = []
        found = Differences(np.empty(0, np.int64), np.empty(0, np.int64))
        refused = np.array(binding.refused, np.uint32)
        digest = xxhash.xxh3_128()
        with (self._folder / "records").open("rb") as file, self._successor() as target:
            old = _Slices(file, binding.records, batch.ranges)
            for number, new in enumerate(_sorted_ahead(batch)):
                before = old.take(number, digest)
                if len(refused):
                    before = before[~np.isin(before["no"], refused)]
                unique, repeated = _unique(new)
                seen, met = _match(before, unique)
                unknown.append(unique["no"][~met])
                gone.append(before["no"][~seen])
                found.known += int(met.sum())
                if len(repeated):
                    place = np.searchsorted(unique["high"], repeated["high"])
                    of_known = met[place]
                    found.repeated += int(of_known.sum())
                    unknown.append(repeated["no"][~of_known])
                unique.tofile(target)
        _add_file(digest, self._folder / "places")
        if digest.hexdigest() != binding.digest:
            raise Doubt
        found.unknown = np.sort(np.concatenate(unknown)).astype(np.int64)
        found.gone = np.sort(np.concatenate(gone)).astype(np.int64)
        return found

    def prepare(self, batch: Gathered) -> None:
        """Write a batch as successor without comparing. Raises Doubt as `compare` does."""
        with self._successor() as target:
            for new in batch.sorted_ranges():
                unique, _ = _unique(new)
                unique.tofile(target)

    def replace(self, binding: Binding, refused: Iterable[int]) -> None:
        """The batch is applied: its digests are the index from now on.

        `refused`: numbers of records that were not accepted.
        """
        waiting = self._folder / "waiting"
        numbers = tuple(sorted(refused))
        if not all((waiting / name).exists() for name in _FILES) or len(numbers) > _MOST_REFUSED:
            self.forget()
            return
        (self._folder / "index.json").unlink(missing_ok=True)  # never an old name on new digests
        records = (waiting / "records").stat().st_size // RECORD.itemsize
        digest = xxhash.xxh3_128()
        for name in _FILES:
            (waiting / name).replace(self._folder / name)
            _add_file(digest, self._folder / name)
        found = {"records": records, "digest": digest.hexdigest(), "refused": numbers}
        self._write(asdict(binding) | found)
        self.clear_waiting()

    def rebind(self, binding: Binding, *, batch_id: int, run_id: int) -> None:
        """The same bytes were applied again: the index speaks for the newer batch."""
        self._write(asdict(binding) | {"batch_id": batch_id, "run_id": run_id})

    def forget(self) -> None:
        """Drop everything: the next load compares everything."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def clear_waiting(self) -> None:
        """Drop what a load left that did not come to its end."""
        shutil.rmtree(self._folder / "waiting", ignore_errors=True)

    def _successor(self):  # noqa: ANN202  an open file
        waiting = self._folder / "waiting"
        waiting.mkdir(parents=True, exist_ok=True)
        return (waiting / "records").open("wb")

    def _write(self, bound: Mapping[str, object]) -> None:
        text = json.dumps({"version": _VERSION, **bound})
        waiting = self._folder / "index.json.new"
        waiting.write_text(text, encoding="utf-8")
        waiting.replace(self._folder / "index.json")


def _add_file(digest: xxhash.xxh3_128, path: Path) -> None:
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)


def _sorted_ahead(batch: Gathered) -> Iterator[np.ndarray]:
    """The ranges of a batch; the next one is sorted while the caller compares this one."""
    ranges = batch.sorted_ranges()
    with ThreadPoolExecutor(1, "record-index") as pool:
        coming = pool.submit(next, ranges, None)
        while (found := coming.result()) is not None:
            coming = pool.submit(next, ranges, None)
            yield found


class _Slices:
    """The old records range by range, read once from the front to the end."""

    def __init__(self, file, records: int, ranges: int) -> None:  # noqa: ANN001  an open file
        self._file = file
        self._left = records
        self._ranges = ranges
        self._rest = np.empty(0, RECORD)

    def take(self, number: int, digest) -> np.ndarray:  # noqa: ANN001  a running digest
        """The records of one range; ranges are taken in order. Raises Doubt."""
        last = number == self._ranges - 1
        limit = np.uint64(0) if last else np.uint64((number + 1) * (2**64 // self._ranges))
        pieces = [self._rest]
        while self._left and (last or not len(pieces[-1]) or pieces[-1]["high"][-1] < limit):
            raw = self._file.read(min(self._left, FLUSH_RECORDS) * RECORD.itemsize)
            if not raw or len(raw) % RECORD.itemsize:
                raise Doubt
            digest.update(raw)
            pieces.append(np.frombuffer(raw, RECORD))
            self._left -= len(pieces[-1])
        found = np.concatenate(pieces)
        cut = len(found) if last else int(np.searchsorted(found["high"], limit))
        self._rest = found[cut:].copy()
        return found[:cut]


def _unique(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the first record of each digest, further copies). Raises Doubt for half a match."""
    if len(found) < 2:  # noqa: PLR2004  one record repeats nothing
        return found, found[:0]
    high, low = found["high"], found["low"]
    again = np.zeros(len(found), bool)
    again[1:] = high[1:] == high[:-1]
    if not again.any():
        return found, found[:0]
    if (low[1:] != low[:-1])[again[1:]].any():
        raise Doubt
    return found[~again], found[again]


def _match(old: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(which old ones came, which new ones are known). Both unique. Raises Doubt."""
    if len(old) == len(new) and np.array_equal(old["high"], new["high"]):
        if not np.array_equal(old["low"], new["low"]):
            raise Doubt
        every = np.ones(len(old), bool)
        return every, every
    seen, met = np.zeros(len(old), bool), np.zeros(len(new), bool)
    if not len(old) or not len(new):
        return seen, met
    high = np.ascontiguousarray(old["high"])
    place = np.searchsorted(high, np.ascontiguousarray(new["high"]))
    inside = place < len(high)
    place[~inside] = 0
    met = inside & (high[place] == new["high"])
    if (old["low"][place[met]] != new["low"][met]).any():
        raise Doubt
    seen[place[met]] = True
    return seen, met
