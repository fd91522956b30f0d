"""The practice OData ERP's dialect: entity sets, property names and words. Declares only."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from sandbox.dataset_shape import KEYS, PARENTS, SCHEMAS

# Codes that are sent as words: phase_out is PhaseOut.
CODE_COLUMNS = frozenset(
    {
        "status", "kind", "level", "dealer_scope", "dealer_group_kind", "product_scope", "combine",
        "effect", "channel", "subject", "format", "source", "restrictions",
    }
)  # fmt: skip
WORDS: Mapping[str, Mapping[str, str]] = {
    "dealer_scope": {
        "all": "AllCustomers",
        "group": "CustomerGroup",
        "account": "BillToCustomer",
        "dealer": "Customer",
    },
    "product_scope": {
        "all": "AllItems",
        "category": "ItemCategory",
        "product": "Item",
        "cart": "Basket",
    },
}
# Validity ends are sent as the last day that holds.
INCLUSIVE_ENDS = frozenset({"valid_to"})
# Held as text, sent as JSON objects.
OBJECTS = frozenset({"attributes", "ship_to", "old", "new"})

NAMES: Mapping[str, str] = {
    "account_key": "BillToCustomerNo",
    "address_key": "ShipToAddressCode",
    "allocated_on": "AppliedOn",
    "amount_off_list": "DiscountAmount",
    "at": "OccurredAt",
    "base_uom": "BaseUnitOfMeasure",
    "category_key": "CategoryCode",
    "contact_key": "ContactNo",
    "country": "CountryCode",
    "credit_account_key": "CreditCustomerNo",
    "currency": "CurrencyCode",
    "dealer_group_kind": "CustomerGroupType",
    "dealer_key": "CustomerNo",
    "dealer_scope": "AppliesTo",
    "dealer_type": "CustomerType",
    "due_on": "DueDate",
    "expected_on": "ExpectedDate",
    "gross": "AmountIncludingTax",
    "header_key": "PriceNo",
    "invoice_key": "InvoiceEntryNo",
    "issued_on": "PostingDate",
    "kind": "Type",
    "language": "LanguageCode",
    "lot": "LotNo",
    "min_qty": "MinimumQuantity",
    "net": "AmountExcludingTax",
    "on_hand": "QuantityOnHand",
    "open_amount": "RemainingAmount",
    "order_key": "OrderNo",
    "payment_key": "PaymentEntryNo",
    "pct_off_list": "DiscountPercent",
    "per": "PriceUnitSize",
    "product_key": "ItemNo",
    "product_scope": "AssetType",
    "qty": "Quantity",
    "sales_rep_key": "SalespersonCode",
    "sales_rep_name": "SalespersonName",
    "sales_rep_email": "SalespersonEmail",
    "sales_uom": "SalesUnitOfMeasure",
    "shipment_key": "ShipmentNo",
    "substitute_key": "SubstituteItemNo",
    "successor_key": "SuccessorItemNo",
    "tax": "TaxAmount",
    "uom": "UnitOfMeasureCode",
    "valid_from": "StartingDate",
    "valid_to": "EndingDate",
    "warehouse_key": "LocationCode",
}
OWN_NAMES: Mapping[str, Mapping[str, str]] = {
    "dealer": {"key": "CustomerNo", "parent_key": "ParentCustomerNo"},
    "product": {"key": "ItemNo"},
    "category": {"key": "CategoryCode", "parent_key": "ParentCategoryCode"},
    "warehouse": {"key": "LocationCode"},
    "invoice": {"key": "EntryNo", "number": "DocumentNo"},
    "payment": {"key": "EntryNo"},
    "document": {"key": "DocumentId", "number": "DocumentNo"},
    "sales_order": {"key": "OrderNo", "number": "DocumentNo"},
    "shipment": {"key": "ShipmentNo"},
    "dealer_address": {"key": "AddressCode"},
    "dealer_contact": {"key": "ContactNo"},
    "product_document": {"key": "DocumentId"},
    "catalogue_grant": {"key": "RuleNo"},
    "stock_expected": {"key": "EntryNo"},
}
SETS: Mapping[str, str] = {
    "dealer": "Customers",
    "product": "Items",
    "category": "ItemCategories",
    "product_document": "ItemDocuments",
    "substitute": "ItemSubstitutes",
    "catalogue_grant": "CatalogueRules",
    "price": "SalesPrices",
    "warehouse": "Locations",
    "stock": "Inventory",
    "stock_expected": "ExpectedReceipts",
    "credit": "CreditAccounts",
    "invoice": "SalesInvoices",
    "payment": "CustomerPayments",
    "document": "Documents",
    "sales_order": "SalesOrders",
    "shipment": "Shipments",
}
# child table -> navigation property of its parent's entity set
NAVIGATION: Mapping[str, str] = {
    "dealer_group": "Groups",
    "dealer_address": "Addresses",
    "dealer_contact": "Contacts",
    "product_text": "Translations",
    "product_uom": "UnitsOfMeasure",
    "product_category": "Categories",
    "invoice_line": "InvoiceLines",
    "payment_allocation": "Applications",
    "sales_order_line": "OrderLines",
    "order_event": "History",
    "shipment_line": "ShipmentLines",
}
EDM: Mapping[str, str] = {
    "string": "Edm.String",
    "int64": "Edm.Int32",
    "date32[day]": "Edm.Date",
    "timestamp[us, tz=UTC]": "Edm.DateTimeOffset",
    "bool": "Edm.Boolean",
    "list<item: string>": "Collection(Edm.String)",
}


def camel(name: str) -> str:
    """`discount_pct` as `DiscountPct`."""
    return "".join(part.capitalize() for part in name.split("_"))


def word(column: str, code: str) -> str:
    """A code as this ERP's word for it."""
    return WORDS.get(column, {}).get(code) or camel(code)


