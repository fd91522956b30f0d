"""The shape of a data set: its tables, their columns, types, keys and who refers to whom.

Tables and columns are those of `SHAPE` below; every table is always present, perhaps empty.

- Every table begins with `erp` (the server that serves the row) and ends with `modified_at` (the
  instant of the row's last change, for modified-since deltas). Neither is ever null.
- `KEYS` names the columns that, after `erp`, identify a row. Children carry the key of their parent
  (`PARENTS`): `dealer_key`, `product_key`, `invoice_key`, `payment_key`, `order_key`,
  `shipment_key`. A changed child does not move its parent's `modified_at` by itself, but
  `Dataset.changed` always moves the parent of what it changes.
- A key belongs to the row's own ERP, but for two kinds: `cedar` names `birch`'s dealers, and the
  Wide World Importers order and price parts name the dealers of `wwi_soap` and products of
  `wwi_sftp` (`REFERS`).
- Types: text is `string`; `qty` and `price` decimal128(18,6), `money` decimal128(18,4), `pct`
  decimal128(9,6) with 10 for 10 %; `int` int64; `date` date32, a day in the ERP's time zone
  (`TIME_ZONES`); `instant` timestamp[us, UTC], never inside an hour that local time repeats;
  `list` list<string>; `json` a string holding a JSON object.
- Validity is half-open: `valid_to` is the first day on which the row no longer holds. A server
  whose dialect has inclusive ends subtracts a day; an absent `valid_to` is its 9999-12-31 or blank.
- Balances: what a dealer owes is positive, credit notes are negative; `payment.amount` is positive
  when money came in.
- `sales_order.ordered_at_exact` is false where only a day is known: `ordered_at` is then midnight
  in the ERP's time zone, and a server should send the day alone.
- `document` rows of format `pdf` are made by `sandbox.pdf.invoice_pdf` from the row that `subject`
  and `subject_key` name; `location` is a relative path, unique within the ERP. `sha256` and `bytes`
  are null: they are computed from the bytes as fetched.
- `deleted` lists rows that are gone (`table`, `key` as made by `key_texts`): the deletion markers
  of an ERP that sends deltas.

Must not hold data: that is `sandbox.dataset`.
"""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

TYPES: Mapping[str, pa.DataType] = {
    "text": pa.string(),
    "int": pa.int64(),
    "qty": pa.decimal128(18, 6),
    "price": pa.decimal128(18, 6),
    "money": pa.decimal128(18, 4),
    "pct": pa.decimal128(9, 6),
    "date": pa.date32(),
    "instant": pa.timestamp("us", tz="UTC"),
    "bool": pa.bool_(),
    "list": pa.list_(pa.string()),
    "json": pa.string(),
}

# One line per table: its columns between `erp` and `modified_at`, `name:type`, text when unsaid.
SHAPE: Mapping[str, str] = {
    # customers
    "dealer": """key name status parent_key account_key credit_account_key order_block:bool
        order_block_reason dealer_type region country contract_type currency language tax_no
        tax_zone terms_code terms_text payment_days:int discount_days:int discount_pct:pct
        standard_discount_pct:pct min_order_amount:money partial_delivery:bool warehouse_key
        delivery_method sales_rep_key sales_rep_name sales_rep_email opened_on:date
        attributes:json""",
    "dealer_group": """dealer_key kind group_key group_name category_key priority:int
        valid_from:date valid_to:date""",
    "dealer_address": """dealer_key key kind name line1 line2 line3 postcode city region country
        phone instructions is_default:bool""",
    "dealer_contact": "dealer_key key name email phone language role is_primary:bool",
    # products
    "product": """key name description status brand base_uom sales_uom min_order_qty:qty
        order_step:qty lead_time_days:int tax_class tax_pct:pct stocked:bool restrictions:list
        launched_on:date successor_key manufacturer manufacturer_no origin customs_no
        weight_kg:qty search_terms:list attributes:json""",
    "product_text": "product_key language name description",
    "product_uom": "product_key uom numerator:int denominator:int barcodes:list orderable:bool",
    "category": "key parent_key name sort:int",
    "product_category": "product_key category_key is_primary:bool",
    "product_document": """key product_key kind title language sort:int location mime bytes:int
        sha256 valid_to:date""",
    "substitute": """product_key substitute_key kind rank:int both_ways:bool valid_from:date
        valid_to:date""",
    "catalogue_grant": """key dealer_scope dealer_key dealer_group_kind product_scope product_key
        effect licence valid_from:date valid_to:date""",
    # prices
    "price": """header_key level dealer_scope dealer_group_kind dealer_key product_scope product_key
        currency uom per:int min_qty:qty min_amount:money unit_price:price pct_off_list:pct
        amount_off_list:price allow_zero:bool combine tax_included:bool valid_from:date
        valid_to:date seq:int quota_left:qty ref title""",
    # stock
    "warehouse": "key name country region time_zone sort:int visible:bool",
    "stock": """product_key warehouse_key on_hand:qty reserved:qty available:qty low_level:qty
        changed_at:instant""",
    "stock_expected": """key product_key warehouse_key qty:qty expected_on:date kind
        confirmed:bool""",
    # credit
    "credit": """account_key currency limit_amount:money unlimited:bool soft_limit:money
        limit_valid_to:date open_balance:money pending:money pending_refs:list overdue:money
        oldest_due_on:date unapplied:money on_hold:bool hold_reason risk_class avg_days_late:qty
        last_paid_on:date last_paid_amount:money calculated_at:instant""",
    # invoices and statements
    "invoice": """key number kind account_key dealer_key order_key customer_ref issued_on:date
        due_on:date due_on_computed:bool currency net:money tax:money gross:money
        open_amount:money settled_on:date disputed:bool dispute_reason dunning_level:int
        discount_until:date discount_amount:money cancels_key attributes:json""",
    "invoice_line": """invoice_key line_no kind product_key description qty:qty uom
        unit_price:price per:int discount_pct:pct net:money tax_pct:pct tax:money gross:money
        order_key order_line_no delivery_key priced_on:date""",
    "payment": """key account_key kind booked_on:date value_on:date currency amount:money
        unapplied:money method reference order_ref""",
    "payment_allocation": "payment_key invoice_key amount:money allocated_on:date",
    "document": """key kind number account_key dealer_key subject subject_key issued_on:date format
        language location sha256 bytes:int retain_until:date""",
    # order status
    "sales_order": """key number portal_ref channel dealer_key address_key ship_to:json customer_ref
        contact_key entered_by sales_rep_key ordered_at:instant ordered_at_exact:bool
        requested_on:date expected_on:date currency net:money tax:money gross:money open_gross:money
        status status_raw status_reason approved_at:instant first_shipped_at:instant
        delivered_at:instant cancelled_at:instant changed_at:instant backorder_of entry_error
        attributes:json""",
    "sales_order_line": """order_key line_no portal_line product_key qty:qty uom qty_confirmed:qty
        qty_shipped:qty qty_invoiced:qty qty_cancelled:qty unit_price:price per:int discount_pct:pct
        net:money tax_pct:pct gross:money expected_on:date warehouse_key status reason
        replaces_product_key""",
    "shipment": """key order_key shipped_at:instant delivered_at:instant carrier tracking_no
        tracking_url""",
    "shipment_line": "shipment_key order_line_no qty:qty lot",
    "order_event": "order_key seq:int at:instant kind old:json new:json text actor source",
    # markers of rows that are gone
    "deleted": "table key",
}

