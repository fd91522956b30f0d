"""Feed 5: what an account may still order on credit. Declares; must not do anything."""

from decimal import Decimal

from mappings.vocabulary import Feed, Field, Part, Reference, RowCheck, When

CREDIT = Part(
    name="credit",
    meaning="Limit and exposure of a paying account in one currency.",
    key=("account_key", "currency"),
    owned=True,
    fields=(
        Field("account_key", "text", "R", "the paying account, a dealer key"),
        Field("currency", "ccy", "R", "currency of every amount here"),
        Field("limit_amount", "money", "-", "NULL = unknown, never auto-approves; 0 = prepay"),
        Field("unlimited", "bool", "R", "true only if the ERP says so; then limit_amount is NULL"),
        Field("soft_limit", "money", "-", "warn above it"),
        Field("limit_valid_to", "date", "-", "from this day on the limit is unknown"),
        Field("open_balance", "money", "R", "gross, net of all payments; may be negative"),
        Field("pending", "money", "-", "gross, approved and not invoiced; NULL = not told"),
        Field("pending_refs", "texts", "-", "our order references contained in pending"),
        Field("overdue", "money", "-", "the ERP's figure, to reconcile"),
        Field("oldest_due_on", "date", "-", "the ERP's figure, to reconcile"),
        Field("unapplied", "money", "-", "payments and credits on account"),
        Field("on_hold", "bool", "R", "the ERP blocks this account"),
        Field("hold_reason", "text", "-", "why"),
        Field("risk_class", "text", "-", "picks the credit policy"),
        Field("avg_days_late", "qty", "-", "payment behaviour"),
        Field("last_paid_on", "date", "-", "payment behaviour"),
        Field("last_paid_amount", "money", "-", "payment behaviour"),
        Field("calculated_at", "instant", "R", "when the ERP worked it out"),
    ),
    checks=(
        RowCheck(
            "limit_negative",
            "between",
            "limit_amount",
            "limit_amount must not be negative",
            low=Decimal(0),
        ),
        RowCheck(
            "limit_of_unlimited",
            "is_null",
            "limit_amount",
            "an unlimited account has no limit_amount",
            when=(When("unlimited", "in", ("true",)),),
        ),
    ),
    references=(Reference("account_key", "dealer"),),
    amount="open_balance",
)

FEED = Feed(
    name="credit",
    meaning="Credit limits and exposure per paying account.",
    parts=(CREDIT,),
    main="credit",
    schedule="*/5 * * * *",
    promise_minutes=15,
    requires=("customers",),
)
