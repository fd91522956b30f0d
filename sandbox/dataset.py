"""The class that holds a data set of the practice ERPs; its shape is `sandbox.dataset_shape`.

A `Dataset` is a fixed set of Arrow tables in canonical, dialect-free terms: exact decimals, dates,
UTC instants, plain codes. The servers turn them into their own dialects (dates as 20260131, decimal
comma, X for true ...); nothing here knows a dialect or a wire. What the tables say must be true
among themselves: every key that is named exists, lines add up to their heads.

On disk a data set is a folder with one Parquet file a table and `dataset.json` (its `as_of` day).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sandbox.dataset_shape import SCHEMAS, SHAPE

if TYPE_CHECKING:
    from sandbox.generator import Size


@dataclass(frozen=True)
class Dataset:
    """All tables of `SHAPE`, as they stood in the morning of `as_of`. Never changed in place.

    `tables` may leave tables out (they become empty); a table whose schema is not that of
    `empty_schema` raises ValueError.
    """

    tables: Mapping[str, pa.Table]
    as_of: date

    def __post_init__(self) -> None:
        """Fill in absent tables and refuse tables of another shape."""
        unknown = self.tables.keys() - SHAPE.keys()
        if unknown:
            message = f"no such table in a data set: {', '.join(sorted(unknown))}"
            raise ValueError(message)
        full = {name: self.tables.get(name, SCHEMAS[name].empty_table()) for name in SHAPE}
        for name, table in full.items():
            if not table.schema.equals(SCHEMAS[name]):
                message = f"table {name} is not of the documented shape:\n{table.schema}"
                raise ValueError(message)
        object.__setattr__(self, "tables", full)

    def __getitem__(self, table: str) -> pa.Table:
        """One table by its name."""
        return self.tables[table]

    @property
    def erps(self) -> list[str]:
        """The ERPs that serve any row, sorted."""
        found = {erp for table in self.tables.values() for erp in table["erp"].unique().to_pylist()}
        return sorted(found)

    def of(self, erp: str) -> "Dataset":
        """The rows that one ERP serves."""
        mine = {name: t.filter(pc.equal(t["erp"], erp)) for name, t in self.tables.items()}
        return Dataset(mine, self.as_of)

    def replace(self, **tables: pa.Table) -> "Dataset":
        """A copy with the given tables in place of its own."""
        return Dataset({**self.tables, **tables}, self.as_of)

    def changed(self, seed: int, share: float = 0.01) -> "Dataset":
        """The next night: see `sandbox.generator.next_night.next_night`."""
        from sandbox.generator.next_night import next_night  # noqa: PLC0415  it imports this module

        return next_night(self, seed, share)

    def write(self, folder: Path) -> None:
        """Write one Parquet file a table and `dataset.json` into `folder`, made if absent."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in self.tables.items():
            pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
        (folder / "dataset.json").write_text(json.dumps({"as_of": self.as_of.isoformat()}))

    @classmethod
    def read(cls, folder: Path) -> "Dataset":
        """Read what `write` wrote. FileNotFoundError, or ValueError for another shape."""
        as_of = date.fromisoformat(json.loads((folder / "dataset.json").read_text())["as_of"])
        tables = {name: pq.read_table(folder / f"{name}.parquet") for name in SHAPE}
        return cls({name: t.cast(SCHEMAS[name]) for name, t in tables.items()}, as_of)


def load(source: "Path | str | Size | None" = None, *, seed: int = 1) -> Dataset:
    """A data set from a folder, or a generated one.

    `source`: nothing (generated at the default size), a `Size`, the name of a preset (`"tiny"`,
    `"default"`), a folder in this shape, or a folder of Wide World Importers' Parquet files.
    FileNotFoundError when it is a folder of neither kind.
    """
    from sandbox.generator import PRESETS, Size, generate  # noqa: PLC0415  it imports this module
    from sandbox.wwi import is_wwi, read_wwi  # noqa: PLC0415  it imports this module

    if source is None:
        return generate(seed=seed)
    if isinstance(source, Size):
        return generate(source, seed=seed)
    if str(source) in PRESETS:
        return generate(PRESETS[str(source)], seed=seed)
    folder = Path(source)
    if is_wwi(folder):
        return read_wwi(folder)
    if (folder / "dataset.json").is_file():
        return Dataset.read(folder)
    message = (
        f"{folder} holds no data set: expected dataset.json and one Parquet file a table, "
        "or the Parquet files of Wide World Importers"
    )
    raise FileNotFoundError(message)
