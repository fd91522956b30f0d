"""One load by one peer, run inside the peer's own environment: nothing of ours is imported here.

Arguments: peer, database URL, clean CSV file, schema, first | merge.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def main() -> None:
    """Do what the arguments say; a failure ends with a traceback or the peer's own code."""
    peer, url, file, schema, mode = sys.argv[1:]
    {"dlt": _dlt, "sling": _sling, "ingestr": _ingestr}[peer](url, file, schema, mode)


def _dlt(url: str, file: str, schema: str, mode: str) -> None:
    import dlt  # pyright: ignore[reportMissingImports]
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    os.environ["NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID"] = "false"
    types = {
        "min_qty": pa.decimal128(12, 3),
        "unit_price": pa.decimal128(18, 4),
        "valid_from": pa.date32(),
        "valid_to": pa.date32(),
    }

    @dlt.resource(
        name="price",
        primary_key=["header_key", "min_qty"],
        write_disposition={"disposition": "merge", "strategy": "upsert"}
        if mode == "merge"
        else "replace",
    )
    def price():  # noqa: ANN202
        options = pa_csv.ConvertOptions(column_types=types)
        yield from pa_csv.open_csv(file, convert_options=options)

    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=str(Path(file).parent / "dlt_state"),
        destination=dlt.destinations.postgres(url),
        dataset_name=schema,
    )
    pipeline.run(price(), loader_file_format="parquet").raise_on_failed_jobs()


def _sling(url: str, file: str, schema: str, mode: str) -> None:
    binary = next(
        path
        for path in Path(sys.prefix).rglob("sling-linux-amd64")
        if path.is_file() and os.access(path, os.X_OK)
    )
    more = ["--mode", "full-refresh"] if mode == "first" else ["--mode", "incremental"]
    subprocess.run(
        [
            str(binary), "run", "--src-stream", f"file://{file}", "--tgt-conn", url,
            "--tgt-object", f"{schema}.price", "--primary-key", "header_key,min_qty", *more,
        ],
        check=True,
        env={**os.environ, "SLING_HOME_DIR": str(Path(file).parent / "sling")},
    )  # fmt: skip


def _ingestr(url: str, file: str, schema: str, mode: str) -> None:
    more = (
        ["--incremental-strategy", "replace"]
        if mode == "first"
        else ["--incremental-strategy", "merge"]
    )
    subprocess.run(
        [
            str(Path(sys.prefix) / "bin" / "ingestr"), "ingest", "--source-uri", f"csv://{file}",
            "--source-table", "price", "--dest-uri", url, "--dest-table", f"{schema}.price",
            "--primary-key", "header_key", "--primary-key", "min_qty", "--yes", *more,
        ],
        check=True,
        env={**os.environ, "DISABLE_TELEMETRY": "true"},
    )  # fmt: skip


if __name__ == "__main__":
    main()
