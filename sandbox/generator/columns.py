"""Columns of generated values: from numpy arrays to Arrow columns of the documented shape.

Works on whole columns. It must know nothing of what the values mean.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sandbox.dataset_shape import SCHEMAS

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.object_]
DECIMAL_BYTES = 16
# An absent text, to choose with numpy.where.
ABSENT: Texts = np.array([None], dtype=object)
SECONDS_A_DAY = 86_400
# Business hours in UTC. Local time is unambiguous then in every zone of the practice ERPs.
FIRST_SECOND = 6 * 3600
BUSINESS_SECONDS = 10 * 3600


def decimals(values: Ints, kind: pa.DataType, present: Bools | None = None) -> pa.Array:
    """Exact decimals of type `kind` out of whole numbers at its scale; null where not present."""
    wide = np.empty((len(values), 2), dtype=np.int64)
    wide[:, 0] = values
    wide[:, 1] = values >> 63
    bitmap = None
    if present is not None:
        bitmap = pa.py_buffer(np.packbits(present, bitorder="little").tobytes())
    return pa.Array.from_buffers(kind, len(values), [bitmap, pa.py_buffer(wide.tobytes())])


def scaled(column: pa.Array | pa.ChunkedArray) -> Ints:
    """The whole numbers behind a decimal128 column at its own scale; null is 0."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if len(whole) == 0:
        return np.zeros(0, dtype=np.int64)
    words = np.frombuffer(whole.fill_null(0).buffers()[1], dtype=np.int64)
    return words[2 * whole.offset : 2 * (whole.offset + len(whole)) : 2].copy()


def qty(whole: Ints, present: Bools | None = None) -> pa.Array:
    """Quantities out of whole pieces."""
    return decimals(whole * 1_000_000, pa.decimal128(18, 6), present)


def fine_qty(thousandths: Ints, present: Bools | None = None) -> pa.Array:
    """Quantities out of thousandths."""
    return decimals(thousandths * 1000, pa.decimal128(18, 6), present)


def money(cents: Ints, present: Bools | None = None) -> pa.Array:
    """Amounts out of cents."""
    return decimals(cents * 100, pa.decimal128(18, 4), present)


def price(ten_thousandths: Ints, present: Bools | None = None) -> pa.Array:
    """Unit prices out of ten-thousandths of the currency."""
    return decimals(ten_thousandths * 100, pa.decimal128(18, 6), present)


def pct(hundredths: Ints, present: Bools | None = None) -> pa.Array:
    """Percentages out of hundredths of a percent."""
    return decimals(hundredths * 10_000, pa.decimal128(9, 6), present)


def days(numbers: Ints, present: Bools | None = None) -> pa.Array:
    """Dates out of days since 1970; null where not present."""
    mask = None if present is None else ~present
    return pa.array(numbers.astype(np.int32), pa.int32(), mask=mask).cast(pa.date32())


def instants(seconds: Ints, present: Bools | None = None) -> pa.Array:
    """UTC instants out of seconds since 1970; null where not present."""
    mask = None if present is None else ~present
    micros = pa.array(seconds * 1_000_000, pa.int64(), mask=mask)
    return micros.cast(pa.timestamp("us", tz="UTC"))


def business_seconds(rng: np.random.Generator, day_numbers: Ints) -> Ints:
    """Seconds since 1970 within the business hours of the given days."""
    return (
        day_numbers * SECONDS_A_DAY
        + FIRST_SECOND
        + rng.integers(0, BUSINESS_SECONDS, len(day_numbers))
    )


def some(values: npt.ArrayLike, present: Bools) -> pa.Array:
    """Texts, whole numbers or booleans, null where not present."""
    return pa.array(np.asarray(values), mask=~present, from_pandas=False)


def pick(rng: np.random.Generator, values: Sequence[str], n: int) -> Texts:
    """`n` draws out of `values`."""
    return np.array(values, dtype=object)[rng.integers(0, len(values), n)]


def texts(form: str, *numbers: npt.ArrayLike) -> Texts:
    """Texts made by a %-form out of one or more equally long columns."""
    columns = [np.asarray(column).tolist() for column in numbers]
    return np.array([form % row for row in zip(*columns, strict=True)], dtype=object)


def day_number(day: date) -> int:
    """Days since 1970."""
    return (day - date(1970, 1, 1)).days


def half_up(numerator: Ints, denominator: int) -> Ints:
    """Exact division of whole numbers, rounded half away from zero."""
    sign = np.sign(numerator)
    return sign * ((2 * np.abs(numerator) + denominator) // (2 * denominator))


Value = (
    pa.Array | pa.ChunkedArray | npt.NDArray[Any] | list[Any] | tuple[Any, ...] | str | bool | int
)


def build(table: str, erp: str, n: int, modified: Ints, **columns: Value) -> pa.Table:
    """A table of the documented shape; a single value fills its column, columns unsaid are null.

    `modified`: seconds since 1970. TypeError for a column the table does not have.
    """
    schema = SCHEMAS[table]
    unknown = columns.keys() - set(schema.names)
    if unknown:
        message = f"{table} has no column {', '.join(sorted(unknown))}"
        raise TypeError(message)
    given: dict[str, Value] = {**columns, "erp": erp, "modified_at": instants(modified)}
    return pa.table([_column(given.get(f.name), f.type, n) for f in schema], schema=schema)


def _column(value: Value | None, kind: pa.DataType, n: int) -> pa.Array | pa.ChunkedArray:
    if value is None:
        return pa.nulls(n, kind)
    if isinstance(value, (str, bool, int)):
        return pa.repeat(pa.scalar(value, kind), n)
    if isinstance(value, (np.ndarray, list, tuple)):
        return pa.array(value, kind)
    return value if value.type.equals(kind) else value.cast(kind)
