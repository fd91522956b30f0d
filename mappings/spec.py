"""The whole mapping language as models: what `erps/<erp>.yaml` may say.

The JSON schema for editors is generated from here. `mappings/reading.py` turns a file into an
`ErpMapping` or refuses it with file, line, field and closest word. This module must not read
files, and must not know Arrow, a database or Airflow.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from mappings.pricing import Pricing
from mappings.sources import Source
from mappings.sources.base import Strict

Absent = Literal["absent"]


class FieldMapping(Strict):
    """Ours: theirs. Exactly one of `from` and `const`; a field without source is `absent`."""

    from_: str | tuple[str, ...] | None = Field(
        None, alias="from", description="one path in the record, or several for one step"
    )
    const: str | None = Field(None, description="the same value for every record, as text")
    through: tuple[str, ...] = Field(
        (), description="named steps of mappings/steps.py, left to right"
    )
    lookup: str | None = Field(None, description="name of a table in `lookups`: their code to ours")

    @property
    def paths(self) -> tuple[str, ...]:
        """The source paths this field reads, in order; empty for a constant."""
        if self.from_ is None:
            return ()
        return (self.from_,) if isinstance(self.from_, str) else self.from_


class PartMapping(Strict):
    """One part: inside the root's record (`records`), or with a `source` of its own."""

    source: Source | None = None
    records: str | None = Field(
        None, description="child inside its root's record: path from there to the repeated child"
    )
    parent: FieldMapping | None = Field(
        None, description="child with its own source: how it names its root's key"
    )
    fields: dict[str, FieldMapping | Absent]
    deleted: str | None = Field(
        None, description="path whose text, when not empty, 0 or false, marks a tombstone"
    )
    version: FieldMapping | None = Field(
        None,
        description="instant of the record's last change; the latest of one key wins in a delta",
    )


class Scope(Strict):
    """What a snapshot speaks for: named values of a field, or a window. Without it: everything."""

    field: str
    values: tuple[str, ...] = ()
    days: int | None = Field(
        None, description="a window: the field's date is at most this many days ago"
    )


class GuardsOverride(Strict):
    """Any of the feed's guards, overridden; shares between 0 and 1."""

    rejected_share: Decimal | None = None
    rejected_least: int | None = None
    fall_share: Decimal | None = None
    changed_share: Decimal | None = None
    changed_by: Decimal | None = None
    suspect_share: Decimal | None = None
    suspect_least: int | None = None
    empty: bool | None = None


class FeedMapping(Strict):
    """How one ERP supplies one feed. `source` and `fields` speak about the feed's main part."""

    mode: Literal["snapshot", "delta"]
    schedule: str | None = Field(
        None, description="cron in the ERP's time zone; default: the feed's"
    )
    source: Source
    fields: dict[str, FieldMapping | Absent]
    deleted: str | None = None
    version: FieldMapping | None = None
    parts: dict[str, PartMapping | Absent] = Field(default_factory=dict)
    scope: Scope | None = None
    refers: dict[str, str] = Field(
        default_factory=dict, description="part name to the ERP whose keys references to it use"
    )
    guards: GuardsOverride = Field(default_factory=GuardsOverride)
    overlap_minutes: int = Field(
        10, ge=0, description="how far behind its cursor a delta starts again"
    )
    defer_days: int = Field(7, ge=0, description="how long a record waits for its missing parent")


class ErpMapping(Strict):
    """Everything Waybill knows about one ERP, but for where it is and how to sign in."""

    erp: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    title: str = Field("", description="what operators call it")
    owner: str = Field("integration", description="who is asked when it fails")
    connection: str
    time_zone: str = Field(description="IANA name; dates without a zone are this one's")
    catalogue: Literal["open", "closed"] = Field(
        description="what holds for a product without a grant"
    )
    windows: tuple[str, ...] = Field(
        (), description="hours without service, local, e.g. 02:00-02:30"
    )
    refers: dict[str, str] = Field(default_factory=dict, description="default for all feeds")
    lookups: dict[str, dict[str, str]] = Field(default_factory=dict)
    pricing: Pricing = Field(
        Pricing(), description="how its conditions make a price: policy, breaks, units, rounding"
    )
    feeds: dict[str, FeedMapping]
