"""Feed 1: who may buy, where to, and at whose conditions. Declares; must not do anything."""

from decimal import Decimal

from mappings.vocabulary import Feed, Field, Part, Reference, RowCheck, When

GROUP_KINDS = (
    "tier",
    "price_list",
    "buying_group",
    "customer_group",
    "contract",
    "campaign",
    "catalogue",
)

DEALER = Part(
    name="dealer",
    meaning="A customer of the distributor who may sign in and order.",
    key=("key",),
    owned=True,
    fields=(
        Field("key", "text", "R", "the ERP's customer number"),
        # a dealer may be one person: then its name and tax number are a person's
        Field("name", "text", "R", "company name", personal=True),
        Field(
            "status",
            "code",
            "R",
            "closed dealers keep history and lose log-in",
            codes=("active", "blocked", "closed"),
        ),
        Field("parent_key", "text", "-", "organisational parent; rights inherit along it"),
        Field("account_key", "text", "R", "the paying account; itself when it pays for itself"),
        Field("credit_account_key", "text", "-", "where credit is held, when not at the payer"),
        Field("order_block", "bool", "-", "the ERP forbids new orders, credit hold aside"),
        Field("order_block_reason", "text", "C", "why, when order_block is true"),
        Field("dealer_type", "text", "-", "distributor, wholesaler, retailer …"),
        Field("region", "text", "-", "price and approval region"),
        Field("country", "text", "-", "ISO 3166-1 alpha-2"),
        Field("contract_type", "text", "-", "standard, special agreement, tender"),
        Field("currency", "ccy", "R", "the dealer's currency"),
        Field("language", "text", "-", "BCP 47"),
        Field("tax_no", "text", "-", "tax number", personal=True),
        Field("tax_zone", "text", "-", "tax zone"),
        Field("terms_code", "text", "-", "payment terms, the ERP's code"),
        Field("terms_text", "text", "-", "payment terms in words"),
        Field("payment_days", "int", "-", "net days; the rule for due_on where none is given"),
        Field("discount_days", "int", "-", "early-payment discount, days"),
        Field("discount_pct", "pct", "-", "early-payment discount, percent"),
        Field("standard_discount_pct", "pct", "-", "off list on everything; 0 = none"),
        Field("min_order_amount", "money", "-", "net; below it an approval trigger"),
        Field("partial_delivery", "bool", "-", "may an order be split"),
        Field("warehouse_key", "text", "-", "default warehouse"),
        Field("delivery_method", "text", "-", "how goods travel"),
        Field("sales_rep_key", "text", "-", "approval level 1"),
        Field("sales_rep_name", "text", "-", "approval level 1, name", personal=True),
        Field("sales_rep_email", "text", "-", "approval level 1, e-mail", personal=True),
        Field("opened_on", "date", "-", "customer since; new-dealer trigger"),
        Field("attributes", "json", "-", "what the model has no place for"),
    ),
    checks=(
        RowCheck(
            "order_block_reason_missing",
            "not_null",
            "order_block_reason",
            "an order block needs its reason",
            when=(When("order_block", "in", ("true",)),),
        ),
        RowCheck(
            "payment_days_negative",
            "between",
            "payment_days",
            "payment_days must not be negative",
            low=Decimal(0),
        ),
        RowCheck(
            "standard_discount_range",
            "between",
            "standard_discount_pct",
            "standard_discount_pct must lie between 0 and 100",
            low=Decimal(0),
            high=Decimal(100),
        ),
    ),
    references=(Reference("account_key", "dealer"), Reference("parent_key", "dealer")),
)

DEALER_GROUP = Part(
    name="dealer_group",
    meaning="Everything a price, grant or rule may address a dealer by.",
    key=("dealer_key", "kind", "group_key", "category_slot", "valid_from"),
    parent="dealer",
    parent_field="dealer_key",
    owned=True,
    fields=(
        Field("dealer_key", "text", "R", "the dealer"),
        Field("account_key", "text", "-", "its account", copied_from=("dealer", "account_key")),
        Field("kind", "code", "R", "what sort of group", codes=GROUP_KINDS),
        Field("group_key", "text", "R", "e.g. GOLD, B, C7"),
        Field("group_name", "text", "-", "its name"),
        Field("category_key", "text", "-", "tier for this product category only"),
        Field("category_slot", "text", "R", "category_key or ''", derived_from="category_key"),
        Field("priority", "int", "-", "low wins when a dealer is in two of a kind"),
        Field("valid_from", "date", "-", "first day", absent="0001-01-01"),
        Field("valid_to", "date", "-", "first day after"),
    ),
    checks=(
        RowCheck(
            "validity_reversed",
            "before",
            "valid_from",
            "valid_from must lie before valid_to",
            other="valid_to",
        ),
    ),
)

DEALER_ADDRESS = Part(
    name="dealer_address",
    meaning="Where a dealer's goods, bills and letters go.",
    key=("dealer_key", "key"),
    parent="dealer",
    parent_field="dealer_key",
    owned=True,
    fields=(
        Field("dealer_key", "text", "R", "the dealer"),
        Field("account_key", "text", "-", "its account", copied_from=("dealer", "account_key")),
        Field("key", "text", "R", "the ERP's address key"),
        Field(
            "kind",
            "code",
            "R",
            "what it is for",
            codes=("bill_to", "ship_to", "postal", "main"),
        ),
        Field("name", "text", "-", "name on the label", personal=True),
        Field("line1", "text", "R", "first line", personal=True),
        Field("line2", "text", "-", "second line", personal=True),
        Field("line3", "text", "-", "third line", personal=True),
        Field("postcode", "text", "-", "never a number"),
        Field("city", "text", "R", "city"),
        Field("region", "text", "-", "region"),
        Field("country", "text", "R", "ISO 3166-1 alpha-2"),
        Field("phone", "text", "-", "phone", personal=True),
        Field("instructions", "text", "-", "delivery instructions", personal=True),
        Field("is_default", "bool", "-", "the dealer's default of this kind"),
    ),
)

DEALER_CONTACT = Part(
    name="dealer_contact",
    meaning="A person at a dealer; may be contact of several dealers.",
    key=("dealer_key", "key"),
    parent="dealer",
    parent_field="dealer_key",
    owned=True,
    fields=(
        Field("dealer_key", "text", "R", "the dealer"),
        Field("account_key", "text", "-", "its account", copied_from=("dealer", "account_key")),
        Field("key", "text", "R", "the ERP's contact key"),
        Field("name", "text", "R", "name", personal=True),
        Field("email", "text", "-", "e-mail", personal=True),
        Field("phone", "text", "-", "phone", personal=True),
        Field("language", "text", "-", "BCP 47"),
        Field("role", "text", "-", "purchasing, accounts …"),
        Field("is_primary", "bool", "-", "first contact"),
    ),
)

FEED = Feed(
    name="customers",
    meaning="Customer master: dealers, the groups they are in, addresses and contacts.",
    parts=(DEALER, DEALER_GROUP, DEALER_ADDRESS, DEALER_CONTACT),
    main="dealer",
    schedule="10 1 * * *",
    promise_minutes=26 * 60,
)
