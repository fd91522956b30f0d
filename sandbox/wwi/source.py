"""Wide World Importers' tables, and their columns as exact values. Knows nothing of our tables."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sandbox.generator.columns import SECONDS_A_DAY, Ints, Texts, days, fine_qty

SOAP, REST, SFTP = "wwi_soap", "wwi_rest", "wwi_sftp"
# A pandas column or frame: its type checkers cannot tell which an index yields.
Column = Any
Frame = Any


class Source:
    """The source's tables as pandas frames, each read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._frames: dict[str, Frame] = {}

    def __getitem__(self, name: str) -> Frame:
        """One table."""
        if name not in self._frames:
            self._frames[name] = pq.read_table(self._folder / f"{name}.parquet").to_pandas()
        return self._frames[name]

    def names(self, table: str, key: str, name: str) -> Column:
        """A code list: key -> name."""
        return self[table].set_index(key)[name]


def keys_of(column: Column) -> pa.Array:
    """Whole numbers (perhaps held as floats) as text, null where absent."""
    whole = column.fillna(0).to_numpy().astype(np.int64)
    return pa.array(whole, mask=column.isna().to_numpy()).cast(pa.string())


def texts_of(column: Column) -> Texts:
    """Text with None where absent."""
    values = column.astype(object)
    return values.where(column.notna(), None).to_numpy(dtype=object)


def cents_of(column: Column) -> Ints:
    """Exact cents of a float column that holds two decimals; absent is 0."""
    return np.rint(column.fillna(0).to_numpy(dtype=np.float64) * 100).astype(np.int64)


def seconds_of(column: Column) -> Ints:
    """Seconds since 1970; absent is 0."""
    return column.fillna(pd.Timestamp(0)).to_numpy().astype("datetime64[s]").astype(np.int64)


def days_of(column: Column) -> pa.Array:
    """Dates, null where absent."""
    return days(seconds_of(column) // SECONDS_A_DAY, column.notna().to_numpy())


def whole_of(column: Column) -> Ints:
    """Whole numbers of a column that lacks none."""
    return column.to_numpy().astype(np.int64)


def thousandths_of(column: Column) -> pa.Array:
    """Quantities out of floats with up to three decimals."""
    return fine_qty(np.rint(column.to_numpy(dtype=np.float64) * 1000).astype(np.int64))
