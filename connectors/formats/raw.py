"""What every format reader gives: columns of text with their place in the batch.

Text stays the ERP's text: no trimming, no number, no date is understood here. A record whose
structure cannot be read is `Broken`, never skipped. A page that contradicts itself raises.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

import pyarrow as pa

from mappings.sources import Source

LIST_SEPARATOR = "\x1f"
"""Joins the values of a path that ends in `[]` (all matches instead of the first)."""


@dataclass(frozen=True, slots=True)
class ChildPlan:
    """A child part read inside its root's records. `records` is a path relative to the root."""

    part: str
    records: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """What to take out of the pages of one source: the part, its paths, its nested children."""

    part: str
    source: Source
    paths: tuple[str, ...]
    children: tuple[ChildPlan, ...] = ()


@dataclass(frozen=True, slots=True)
class RawChunk:
    """Some records of one part, in the order in which they came.

    `columns`: one string column per path of the plan (null = absent or nil, '' = there but empty).
    `record_no`: int64, numbers the part's records within the batch, from 1, without a gap over
    chunks, pages and broken records. `root_no`: int64, for children the record_no of their root.
    """

    part: str
    page: int
    columns: pa.Table
    record_no: pa.Int64Array
    root_no: pa.Int64Array | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """A record whose structure could not be read (wrong number of columns, undecodable bytes)."""

    part: str
    page: int
    record_no: int
    code: str
    says: str
    raw: str


@dataclass(frozen=True, slots=True)
class Declared:
    """What a page says about itself: a trailer's count and total. The loader compares."""

    part: str
    page: int
    count: int | None = None
    total: Decimal | None = None
    total_of: str | None = None


@dataclass(frozen=True, slots=True)
class Remark:
    """Something odd that was read all the same, for the run's record: no record is lost by it.

    `code` names the kind (`extra_column`, `missing_terminator`); of one kind the first is told and
    the others are counted.
    """

    part: str
    page: int
    code: str
    says: str


@dataclass(frozen=True, slots=True)
class Interchange:
    """An EDIFACT interchange begins; what follows up to the next one is from it.

    `control` is sender, recipient and control reference: a partner uses each once.
    """

    part: str
    page: int
    control: str
    sha256: str


Item: TypeAlias = "RawChunk | Broken | Declared | Remark | Interchange"
"""Whatever a reader may give."""
