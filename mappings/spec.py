"""The whole mapping language as models: what `erps/<erp>.yaml` may say.

The JSON schema for editors is generated from here. `mappings/reading.py` turns a file into an
`ErpMapping` or refuses it with file, line, field and closest word. This module must not read
files, and must not know Arrow, a database or Airflow.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from mappings.corrections import ColumnCorrection
from mappings.credit_rules import CreditRules
from mappings.fields import FieldMapping
from mappings.live import Live
from mappings.outbound import Outbound
from mappings.pricing import Pricing
from mappings.sources import Source
from mappings.sources.base import Strict
from mappings.webhooks import Webhooks

__all__ = [
    "Absent",
    "ErpMapping",
    "FeedMapping",
    "FieldMapping",
    "GuardsOverride",
    "PartMapping",
    "Scope",
]

Absent = Literal["absent"]
Miss = Literal["null_stamps", "silent_changes", "deletions", "late_commits"]
"""What a cursor can miss; `mappings/trust.py` says what follows from each."""


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
    misses: tuple[Miss, ...] = Field(
        (), description="what this delta's cursor does not see; a sweep makes up for it"
    )
    sweep: str | None = Field(
        None,
        description="cron of the compensating sweep, or never; default: as often as `misses` needs",
    )
    overlap_minutes: int | None = Field(
        None,
        ge=0,
        description="how far behind its cursor a delta starts again; default 10, and 60 where "
        "`misses` names late_commits",
    )
    keep: int | None = Field(
        None, ge=1, description="days for which its bytes are kept as evidence; default 400"
    )
    corrections: tuple[ColumnCorrection, ...] = Field(
        (), description="texts of the ERP that are put right every time, each until a day"
    )
    defer_days: int = Field(7, ge=0, description="how long a record waits for its missing parent")


class Limits(Strict):
    """What one ERP account allows, all feeds and both lanes together. A word left out: no limit."""

    requests_per_minute: int | None = Field(
        default=None, ge=1, description="requests in any minute, wherever it begins"
    )
    concurrent: int | None = Field(default=None, ge=1, description="requests under way at once")
    reserve: int = Field(
        default=0,
        ge=0,
        description="of `concurrent`: kept for orders and live questions, not for feeds",
    )
    errors_per_hour: int | None = Field(
        default=None,
        ge=1,
        description="refused requests (4xx) per endpoint and hour before no more are sent",
    )


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
    limits: Limits = Field(default_factory=Limits)
    refers: dict[str, str] = Field(default_factory=dict, description="default for all feeds")
    lookups: dict[str, dict[str, str]] = Field(default_factory=dict)
    pricing: Pricing = Field(
        Pricing(), description="how its conditions make a price: policy, breaks, units, rounding"
    )
    feeds: dict[str, FeedMapping]
    live: Live = Field(default_factory=Live, description="what it can be asked at once")
    credit: CreditRules = Field(
        default=CreditRules(), description="when an order is let through on credit"
    )
    webhooks: Webhooks | None = Field(None, description="how it calls us")
    orders: Outbound | None = Field(None, description="how it takes orders; without it: none")
    order_cancels: Outbound | None = None
    customer_updates: Outbound | None = None
    requests: Outbound | None = None

    def outbound(self, kind: str) -> Outbound | None:
        """How it takes a kind of message (`order`, `order_cancel` …); None where it does not."""
        found = {
            "order": self.orders,
            "order_cancel": self.order_cancels,
            "customer_update": self.customer_updates,
            "request": self.requests,
        }
        return found.get(kind)
