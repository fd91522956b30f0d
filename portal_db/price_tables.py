"""Indexes of the prices' read path and the tables of parity, as SQLAlchemy metadata.

The migrations are what a database really gets; a test holds both against each other. This module
must not connect, and must not know a mapping or a connector.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    Numeric,
    Table,
    Text,
    text,
)

from portal_db.schema import PORTAL, metadata

_SCOPE = text("portal.price_scope(dealer_scope, dealer_group_kind, dealer_key)")
_price = PORTAL["price"]

Index(
    "price_own_idx",
    _price.c.dealer_key,
    _price.c.product_key,
    postgresql_where=text("product_scope = 'product' AND dealer_scope IN ('dealer', 'account')"),
)
Index(
    "price_general_idx",
    _price.c.product_key,
    _SCOPE,
    postgresql_where=text(
        "product_scope = 'product' AND dealer_scope IN ('all', 'group') AND level <> 'quote'"
    ),
)
Index(
    "price_rule_idx",
    _SCOPE,
    _table=_price,
    postgresql_where=text(
        "product_scope <> 'product' OR (dealer_scope IN ('all', 'group') AND level = 'quote')"
    ),
)
Index("catalogue_grant_scope_idx", _SCOPE, _table=PORTAL["catalogue_grant"])

parity = Table(
    "parity",
    metadata,
    Column("id", BigInteger(), Identity(always=False), primary_key=True),
    Column("erp", Text(), nullable=False),
    Column("price_erp", Text(), nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("finished_at", DateTime(timezone=True)),
    Column("lines", BigInteger(), nullable=False, server_default="0"),
    Column("explained", BigInteger(), nullable=False, server_default="0"),
    Column("unexplained", BigInteger(), nullable=False, server_default="0"),
    Column("mapping_sha256", Text()),
    Column("seconds", Numeric(12, 3)),
    CheckConstraint("lines = explained + unexplained", name="law"),
    Index("parity_erp_idx", "erp", "id"),
    schema="sync",
    comment="One comparison of an ERP's invoice lines with its synced conditions.",
)

parity_item = Table(
    "parity_item",
    metadata,
    Column("parity_id", BigInteger(), primary_key=True, autoincrement=False),
    Column("invoice_key", Text(), primary_key=True),
    Column("line_no", Text(), primary_key=True),
    Column("dealer_erp", Text()),
    Column("dealer_key", Text()),
    Column("product_erp", Text()),
    Column("product_key", Text()),
    Column("qty", Numeric(18, 6)),
    Column("uom", Text()),
    Column("currency", Text()),
    Column("priced_on", Date()),
    Column("invoiced", Numeric(), comment="price of one uom, line discount taken off"),
    Column("invoiced_net", Numeric(18, 4)),
    Column("resolved", Numeric(), comment="price of one uom by the conditions; NULL: on request"),
    Column("resolved_net", Numeric(18, 4)),
    Column("level", Text()),
    Column("header_key", Text(), comment="the condition that won"),
    Column("min_qty", Numeric(18, 6)),
    Column("reason", Text(), comment="why it is unexplained; NULL: explained"),
    Column("says", Text()),
    Index(
        "parity_item_reason_idx",
        "parity_id",
        "reason",
        postgresql_where=text("reason IS NOT NULL"),
    ),
    schema="sync",
    comment="Every unexplained line of a comparison; of the newest, every line.",
)
