"""Feed 2: what may be bought, by whom, and how it is described. Declares; must not do anything."""

from decimal import Decimal

from mappings.feeds.customers import GROUP_KINDS
from mappings.vocabulary import Feed, Field, Part, Reference, RowCheck, When

VALIDITY = (
    RowCheck(
        "validity_reversed",
        "before",
        "valid_from",
        "valid_from must lie before valid_to",
        other="valid_to",
    ),
)

PRODUCT = Part(
    name="product",
    meaning="A thing that can be ordered; key = the SKU as ordered, leading zeros kept.",
    key=("key",),
    fields=(
        Field("key", "text", "R", "SKU as ordered"),
        Field("name", "text", "R", "name in the default language"),
        Field("description", "text", "-", "description in the default language"),
        Field(
            "status",
            "code",
            "R",
            "may it be bought",
            codes=("active", "phase_out", "discontinued", "blocked"),
        ),
        Field("brand", "text", "-", "third navigation level"),
        Field("base_uom", "text", "R", "unit in which stock is counted"),
        Field("sales_uom", "text", "-", "unit in which it is sold; absent = base"),
        Field("min_order_qty", "qty", "-", "in sales_uom"),
        Field("order_step", "qty", "-", "in sales_uom"),
        Field("lead_time_days", "int", "-", "for alternative dates and suggestions"),
        Field("tax_class", "text", "-", "one of tax_class and tax_pct"),
        Field("tax_pct", "pct", "-", "one of tax_class and tax_pct"),
        Field("stocked", "bool", "-", "false: service or freight, never out of stock"),
        Field(
            "restrictions",
            "codes",
            "-",
            "approval triggers and notices",
            codes=("hazardous", "regulated", "imported", "quota", "contractual"),
        ),
        Field("launched_on", "date", "-", "new-product notice"),
        Field("successor_key", "text", "-", "what replaces it"),
        Field("manufacturer", "text", "-", "specification"),
        Field("manufacturer_no", "text", "-", "specification"),
        Field("origin", "text", "-", "country of origin, ISO 3166-1"),
        Field("customs_no", "text", "-", "customs tariff number"),
        Field("weight_kg", "qty", "-", "weight of one base_uom"),
        Field("search_terms", "texts", "-", "words it is found by"),
        Field("attributes", "json", "-", "technical specification, name to value"),
    ),
    checks=(
        RowCheck(
            "order_step_not_positive",
            "above",
            "order_step",
            "order_step must be greater than 0",
            low=Decimal(0),
        ),
        RowCheck(
            "tax_pct_range",
            "between",
            "tax_pct",
            "tax_pct must lie between 0 and 100",
            low=Decimal(0),
            high=Decimal(100),
        ),
    ),
)

PRODUCT_TEXT = Part(
    name="product_text",
    meaning="Name and description in one language.",
    key=("product_key", "language"),
    parent="product",
    parent_field="product_key",
    fields=(
        Field("product_key", "text", "R", "the product"),
        Field("language", "text", "R", "BCP 47"),
        Field("name", "text", "R", "name"),
        Field("description", "text", "-", "description"),
    ),
)

PRODUCT_UOM = Part(
    name="product_uom",
    meaning="A unit the product comes in; uom to base as an exact ratio.",
    key=("product_key", "uom"),
    parent="product",
    parent_field="product_key",
    fields=(
        Field("product_key", "text", "R", "the product"),
        Field("uom", "text", "R", "unit"),
        Field("numerator", "int", "R", "base units in `denominator` of this unit"),
        Field("denominator", "int", "R", "see numerator"),
        Field("barcodes", "texts", "-", "barcodes of this unit"),
        Field("orderable", "bool", "-", "may be ordered in it"),
    ),
    checks=(
        RowCheck(
            "numerator_not_positive",
            "above",
            "numerator",
            "numerator must be greater than 0",
            low=Decimal(0),
        ),
        RowCheck(
            "denominator_not_positive",
            "above",
            "denominator",
            "denominator must be greater than 0",
            low=Decimal(0),
        ),
    ),
)

CATEGORY = Part(
    name="category",
    meaning="A node of the navigation tree; a missing parent or a cycle is a rejection.",
    key=("key",),
    fields=(
        Field("key", "text", "R", "the ERP's category key"),
        Field("parent_key", "text", "-", "the category above"),
        Field("name", "text", "R", "name"),
        Field("sort", "int", "-", "order among its siblings"),
    ),
    references=(Reference("parent_key", "category"),),
)

