"""People's corrections: new texts for a record as it came, laid over it when it is read.

The record's own bytes and its hash stay what they were. A correction counts for exactly the record
it was made for (part, key, hash of the raw columns) and only under the fingerprint it was made
under: other bytes, or another mapping, are judged as they are. Of a child it counts in the batch it
came in, since equal lines of two documents are two records. Must not judge.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc

from connectors.formats.raw import RawChunk
from mappings.vocabulary import Part
from portal_db.ledger import Batch
from quality.checks import joined
from quality.quarantine import keys
from transforms.hashing import raw_hash
from transforms.mapping import Mapped, Mapper

Texts = Mapping[str, str | None]
"""Path → text, None where the ERP sent none."""


@dataclass(frozen=True, slots=True)
class Correction:
    """New texts for one record. `key` is None for a child, which is known by its place."""

    key: str | None
    record_no: int
    batch_id: int
    changes: Texts


class Corrections:
    """What people corrected in the records of one feed, under one fingerprint."""

    def __init__(self, found: Mapping[tuple[str, int], list[Correction]], batch_id: int) -> None:
        self._found = found
        self._batch_id = batch_id
        self._hashes: dict[str, pa.Int64Array] = {}
        for part in {part for part, _ in found}:
            hashes = sorted(number for name, number in found if name == part)
            self._hashes[part] = pa.array(hashes, pa.int64())

    @classmethod
    def of(
        cls, connection: psycopg.Connection[Any], batch: Batch, fingerprint: str
    ) -> Corrections | None:
        """Those that count for a batch; None where there are none."""
        rows = connection.execute(
            "SELECT DISTINCT ON (part, raw_hash, key, CASE WHEN key IS NULL THEN record_no END) "
            "part, raw_hash, key, record_no, batch_id, changes FROM sync.correction "
            "WHERE erp = %s AND feed = %s AND fingerprint = %s "
            "AND (key IS NOT NULL OR batch_id = %s) "
            "ORDER BY part, raw_hash, key, CASE WHEN key IS NULL THEN record_no END, id DESC",
            (batch.erp, batch.feed, fingerprint, batch.id),
        ).fetchall()
        found: dict[tuple[str, int], list[Correction]] = {}
        for part, digest, key, record_no, batch_id, changes in rows:
            one = Correction(key, int(record_no), int(batch_id), changes)
            found.setdefault((str(part), int(digest)), []).append(one)
        return cls(found, batch.id) if found else None

    def laid_over(self, part: Part, mapper: Mapper, chunk: RawChunk, mapped: Mapped) -> Mapped:
        """The chunk mapped again with the corrections that it has; `mapped` where it has none.

        The hash of each row stays that of what the ERP sent.
        """
        known = self._hashes.get(part.name)
        if known is None:
            return mapped
        hashes = joined(mapped.table.column("raw_hash"))
        rows = pc.indices_nonzero(pc.is_in(hashes, value_set=known)).to_pylist()
        if not rows:
            return mapped
        row_keys = keys(part, mapped.table.take(rows)).to_pylist()
        changes: dict[int, Texts] = {}
        for row, key in zip(rows, row_keys, strict=True):
            number = chunk.record_no[row].as_py()
            for one in self._found[part.name, hashes[row].as_py()]:
                here = one.record_no == number and one.batch_id == self._batch_id
                if here or (one.key is not None and one.key == key):
                    changes[row] = one.changes
        if not changes:
            return mapped
        again = mapper.map(with_texts(chunk, changes))
        table = again.table.set_column(
            again.table.schema.get_field_index("raw_hash"), "raw_hash", hashes
        )
        return Mapped(again.part, table, again.problems)


def with_texts(chunk: RawChunk, changes: Mapping[int, Texts]) -> RawChunk:
    """The chunk with other texts in some rows (counted from 0); paths it has not are added."""
    columns = chunk.columns
    for path in sorted({path for texts in changes.values() for path in texts}):
        index = columns.schema.get_field_index(path)
        old: list[str | None] = (
            [None] * len(columns) if index < 0 else columns.column(index).to_pylist()
        )
        for row, texts in changes.items():
            if path in texts:
                old[row] = texts[path]
        new = pa.array(old, pa.string())
        columns = (
            columns.append_column(path, new) if index < 0 else columns.set_column(index, path, new)
        )
    return replace(chunk, columns=columns)


def texts_of(raw: str) -> dict[str, str | None]:
    """An item's raw record as path → text; empty where its structure could not be read."""
    try:
        found = json.loads(raw)
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(path): None if text is None else str(text) for path, text in found.items()}


def chunk_of(part: str, records: list[Texts]) -> RawChunk:
    """Records as a chunk of their own, numbered from 1."""
    paths = sorted({path for one in records for path in one})
    columns = pa.table(
        {path: pa.array([one.get(path) for one in records], pa.string()) for path in paths}
    )
    return RawChunk(part, 0, columns, pa.array(range(1, len(records) + 1), pa.int64()))


def hash_of(texts: Texts) -> int:
    """The hash that a record with these texts has when it is read."""
    columns = [pa.array([texts[path]], pa.string()) for path in sorted(texts)]
    return int(raw_hash(columns, 1)[0].as_py())
