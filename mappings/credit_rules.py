"""The rules by which an order is let through on credit, as data: per ERP, with safe defaults.

Declares; `quality/credit.py` decides. Must not decide anything itself.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field

from mappings.sources.base import Strict

Action = Literal["hard_block", "warn", "route", "partial", "payment_required"]


class CreditRules(Strict):
    """What happens above the limit, and when age or unpaid invoices decide."""

    action: Action = Field(default="route", description="what an order above the limit ends in")
    soft_pct: Decimal = Field(
        default=Decimal(90),
        ge=0,
        description="above this share of the limit (percent) a notice is shown",
    )
    hard_pct: Decimal | None = Field(
        default=None,
        ge=100,
        description="above this share of the limit the order is blocked, whatever",
    )
    overdue_warn_days: int = Field(
        default=15, ge=1, description="days past due: the buyer is warned"
    )
    overdue_route_days: int = Field(default=30, ge=1, description="days past due: finance decides")
    overdue_block_days: int = Field(default=45, ge=1, description="days past due: no new order")
    overdue_min: Decimal = Field(
        default=Decimal("50.00"), ge=0, description="less overdue than this in all is nothing"
    )
    cache_minutes: int = Field(
        default=15,
        ge=0,
        description="how old the synced figures may be where the ERP does not answer",
    )
    margin_pct: Decimal = Field(
        default=Decimal(5),
        ge=0,
        description="share of the limit kept free while the figures are synced",
    )
    min_order: Decimal = Field(
        default=Decimal(0),
        ge=0,
        description="the part of an order that fits must come to this at least",
    )
