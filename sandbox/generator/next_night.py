"""The next night: what an ERP's data may look like a day later. Makes a new data set.

`modified_at` moves on exactly the rows that differ; rows that go appear in `deleted`. The sums hold
afterwards as before: heads equal lines, balances equal what is open.
"""

from datetime import UTC, datetime, time, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sandbox.dataset import Dataset
from sandbox.dataset_shape import SCHEMAS, key_texts
from sandbox.generator.columns import Bools, Ints, decimals, scaled
from sandbox.generator.next_documents import bill, pay, recalculate
from sandbox.generator.next_orders import advance, place

CENT = 10_000  # in millionths, the scale of a price


def next_night(dataset: Dataset, seed: int, share: float) -> Dataset:
    """`dataset` a day later.

    About `share` of the price headers change by a few percent and the same share of stock moves.
    In each ERP that has such things one price header vanishes, one product is discontinued, a few
    invoices are paid and a few are new, a few orders advance and a few are new; accounts that this
    touches are recalculated. The same data set, seed and share give the same result.
    """
    rng = np.random.default_rng(seed)
    moment = datetime.combine(dataset.as_of, time(15, 30), UTC)
    night = _gone_prices(rng, dataset, moment)
    night = night.replace(
        price=_moved_prices(rng, night["price"], share, moment),
        stock=_moved_stock(rng, night["stock"], share, moment),
        product=_discontinued(rng, night["product"], moment),
    )
    accounts: set[tuple[str, str]] = set()
    for step in (pay, bill, advance, place):
        night, touched = step(rng, night, moment)
        accounts |= touched
    later = dataset.as_of + timedelta(days=1)
    night = recalculate(night, accounts, later, datetime.combine(later, time(4), UTC))
    return Dataset(night.tables, later)


def stamped(table: pa.Table, changed: Bools, moment: datetime) -> pa.Table:
    """The table with `modified_at` moved on the changed rows."""
    kind = SCHEMAS["price"].field("modified_at").type
    column = pc.if_else(pa.array(changed), pa.scalar(moment, kind), table["modified_at"])
    return _set(table, "modified_at", column)


def _set(table: pa.Table, name: str, column: pa.Array | pa.ChunkedArray) -> pa.Table:
    place_of = table.schema.get_field_index(name)
    return table.set_column(place_of, table.schema.field(name), column)


def _header_of(table: pa.Table) -> Ints:
    """A number for each row that its whole header shares."""
    header = pc.binary_join_element_wise(table["erp"], table["header_key"], "|")
    return np.asarray(header.combine_chunks().dictionary_encode().indices)


def _gone_prices(rng: np.random.Generator, dataset: Dataset, moment: datetime) -> Dataset:
    """One header of each ERP is gone, all its breaks with it."""
    price = dataset["price"]
    header = _header_of(price)
    erp = np.asarray(price["erp"])
    gone = np.zeros(price.num_rows, dtype=bool)
    for name in np.unique(erp):
        own = np.unique(header[erp == name])
        if len(own) > 1:
            gone |= header == rng.choice(own)
    rows = price.filter(pa.array(gone))
    marks = pa.table(
        [rows["erp"], pa.repeat("price", rows.num_rows), key_texts("price", rows),
         pa.repeat(pa.scalar(moment, SCHEMAS["deleted"].field("modified_at").type), rows.num_rows)],
        schema=SCHEMAS["deleted"],
    )  # fmt: skip
    deleted = pa.concat_tables([dataset["deleted"], marks])
    return dataset.replace(price=price.filter(pa.array(~gone)), deleted=deleted)


def _moved_prices(
    rng: np.random.Generator, price: pa.Table, share: float, moment: datetime
) -> pa.Table:
    """A few percent up or down, every break of a header alike, so that breaks keep falling."""
    header = _header_of(price)
    headers = int(header.max(initial=-1)) + 1
    if not headers:
        return price
    picked = rng.random(headers) < share
    picked[rng.integers(0, headers)] = True
    percent = rng.choice([95, 97, 98, 102, 103, 105], headers)[header]
    old = scaled(price["unit_price"])
    there = np.asarray(price["unit_price"].is_valid())
    new = np.maximum((old * percent // 100 + CENT // 2) // CENT * CENT, CENT)
    changed = picked[header] & there & (old > 0) & (new != old)
    column = decimals(np.where(changed, new, old), price.schema.field("unit_price").type, there)
    return stamped(_set(price, "unit_price", column), changed, moment)


def _moved_stock(
    rng: np.random.Generator, stock: pa.Table, share: float, moment: datetime
) -> pa.Table:
    """Pieces that came or went; the ERP's own available figure moves along where it has one."""
    n = stock.num_rows
    if not n:
        return stock
    changed = rng.random(n) < share
    changed[rng.integers(0, n)] = True
    move = np.where(changed, rng.choice([-7, -2, 5, 40], n) * 1_000_000, 0)
    for name in ("on_hand", "available"):
        there = np.asarray(stock[name].is_valid())
        column = decimals(scaled(stock[name]) + move, stock.schema.field(name).type, there)
        stock = _set(stock, name, column)
    kind = stock.schema.field("changed_at").type
    told = pc.and_(pa.array(changed), stock["changed_at"].is_valid())
    at = pc.if_else(told, pa.scalar(moment, kind), stock["changed_at"])
    return stamped(_set(stock, "changed_at", at), changed, moment)


def _discontinued(rng: np.random.Generator, product: pa.Table, moment: datetime) -> pa.Table:
    """One active product of each ERP is discontinued."""
    erp, status = np.asarray(product["erp"]), np.asarray(product["status"])
    changed = np.zeros(product.num_rows, dtype=bool)
    for name in np.unique(erp):
        own = np.flatnonzero((erp == name) & (status == "active"))
        if len(own):
            changed[rng.choice(own)] = True
    column = pc.if_else(pa.array(changed), "discontinued", product["status"])
    return stamped(_set(product, "status", column), changed, moment)
