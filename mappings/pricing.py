"""The mapping's word `pricing`: how one ERP chooses between its conditions, and how it rounds.

Fixed when an ERP goes live, by holding real invoices against it (`waybill parity`); never per
dealer. Must not choose anything itself: that is `portal_db.pricing`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from mappings.feeds.prices import LEVELS
from mappings.sources.base import Strict

Policy = Literal["default", "first_match", "lowest"]


class Pricing(Strict):
    """Every word has the default of an ERP that says nothing."""

    policy: Policy = Field(
        default="default",
        description="default: quote, customer and contract win by being there, else the lowest; "
        "first_match: the first level that has one; lowest: the lowest of all",
    )
    levels: tuple[str, ...] = Field(
        default=LEVELS, description="the access sequence, first one first"
    )
    promo_competes: bool = Field(
        default=False, description="a promotion may undercut a quote, customer or contract price"
    )
    scale_quantity: Literal["line", "product"] = Field(
        default="product",
        description="a break is reached by one line, or by all lines of the product",
    )
    uom_rule: Literal["strict_pack", "convert_all"] = Field(
        default="strict_pack",
        description="a price for a pack is for that pack alone, or is converted",
    )
    rounding: Literal["half_up", "half_even"] = Field(
        default="half_up", description="of a line's net, to the currency's minor units"
    )
    unit_round_places: int | None = Field(
        default=None, ge=0, le=6, description="decimals to which the ERP rounds a unit price first"
    )

    @field_validator("levels")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if sorted(value) != sorted(LEVELS):
            message = f"name each of {', '.join(LEVELS)} once"
            raise ValueError(message)
        return value

    @property
    def needs_every_level(self) -> bool:
        """True where an own price does not end the search."""
        return self.policy == "lowest" or self.promo_competes or self.levels != LEVELS
