"""Records of a data set as the XML items of one operation's answer, whole columns at a time.

`Answers` renders an operation when it is first asked for and keeps it until the data set changes.
Must not know HTTP, paging or security.
"""

import re
import threading
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sandbox.dataset import Dataset
from sandbox.dataset_shape import TIME_ZONES
from sandbox.soap.dialect import CODES, OPERATIONS, Record
from sandbox.soap.forms import NIL, days_between, written

RENAMED = {"KUNNR": "KUNDE", "MATNR": "MATERIAL", "VBELN": "BELEG"}
"""What the scenario `schema_changed` renames."""
AMOUNTS = "KBETR|LABST|SALDO|BRTWR|NETWR|WRBTR|GRRAB|MWSTS|MENGE"
DATES = "DATAB|FKDAT|ERDAT|BUDAT|ERSDA|EINDT|LBDAT|WADAT|DOKDT|AELFD"


class Answers:
    """The items of every operation for one data set. Thread-safe."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self._zone = TIME_ZONES.get(dataset.erps[0], "UTC") if dataset.erps else "UTC"
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[list[str], list[str]]] = {}

    def items(self, operation: str, since: str | None) -> list[str]:
        """`<item>…</item>` of every record; with `since` (14 digits) only changes and deletions."""
        with self._lock:
            if operation not in self._kept:
                self._kept[operation] = self._render(OPERATIONS[operation][1])
            items, stamps = self._kept[operation]
        record = OPERATIONS[operation][1]
        if not record.delta or not since:
            return items
        changed = [item for item, stamp in zip(items, stamps, strict=True) if stamp >= since]
        return changed + self._deletions(record, since)

    def _render(self, record: Record) -> tuple[list[str], list[str]]:
        rows = self.dataset[record.table]
        columns = [self._element(rows, line) for line in record.elements.split()]
        keys = rows["key"] if record.inside else None
        for element, (table, parent, lines) in record.inside.items():
            children = self._lists(self.dataset[table], keys, parent, lines)
            columns.append(_joined([f"<{element}>", children, f"</{element}>"]))
        items = _joined(["<item>", *columns, "</item>"]).to_pylist() if rows.num_rows else []
        stamps = written(rows["modified_at"], "stamp", "", self._zone, CODES).to_pylist()
        return items, stamps

    def _lists(self, rows: pa.Table, keys: pa.ChunkedArray, parent: str, lines: str) -> pa.Array:
        """The child items of each key, joined, in their order."""
        items = _joined(
            ["<item>", *(self._element(rows, line) for line in lines.split()), "</item>"]
        )
        place = pc.index_in(rows[parent], keys.combine_chunks()).to_numpy(zero_copy_only=False)
        order = np.argsort(place, kind="stable")
        counts = (
            np.bincount(place.astype(np.int64), minlength=len(keys))
            if len(place)
            else np.zeros(len(keys), np.int64)
        )
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        lists = pa.ListArray.from_arrays(
            pa.array(offsets, pa.int32()), pc.take(items, pa.array(order))
        )
        return pc.binary_join(lists, "")

    def _element(self, rows: pa.Table, line: str) -> pa.Array:
        name, _, rest = line.partition("=")
        column, _, form = rest.partition(":")
        form, _, argument = form.partition(":")
        if form == "days":
            values = days_between(rows[argument], rows[column])
        else:
            values = written(rows[column], form or "text", argument, self._zone, CODES)
        if form == "list":
            return _repeated(name, values)
        wrapped = pc.binary_join_element_wise(f"<{name}>", _escaped(values), f"</{name}>", "")
        if form == "nil":
            wrapped = pc.if_else(pc.equal(values, NIL), f'<{name} xsi:nil="true"/>', wrapped)
        return pc.fill_null(wrapped, "")

    def _deletions(self, record: Record, since: str) -> list[str]:
        gone = self.dataset["deleted"]
        gone = gone.filter(pc.equal(gone["table"], record.table))
        key = record.elements.split()[0].partition("=")[0]
        return [
            f"<item><{key}>{row['key']}</{key}><LOEVM>X</LOEVM><AEDTM>{stamp}</AEDTM></item>"
            for row in gone.to_pylist()
            if (stamp := _stamp(row["modified_at"])) >= since
        ]


def spoiled(items: list[str], how: str, operation: str) -> list[str]:
    """The items as the scenarios `bad_rows`, `schema_changed`, `new_element` show them."""
    if how == "new_element":
        return [item.replace("</item>", "<ZZNEU>1</ZZNEU></item>") for item in items]
    if how == "schema_changed":
        for old, new in RENAMED.items():
            items = [
                i.replace(f"<{old}>", f"<{new}>").replace(f"</{old}>", f"</{new}>") for i in items
            ]
        return items
    key = OPERATIONS[operation][1].elements.split()[0].partition("=")[0]
    wrong = ((AMOUNTS, "12x50"), (DATES, "20260231"), (key, ""))
    spoilt = list(items)
    for index, (element, value) in enumerate(wrong[: len(items)]):
        one = re.compile(rf"<({element})>[^<]*</({element})>")
        spoilt[index] = one.sub(rf"<\1>{value}</\1>", spoilt[index], count=1)
    return spoilt


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%d%H%M%S")


def _joined(columns: list[pa.Array | str]) -> pa.Array:
    return pc.binary_join_element_wise(*columns, "")


def _escaped(values: pa.Array) -> pa.Array:
    for char, reference in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\r", "&#13;")):
        values = pc.replace_substring(values, char, reference)
    return values


def _repeated(name: str, values: pa.Array) -> pa.Array:
    """A list as repeated elements; an empty list is one empty element."""
    flat = _escaped(values.flatten())
    lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), flat)
    joined = pc.binary_join(lists, f"</{name}><{name}>")
    wrapped = pc.binary_join_element_wise(f"<{name}>", joined, f"</{name}>", "")
    return pc.if_else(pc.is_valid(values), wrapped, "")
