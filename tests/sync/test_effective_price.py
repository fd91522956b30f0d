"""REST-22: condition records of an S/4 kind, over the wire to the effective price of each day."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from mappings.pricing import Pricing
from portal_db.resolver import Ask, Market, resolve_for
from tests.portal_db.price_world import dealer, insert
from tests.sync.far_side import page_feed
from tests.sync.world import World

Record = dict[str, object]


def feed() -> dict[str, Any]:
    """Prices as S/4 names them: a flag for deleted, inclusive ends, a row per scale."""
    mapped = page_feed(
        "prices",
        source={"cursor": "LastChangeDateTime", "entity": "A_SlsPrcgCndnRecdScale"},
        mode="delta",
        deleted="ConditionIsDeleted",
        version={"from": "LastChangeDateTime"},
    )
    theirs: dict[str, object] = {
        "header_key": {"from": "ConditionRecord"},
        "level": {"const": "list"},
        "dealer_scope": {"const": "all"},
        "product_scope": {"const": "product"},
        "product_key": {"from": "Material"},
        "currency": {"from": "ConditionRateValueUnit"},
        "uom": {"from": "ConditionQuantityUnit"},
        "per": {"from": "ConditionQuantity"},
        "min_qty": {"from": "ConditionScaleQuantity"},
        "unit_price": {"from": "ConditionRateValue"},
        "valid_from": {"from": "ConditionValidityStartDate", "through": ["iso_date"]},
        "valid_to": {
            "from": "ConditionValidityEndDate",
            "through": ["iso_date", "date_end_inclusive"],
        },
    }
    mapped["fields"] = {name: theirs.get(name, "absent") for name in mapped["fields"]}
    return mapped


def scale(
    record: str, least: int, rate: str, since: str, until: str, changed: int, **more: object
) -> Record:
    """One scale of one condition record."""
    return {
        "ConditionRecord": record,
        "Material": "M1",
        "ConditionRateValueUnit": "EUR",
        "ConditionQuantityUnit": "PC",
        "ConditionQuantity": 1,
        "ConditionScaleQuantity": least,
        "ConditionRateValue": rate,
        "ConditionValidityStartDate": since,
        "ConditionValidityEndDate": until,
        "LastChangeDateTime": f"2026-01-10T10:{changed:02}:00Z",
        "ConditionIsDeleted": False,
        **more,
    }


OPEN = "9999-12-31"
FIRST = [
    scale("0001", 1, "10.00", "2026-01-01", OPEN, 1),
    scale("0001", 10, "9.00", "2026-01-01", OPEN, 1),
    scale("0002", 1, "11.00", "2026-03-01", "2026-05-31", 2),  # overlaps 0001, which stays open
    scale("0003", 1, "7.00", "2026-04-01", "2026-04-30", 3),
    scale("0004", 1, "12.00", "2027-01-01", OPEN, 4),  # to come
    scale("0004", 20, "11.50", "2027-01-01", OPEN, 4),
]
REMOVED = [scale("0003", 1, "7.00", "2026-04-01", "2026-04-30", 9, ConditionIsDeleted=True)]


def reference(records: list[Record], day: date, qty: int) -> Decimal | None:
    """The effective price by the book: of what holds, the latest begun; in it the last scale."""
    holding = [
        one
        for one in records
        if not one["ConditionIsDeleted"]
        and str(one["ConditionValidityStartDate"]) <= day.isoformat()
        and day.isoformat() <= str(one["ConditionValidityEndDate"])
        and int(str(one["ConditionScaleQuantity"])) <= qty
    ]
    if not holding:
        return None
    latest = max(str(one["ConditionValidityStartDate"]) for one in holding)
    scales = [one for one in holding if one["ConditionValidityStartDate"] == latest]
    last = max(scales, key=lambda one: int(str(one["ConditionScaleQuantity"])))
    return Decimal(str(last["ConditionRateValue"]))


def compare(world: World, records: list[Record]) -> None:
    """Every first, last and middle day of every record, and the days beside them."""
    days = {date(2025, 12, 31), date(2026, 4, 15), date(2028, 2, 29)}
    for one in FIRST:
        for name in ("ConditionValidityStartDate", "ConditionValidityEndDate"):
            if one[name] != OPEN:
                edge = date.fromisoformat(str(one[name]))
                days |= {edge - timedelta(days=1), edge, edge + timedelta(days=1)}
    for day in sorted(days):
        quantities = (1, 9, 10, 25)
        market = Market("forge", "forge", "D1", "forge", "EUR", day, Pricing(scale_quantity="line"))
        answers = resolve_for(world.admin, market, [Ask("M1", Decimal(qty)) for qty in quantities])
        for qty, found in zip(quantities, answers, strict=True):
            expected = reference(records, day, qty)
            told = None if found.unit is None else Decimal(found.unit.numerator) / Decimal(
                found.unit.denominator
            )  # fmt: skip
            assert told == expected, (day, qty)


def test_REST_22_effective_price_of_any_day_equals_the_reference_table(world: World) -> None:
    """Deleted, overlapping, scaled and future-dated conditions, pulled, loaded and resolved."""
    insert(world.admin, "product", erp="forge", key="M1", name="M1", status="active", base_uom="PC")
    dealer(world.admin, "D1", erp="forge")
    world.map("forge", {"prices": feed()})
    world.forge.put("A_SlsPrcgCndnRecdScale", FIRST)
    loaded = world.run("forge", "prices")
    assert (loaded.counts.read, loaded.counts.inserted) == (6, 6)
    compare(world, FIRST)
    world.forge.put("A_SlsPrcgCndnRecdScale", REMOVED)
    removed = world.run("forge", "prices")
    assert removed.counts.deleted == 1
    compare(world, [one for one in FIRST if one["ConditionRecord"] != "0003"])
