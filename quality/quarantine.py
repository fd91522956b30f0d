"""Rejected records: what failed in which record, in the ERP's own text, and how they group.

Turns unreadable values and failed checks into one rejection per root record, with all its reasons
and those of its children: a document is refused as a whole. Costs almost nothing where nothing was
rejected. Must not store anything and must not decide anew what is bad.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from connectors.formats.raw import Broken
from mappings.vocabulary import Part
from quality.checks import joined
from quality.verdicts import Verdict, any_of

_SHAPE_LENGTH = 60


class Unreadable(Protocol):
    """Values of one field that could not be typed: what `transforms` calls a problem."""

    @property
    def field(self) -> str:
        """Our name of the field."""
        ...

    @property
    def code(self) -> str:
        """The finer name of what is wrong."""
        ...

    @property
    def says(self) -> str:
        """What an operator reads."""
        ...

    @property
    def mask(self) -> pa.BooleanArray:
        """True where the value could not be typed; a null is false."""
        ...

    @property
    def raw(self) -> pa.Array:
        """The ERP's text, row by row."""
        ...


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing wrong with one field. `raw` is the ERP's text, or the typed value as text.

    `part` and `record_no` say in which record: the root's own, or a child's.
    """

    field: str
    code: str
    says: str
    raw: str | None
    part: str
    record_no: int


@dataclass(frozen=True, slots=True)
class Stake:
    """Whom a record is about and what money is in it, as far as that could be read."""

    dealer: str | None = None
    amount: Decimal | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """One root record that came in and is not let in, with everything that is wrong with it.

    `key` is None where it cannot be read (that blocks all deletes of the batch). `raw` is the
    record's raw columns as JSON. `children` counts the records of each child part that go with it.
    """

    part: str
    record_no: int
    key: str | None
    page: int
    reasons: tuple[Reason, ...]
    raw: str
    raw_hash: int
    children: dict[str, int] = field(default_factory=dict)
    stake: Stake = Stake()

    def group(self, erp: str, feed: str) -> str:
        """The fingerprint of the first reason: rejections of one cause share it."""
        return fingerprint(erp, feed, self.reasons[0])


@dataclass(frozen=True, slots=True)
class Judged:
    """One part of a chunk after mapping and judging; masks and table have the same rows."""

    part: Part
    table: pa.Table
    problems: Sequence[Unreadable] = ()
    verdicts: Sequence[Verdict] = ()

    def failed(self) -> pa.BooleanArray:
        """Rows with an unreadable value or a failed check; no nulls."""
        masks = [pc.fill_null(problem.mask, fill_value=False) for problem in self.problems]
        masks += [verdict.failed for verdict in self.verdicts]
        return any_of(masks, len(self.table))


def rejected(root: Judged, children: Sequence[Judged] = ()) -> pa.BooleanArray:
    """Root rows that are refused: their own row failed, or that of one of their children."""
    masks = [root.failed()]
    for child in children:
        bad = child.failed()
        if bad.true_count:
            roots = joined(child.table.column("root_no")).filter(bad)
            masks.append(pc.is_in(joined(root.table.column("record_no")), value_set=roots))
    return any_of(masks, len(root.table))


def of_rejected(root: Judged, refused: pa.BooleanArray, child: Judged) -> pa.BooleanArray:
    """Child rows whose root is among the `refused` root rows: they go with it."""
    roots = joined(root.table.column("record_no")).filter(refused)
    return pc.is_in(joined(child.table.column("root_no")), value_set=roots)


def rejections(
    root: Judged,
    children: Sequence[Judged],
    refused: pa.BooleanArray,
    page: int,
    raw_json: Callable[[int], str],
) -> list[Rejection]:
    """One rejection per refused root row, in their order.

    `refused` comes from `rejected`; `raw_json` gives the raw columns of a root row by its index.
    """
    if not refused.true_count:
        return []
    reasons: dict[int, list[Reason]] = defaultdict(list)
    for record_no, reason in _reasons(root, joined(root.table.column("record_no"))):
        reasons[record_no].append(reason)
    counts: dict[int, dict[str, int]] = defaultdict(dict)
    for child in children:
        for record_no, reason in _reasons(child, joined(child.table.column("root_no"))):
            reasons[record_no].append(reason)
        with_root = joined(child.table.column("root_no")).filter(of_rejected(root, refused, child))
        for entry in with_root.value_counts().to_pylist():
            counts[entry["values"]][child.part.name] = entry["counts"]
    rows = pc.indices_nonzero(refused)
    few = root.table.take(rows)
    return [
        Rejection(
            root.part.name,
            number,
            key,
            page,
            tuple(reasons[number]),
            raw_json(row),
            digest,
            counts[number],
            stake,
        )
        for row, number, key, digest, stake in zip(
            rows.to_pylist(),
            few.column("record_no").to_pylist(),
            keys(root.part, few).to_pylist(),
            few.column("raw_hash").to_pylist(),
            _stakes(root.part, few),
            strict=True,
        )
    ]


def stake_fields(part: Part) -> tuple[str | None, str | None, str | None]:
    """The part's fields for a `Stake`: dealer (else account), amount, currency; None: has none."""
    names = {one.name for one in part.fields}
    if part.name == "dealer":
        dealer: str | None = "key"
    else:
        dealer = next((name for name in ("dealer_key", "account_key") if name in names), None)
    money = {one.name for one in part.fields if one.type == "money"}
    amount = part.amount if part.amount in money else None
    return dealer, amount, "currency" if amount and "currency" in names else None


