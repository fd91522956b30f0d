"""The tables of schema `portal`, as SQLAlchemy metadata: they follow from the feeds.

The migrations are what a database really gets; a test holds both against each other. This module
must not connect, and must not know a mapping or a connector.
"""

from __future__ import annotations

from typing import Any, LiteralString

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Index,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

from mappings.feeds import PARTS
from mappings.vocabulary import DECIMALS, Part, Type

metadata = MetaData(
    naming_convention={"pk": "%(table_name)s_pkey", "ck": "%(table_name)s_%(constraint_name)s"}
)

_PLAIN: dict[Type, TypeEngine[Any]] = {
    "text": Text(),
    "code": Text(),
    "ccy": Text(),
    "int": BigInteger(),
    "date": Date(),
    "instant": DateTime(timezone=True),
    "bool": Boolean(),
    "json": JSONB(),
    "texts": ARRAY(Text()),
    "codes": ARRAY(Text()),
}

PROVENANCE = ("batch_id", "record_no", "row_hash", "as_of", "deleted_at", "stale_since")
"""The columns every synced row carries beside its fields."""


def column_type(kind: Type) -> TypeEngine[Any]:
    """The PostgreSQL type of a field type."""
    if kind in DECIMALS:
        precision, scale = DECIMALS[kind]
        return Numeric(precision, scale)
    return _PLAIN[kind]


def spaces(part: Part) -> tuple[LiteralString, ...]:
    """The code spaces that a part's rows name beside their own ERP's: `dealer`, `product`.

    A row carries `<space>_erp` for each: cedar's invoices name birch's dealers.
    """
    names = {f.name for f in part.fields}
    found: list[LiteralString] = []
    if part.feed != "customers" and names & {"dealer_key", "account_key"}:
        found.append("dealer")
    if part.feed != "products" and "product_key" in names:
        found.append("product")
    if part.name == "catalogue_grant":
        found.append("dealer")
    return tuple(dict.fromkeys(found))


def referring(part: Part) -> list[LiteralString]:
    """The columns by which a part's references are looked up, and those that say when.

    Where the planner knows nothing of them it believes in few rows, and looks each up by itself.
    """
    found: list[LiteralString] = []
    for reference in part.references:
        found.append(reference.field)
        found.extend(when.field for when in reference.when)
    return found


def _portal_table(part: Part) -> Table:
    # a price's partition is one ERP's: there the key begins with what tells its rows apart
    own_order = part.name == "price"
    columns: list[SchemaItem] = [Column("erp", Text(), primary_key=not own_order, nullable=False)]
    for field in part.fields:
        key = field.name in part.key
        needed = key or field.name == part.parent_field or (field.need == "R" and field.mapped)
        columns.append(
            Column(
                field.name,
                column_type(field.type),
                primary_key=key and not own_order,
                nullable=not (needed or field.absent is not None),
                comment=field.meaning,
            )
        )
    columns += [Column(f"{space}_erp", Text(), nullable=False) for space in spaces(part)]
    if part.name == "document":
        columns += [
            Column("state", Text(), nullable=False),
            Column("sha256", Text()),
            Column("bytes", BigInteger()),
            Column("media_type", Text()),
            CheckConstraint("state IN ('present', 'pending', 'missing')", name="state"),
        ]
    columns += [
        Column("batch_id", BigInteger(), nullable=False),
        Column("record_no", BigInteger(), nullable=False),
        Column("row_hash", BigInteger(), nullable=False),
        Column("as_of", DateTime(timezone=True), nullable=False),
        Column("deleted_at", DateTime(timezone=True)),
        Column("stale_since", DateTime(timezone=True)),
    ]
    options: dict[str, Any] = {}
    if own_order:
        columns.append(PrimaryKeyConstraint(*part.key, "erp", name="price_pkey"))
        options["postgresql_partition_by"] = "LIST (erp)"
    return Table(part.name, metadata, *columns, schema="portal", comment=part.meaning, **options)


PORTAL: dict[str, Table] = {name: _portal_table(part) for name, part in PARTS.items()}
"""Part name → its table in schema `portal`."""

for _name, _columns in {
    "invoice_line": ("erp", "product_key"),
    "invoice": ("dealer_erp", "account_key"),
    "payment": ("dealer_erp", "account_key"),
    "sales_order": ("dealer_erp", "dealer_key"),
    "document": ("subject", "subject_key"),
}.items():
    Index(f"{_name}_{_columns[-1]}_idx", *(PORTAL[_name].c[c] for c in _columns))

_dealer_seq = text("nextval('portal.portal_dealer_id')")
dealer_account = Table(
    "dealer_account",
    metadata,
    Column("erp", Text(), primary_key=True),
    Column("dealer_key", Text(), primary_key=True),
    Column("portal_dealer_id", BigInteger(), nullable=False, server_default=_dealer_seq),
    Column("since_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("joined_by", Text()),
    schema="portal",
    comment="Which dealers of which ERPs one portal dealer owns; 1:1 until an operator joins them.",
)

Index(
    "price_stale_idx",
    PORTAL["price"].c.erp,
    postgresql_where=PORTAL["price"].c.stale_since.is_not(None),
)