PRODUCT_CATEGORY = Part(
    name="product_category",
    meaning="Which categories a product stands in; many to many.",
    key=("product_key", "category_key"),
    parent="product",
    parent_field="product_key",
    fields=(
        Field("product_key", "text", "R", "the product"),
        Field("category_key", "text", "R", "the category"),
        Field("is_primary", "bool", "-", "its main place"),
    ),
    references=(Reference("category_key", "category"),),
)

PRODUCT_DOCUMENT = Part(
    name="product_document",
    meaning="A picture, data sheet or certificate of a product.",
    key=("key",),
    fields=(
        Field("key", "text", "R", "the ERP's key"),
        Field("product_key", "text", "R", "the product"),
        Field(
            "kind",
            "code",
            "R",
            "what it is",
            codes=("image", "data_sheet", "safety_sheet", "certificate", "cad", "manual"),
        ),
        Field("title", "text", "-", "title"),
        Field("language", "text", "-", "BCP 47"),
        Field("sort", "int", "-", "order"),
        Field("location", "text", "R", "URL or landed file"),
        Field("mime", "text", "-", "media type"),
        Field("bytes", "int", "-", "size in bytes"),
        Field("sha256", "text", "-", "SHA-256 of the file, hexadecimal"),
        Field("valid_to", "date", "-", "first day after"),
    ),
    references=(Reference("product_key", "product"),),
)

SUBSTITUTE = Part(
    name="substitute",
    meaning="What to offer instead of a product, or with it.",
    key=("product_key", "substitute_key"),
    fields=(
        Field("product_key", "text", "R", "the product"),
        Field("substitute_key", "text", "R", "the product to offer"),
        Field(
            "kind",
            "code",
            "R",
            "why it is offered",
            codes=("alternative", "successor", "accessory"),
        ),
        Field("rank", "int", "-", "low first"),
        Field("both_ways", "bool", "-", "holds the other way round too"),
        Field("valid_from", "date", "-", "first day", absent="0001-01-01"),
        Field("valid_to", "date", "-", "first day after"),
    ),
    checks=VALIDITY,
    references=(Reference("product_key", "product"), Reference("substitute_key", "product")),
)

CATALOGUE_GRANT = Part(
    name="catalogue_grant",
    meaning="Who may see and buy what; deny wins.",
    key=("key",),
    fields=(
        Field("key", "text", "R", "the ERP's key of the grant"),
        Field("dealer_scope", "code", "R", "for whom", codes=("all", "group", "dealer")),
        Field("dealer_key", "text", "C", "dealer or group key, unless all"),
        Field("dealer_group_kind", "code", "C", "when group", codes=GROUP_KINDS),
        Field("product_scope", "code", "R", "what", codes=("all", "category", "product")),
        Field("product_key", "text", "C", "SKU or category key, unless all"),
        Field("effect", "code", "R", "allow or deny", codes=("allow", "deny")),
        Field("licence", "text", "-", "licence needed for regulated goods"),
        Field("valid_from", "date", "-", "first day", absent="0001-01-01"),
        Field("valid_to", "date", "-", "first day after"),
    ),
    checks=(
        *VALIDITY,
        RowCheck(
            "dealer_key_missing",
            "not_null",
            "dealer_key",
            "a grant for a group or dealer must name it",
            when=(When("dealer_scope", "in", ("group", "dealer")),),
        ),
        RowCheck(
            "dealer_group_kind_missing",
            "not_null",
            "dealer_group_kind",
            "a grant for a group must name its kind",
            when=(When("dealer_scope", "in", ("group",)),),
        ),
        RowCheck(
            "product_key_missing",
            "not_null",
            "product_key",
            "a grant for a category or product must name it",
            when=(When("product_scope", "in", ("category", "product")),),
        ),
    ),
    references=(
        Reference("dealer_key", "dealer", when=(When("dealer_scope", "in", ("dealer",)),)),
        Reference("product_key", "product", when=(When("product_scope", "in", ("product",)),)),
        Reference("product_key", "category", when=(When("product_scope", "in", ("category",)),)),
    ),
)

FEED = Feed(
    name="products",
    meaning="Product master: texts, units, categories, documents, substitutes, catalogue grants.",
    parts=(
        CATEGORY,
        PRODUCT,
        PRODUCT_TEXT,
        PRODUCT_UOM,
        PRODUCT_CATEGORY,
        PRODUCT_DOCUMENT,
        SUBSTITUTE,
        CATALOGUE_GRANT,
    ),
    main="product",
    schedule="30 1 * * *",
    promise_minutes=26 * 60,
    requires=("customers",),
)