KEYS: Mapping[str, tuple[str, ...]] = {
    "dealer": ("key",),
    "dealer_group": ("dealer_key", "kind", "group_key", "category_key", "valid_from"),
    "dealer_address": ("dealer_key", "key"),
    "dealer_contact": ("dealer_key", "key"),
    "product": ("key",),
    "product_text": ("product_key", "language"),
    "product_uom": ("product_key", "uom"),
    "category": ("key",),
    "product_category": ("product_key", "category_key"),
    "product_document": ("key",),
    "substitute": ("product_key", "substitute_key"),
    "catalogue_grant": ("key",),
    "price": ("header_key", "min_qty"),
    "warehouse": ("key",),
    "stock": ("product_key", "warehouse_key"),
    "stock_expected": ("key",),
    "credit": ("account_key", "currency"),
    "invoice": ("key",),
    "invoice_line": ("invoice_key", "line_no"),
    "payment": ("key",),
    "payment_allocation": ("payment_key", "invoice_key"),
    "document": ("key",),
    "sales_order": ("key",),
    "sales_order_line": ("order_key", "line_no"),
    "shipment": ("key",),
    "shipment_line": ("shipment_key", "order_line_no"),
    "order_event": ("order_key", "seq"),
    "deleted": ("table", "key"),
}

# child table -> (column naming its parent, parent table)
PARENTS: Mapping[str, tuple[str, str]] = {
    "dealer_group": ("dealer_key", "dealer"),
    "dealer_address": ("dealer_key", "dealer"),
    "dealer_contact": ("dealer_key", "dealer"),
    "product_text": ("product_key", "product"),
    "product_uom": ("product_key", "product"),
    "product_category": ("product_key", "product"),
    "product_document": ("product_key", "product"),
    "substitute": ("product_key", "product"),
    "invoice_line": ("invoice_key", "invoice"),
    "payment_allocation": ("payment_key", "payment"),
    "sales_order_line": ("order_key", "sales_order"),
    "shipment": ("order_key", "sales_order"),
    "shipment_line": ("shipment_key", "shipment"),
    "order_event": ("order_key", "sales_order"),
}

# erp -> kind of key -> the ERP whose keys it uses (its own when unsaid)
REFERS: Mapping[str, Mapping[str, str]] = {
    "cedar": {"dealer": "birch"},
    "wwi_soap": {"product": "wwi_sftp"},
    "wwi_rest": {"dealer": "wwi_soap", "product": "wwi_sftp", "warehouse": "wwi_sftp"},
    "wwi_sftp": {"dealer": "wwi_soap"},
}

TIME_ZONES: Mapping[str, str] = {
    "anvil": "Europe/Berlin",
    "birch": "UTC",
    "cedar": "Europe/Istanbul",
    # Wide World Importers gives times without saying their zone: taken as they stand.
    "wwi_soap": "UTC",
    "wwi_rest": "UTC",
    "wwi_sftp": "UTC",
}


def empty_schema(table: str) -> pa.Schema:
    """The Arrow schema of one table, columns in their order. KeyError for an unknown table."""
    columns = [word.partition(":") for word in SHAPE[table].split()]
    fields = [pa.field("erp", pa.string(), nullable=False)]
    fields += [pa.field(name, TYPES[kind or "text"]) for name, _, kind in columns]
    return pa.schema([*fields, pa.field("modified_at", TYPES["instant"], nullable=False)])


SCHEMAS: Mapping[str, pa.Schema] = {table: empty_schema(table) for table in SHAPE}


def key_texts(table: str, rows: pa.Table) -> pa.ChunkedArray:
    """The key of each row as one text: the columns of `KEYS` joined by `|`, null as empty."""
    parts = [pc.fill_null(pc.cast(rows[name], pa.string()), "") for name in KEYS[table]]
    return parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, "|")
