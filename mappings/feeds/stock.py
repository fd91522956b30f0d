"""Feed 4: what lies in which warehouse, and what is on its way. Declares; must not do anything."""

from decimal import Decimal

from mappings.vocabulary import Feed, Field, Part, Reference, RowCheck

WAREHOUSE = Part(
    name="warehouse",
    meaning="A place that ships.",
    key=("key",),
    fields=(
        Field("key", "text", "R", "the ERP's warehouse key"),
        Field("name", "text", "R", "name"),
        Field("country", "text", "-", "ISO 3166-1 alpha-2"),
        Field("region", "text", "-", "region"),
        Field("time_zone", "text", "-", "IANA name"),
        Field("sort", "int", "-", "order"),
        Field("visible", "bool", "-", "shown to dealers"),
    ),
)

STOCK = Part(
    name="stock",
    meaning="Stock of a product in a warehouse, in its base_uom.",
    key=("product_key", "warehouse_key"),
    fields=(
        Field("product_key", "text", "R", "the product"),
        Field("warehouse_key", "text", "R", "the warehouse"),
        Field("on_hand", "qty", "R", "may be negative: shown as 0, counted as an event"),
        Field("reserved", "qty", "-", "allocated by the ERP"),
        Field("available", "qty", "-", "the ERP's own figure beats ours"),
        Field("low_level", "qty", "-", "yellow below"),
        Field("changed_at", "instant", "-", "last movement"),
    ),
    checks=(
        RowCheck(
            "reserved_negative",
            "between",
            "reserved",
            "reserved must not be negative",
            low=Decimal(0),
        ),
    ),
    references=(Reference("product_key", "product"), Reference("warehouse_key", "warehouse")),
    amount="on_hand",
)

STOCK_EXPECTED = Part(
    name="stock_expected",
    meaning="Goods on their way; a past date stays, marked late.",
    key=("key",),
    fields=(
        Field("key", "text", "R", "the ERP's key"),
        Field("product_key", "text", "R", "the product"),
        Field("warehouse_key", "text", "R", "where it is expected"),
        Field("qty", "qty", "R", "in base_uom"),
        Field("expected_on", "date", "R", "day of arrival"),
        Field(
            "kind",
            "code",
            "R",
            "where it comes from",
            codes=("transit", "purchase", "production"),
        ),
        Field("confirmed", "bool", "-", "confirmed by the supplier"),
    ),
    checks=(
        RowCheck("qty_not_positive", "above", "qty", "qty must be greater than 0", low=Decimal(0)),
    ),
    references=(Reference("product_key", "product"), Reference("warehouse_key", "warehouse")),
)

FEED = Feed(
    name="stock",
    meaning="Stock per warehouse and expected arrivals.",
    parts=(WAREHOUSE, STOCK, STOCK_EXPECTED),
    main="stock",
    schedule="5 * * * *",
    promise_minutes=75,
    requires=("products",),
)