def property_name(table: str, column: str) -> str:
    """This ERP's name of a column."""
    return OWN_NAMES.get(table, {}).get(column) or NAMES.get(column) or camel(column)


@dataclass(frozen=True)
class Property:
    """One property: `column` of the data set, or None for `OrderDate`, which is made."""

    name: str
    column: str
    type: pa.DataType

    @property
    def edm(self) -> str:
        """Its type as the metadata document says it."""
        if self.column in OBJECTS:
            return "Edm.Untyped"
        if pa.types.is_decimal(self.type):
            return "Edm.Decimal"
        return EDM[str(self.type)]


@dataclass(frozen=True)
class Entity:
    """One table as an entity type, and as an entity set where it is not a child."""

    table: str

    @property
    def set_name(self) -> str | None:
        """Name of its entity set; None for a child."""
        return SETS.get(self.table)

    @property
    def type_name(self) -> str:
        """Name of its entity type."""
        return camel(self.table) if self.set_name is None else f"{self.set_name}Entity"

    @cached_property
    def properties(self) -> tuple[Property, ...]:
        """Its properties in order. A child does not repeat its parent's key."""
        hidden = {"erp", self.parent_column, "ordered_at_exact"}
        return tuple(
            Property(property_name(self.table, field.name), field.name, field.type)
            for field in SCHEMAS[self.table]
            if field.name not in hidden
        )

    @property
    def key(self) -> tuple[str, ...]:
        """Properties of its key, the parent's part left out."""
        columns = [name for name in KEYS[self.table] if name != self.parent_column]
        return tuple(property_name(self.table, column) for column in columns)

    @property
    def parent_column(self) -> str | None:
        """For a child: the column that names its parent."""
        return PARENTS[self.table][0] if self.table in NAVIGATION else None

    @cached_property
    def navigation(self) -> Mapping[str, str]:
        """Navigation property -> child table."""
        return {
            NAVIGATION[child]: child
            for child, (_, parent) in PARENTS.items()
            if parent == self.table and child in NAVIGATION
        }

    def column_of(self, name: str) -> str | None:
        """The column behind a property; None for an unknown one."""
        return next((one.column for one in self.properties if one.name == name), None)


ENTITIES: Mapping[str, Entity] = {table: Entity(table) for table in (*SETS, *NAVIGATION)}
BY_SET: Mapping[str, Entity] = {name: ENTITIES[table] for table, name in SETS.items()}