def _stakes(part: Part, table: pa.Table) -> list[Stake]:
    """One a row. A price or a quantity is no money at stake; an amount is."""
    columns = [
        [None] * len(table) if name is None else table.column(name).to_pylist()
        for name in stake_fields(part)
    ]
    return [Stake(*row) for row in zip(*columns, strict=True)]


def broken(record: Broken) -> Rejection:
    """A record whose structure could not be read: no key, its raw text as it came."""
    reason = Reason("", record.code, record.says, record.raw, record.part, record.record_no)
    return Rejection(
        record.part, record.record_no, None, record.page, (reason,), record.raw, _signed(record.raw)
    )


def keys(part: Part, table: pa.Table) -> pa.StringArray:
    """The key of each row as one text; null where a column of the key is null.

    Several columns are joined by `|`; a `|` or backslash inside a value gets a backslash before
    it, so that different keys never give the same text.
    """
    texts = [joined(table.column(name)).cast(pa.string()) for name in part.key]
    if len(texts) == 1:
        return texts[0]
    escaped = [
        pc.replace_substring(pc.replace_substring(text, "\\", "\\\\"), "|", "\\|") for text in texts
    ]
    return pc.binary_join_element_wise(*escaped, "|", null_handling="emit_null")


def fingerprint(erp: str, feed: str, reason: Reason) -> str:
    """What makes two rejections the same trouble: where, what, and the shape of the value."""
    what = (erp, feed, reason.part, reason.field, reason.code, shape(reason.raw))
    return xxhash.xxh3_128_hexdigest("\x1f".join(what).encode())


def shape(raw: str | None) -> str:
    """A value without its content: digits become 9, letters a; `1.234,50` is `9.999,99`."""
    if raw is None:
        return "null"
    return "".join("9" if c.isdecimal() else "a" if c.isalpha() else c for c in raw[:_SHAPE_LENGTH])


def _reasons(judged: Judged, owners: pa.Array) -> list[tuple[int, Reason]]:
    """(record_no of the root, reason) for everything wrong in one part, unreadable values first."""
    found: list[tuple[int, Reason]] = []
    unreadable: dict[str, pa.BooleanArray] = {}
    name = judged.part.name
    numbers = joined(judged.table.column("record_no"))
    for problem in judged.problems:
        mask = pc.fill_null(problem.mask, fill_value=False)
        known = unreadable.get(problem.field)
        unreadable[problem.field] = mask if known is None else pc.or_(known, mask)
        found += _gather(
            name, problem.field, problem.code, problem.says, mask, problem.raw, numbers, owners
        )
    for verdict in judged.verdicts:
        if not verdict.any_failed:
            continue
        mask = verdict.failed
        for read in verdict.reads & unreadable.keys():
            mask = pc.and_not(mask, unreadable[read])
        raw = _as_text(joined(judged.table.column(verdict.field)))
        found += _gather(
            name, verdict.field, verdict.check_id, verdict.says, mask, raw, numbers, owners
        )
    return found


def _gather(
    part: str,
    field_name: str,
    code: str,
    says: str,
    mask: pa.BooleanArray,
    raw: pa.Array,
    numbers: pa.Array,
    owners: pa.Array,
) -> list[tuple[int, Reason]]:
    at = pc.indices_nonzero(mask)
    if not len(at):
        return []
    columns = (
        owners.take(at).to_pylist(),
        numbers.take(at).to_pylist(),
        joined(raw).take(at).to_pylist(),
    )
    return [
        (owner, Reason(field_name, code, says, text, part, number))
        for owner, number, text in zip(*columns, strict=True)
    ]


def _as_text(column: pa.Array) -> pa.Array:
    """A typed column as text, for people; lists are joined by a comma."""
    if pa.types.is_list(column.type):
        return pc.binary_join(column, ", ")
    return column.cast(pa.string())


def _signed(raw: str) -> int:
    """xxh3 as PostgreSQL's bigint holds it."""
    return int.from_bytes(xxhash.xxh3_64_digest(raw.encode()), "big", signed=True)
