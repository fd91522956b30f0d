"""The same prices over OData and SOAP: our whole pipeline from a server on loopback, beside COPY.

`python -m bench.over_wire --rows 200000 --json FILE`. The server is a process of its own that has
its pages in memory (`bench.wire_server`). After each case the whole table is compared with what the
price file says (`bench.truth`); a wrong row ends the call with 1.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

from bench.__main__ import ROOT, make_files
from bench.installation import Installation
from bench.priority import before_others
from bench.subject import Subject
from bench.truth import differences
from bench.wire_server import ODATA_PAGE

CASES: Final = ("first", "same_again", "changed_1")
WIRES: Final = ("odata", "soap")
_FILES: Final = {"same_again": "first"}


def main() -> None:
    """Every case of every wire once a round, psql's COPY before each."""
    parser = argparse.ArgumentParser(prog="bench.over_wire", description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--wires", default=",".join(WIRES))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--profile", type=Path, help="folder for a cProfile of each case")
    parser.add_argument("--priority", action="store_true", help="before other work (root only)")
    parser.add_argument("--folder", default=str(ROOT / "var" / "bench"))
    given = parser.parse_args()
    folder = Path(given.folder)
    files = make_files(folder, given.rows, ("first", "changed_1", "clean"))
    found: dict[str, list[dict[str, Any]]] = {}
    installation = Installation(folder)
    try:
        with before_others(installation.home, wanted=given.priority), _Server() as server:
            for number in range(given.rounds):
                for wire in given.wires.split(","):
                    erp = f"{wire}{int(time.time()) % 1_000_000}r{number}"
                    _round(installation, server, erp, wire, files, found, given.profile)
    finally:
        installation.close()
    items = [_item(case, given.rows, runs) for case, runs in found.items()]
    print(json.dumps(items, indent=1))
    if given.json:
        given.json.write_text(json.dumps(items, indent=1) + "\n", encoding="utf-8")
    if not all(one["right"] for one in items):
        sys.exit(1)


class _Server:
    """The process that serves the pages. Use as a context manager."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.wire_server"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.port = int(self._said())
        self._has: Path | None = None
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.communicate()

    def offer(self, file: Path) -> None:
        """Make pages of a price file, and serve them from now on."""
        if file == self._has or self._process.stdin is None:
            return
        self._process.stdin.write(f"{file}\n")
        self._process.stdin.flush()
        if self._said().strip() != "ready":
            raise RuntimeError("the server of the pages has ended")
        self._has = file

    def _said(self) -> str:
        return self._process.stdout.readline() if self._process.stdout else ""


def _round(
    installation: Installation,
    server: _Server,
    erp: str,
    wire: str,
    files: dict[str, Path],
    found: dict[str, list[dict[str, Any]]],
    profiles: Path | None,
) -> None:
    with _connected(installation, server, erp, wire) as subject:
        for feed in ("customers", "products"):
            subject.run(erp, feed)
        for case in CASES:
            file = files[_FILES.get(case, case)]
            server.offer(file)
            began = time.monotonic()
            subprocess.run(installation.psql_copy(files["clean"]), check=True)
            limit = time.monotonic() - began
            more: dict[str, object] = {}
            if profiles is not None:
                profiles.mkdir(parents=True, exist_ok=True)
                more["profile"] = str(profiles / f"{wire}_{case}.prof")
            answer = subject.run(erp, "prices", **more)
            wrong = differences(installation.url, erp, file)
            if answer["state"] != "done" or not answer["agrees"]:
                wrong.append(f"{answer['state']}: {answer['stops']}")
            answer |= {"ratio": answer["seconds"] / limit, "right": not wrong}
            found.setdefault(f"{wire}_{case}", []).append(answer)
            timings = " ".join(f"{k} {v:.2f}" for k, v in answer["timings"].items())
            print(
                f"{wire} {case}: {answer['seconds']:.2f} s / {limit:.2f} s, cpu "
                f"{answer['cpu']:.2f} + {answer['server_cpu']:.2f}, {timings}",
                file=sys.stderr, flush=True,
            )  # fmt: skip
            for one in wrong:
                print(f"WRONG {wire} {case}: {one}", file=sys.stderr, flush=True)
    installation.forget_prices(erp)


@contextmanager
def _connected(
    installation: Installation, server: _Server, erp: str, wire: str
) -> Iterator[Subject]:
    """Prices come over the wire; dealers and products from the folder, as ever."""
    top = installation.folder / "exports" / erp
    wsdl = installation.folder / "erp.wsdl"
    if wire == "soap":
        from sandbox.soap.wsdl import wsdl as written

        wsdl.write_bytes(written())
    extra = {
        "path": str(top), "scheme": "http", "sign_in": "none", "wsdl": str(wsdl),
        "service_root": f"http://127.0.0.1:{server.port}/api",
    }  # fmt: skip
    installation.add_erp(
        erp, prices={"odata": _odata(), "soap": _soap()}[wire],
        conn_type="http", host="127.0.0.1", port=server.port, schema="http", extra=extra,
    )  # fmt: skip
    with Subject(installation) as subject:
        yield subject


def _odata() -> dict[str, Any]:
    return {
        "source": {"protocol": "odata", "entity": "Prices", "page_size": str(ODATA_PAGE)},
        "fields": {
            "header_key": {"from": "PriceNo"},
            "dealer_key": {"from": "CustomerNo"},
            "product_key": {"from": "ItemNo"},
            "currency": {"from": "Currency"},
            "uom": {"from": "Unit"},
            "min_qty": {"from": "MinimumQuantity"},
            "unit_price": {"from": "UnitPrice"},
            "valid_from": {"from": "ValidFrom", "through": ["iso_date"]},
            "valid_to": {"from": "ValidTo", "through": ["iso_date", "date_end_inclusive"]},
        },
    }


def _soap() -> dict[str, Any]:
    return {
        "source": {
            "protocol": "soap", "operation": "GetConditionList", "records": "CONDITIONS/item",
            "page": {"request": "NEXT", "response": "NEXT"}, "count": "TOTALCOUNT",
            "error": "RETURN/TYPE", "error_ok": ["S"],
        },
        "fields": {
            "header_key": {"from": "KNUMH"},
            "dealer_key": {"from": "KUNNR"},
            "product_key": {"from": "MATNR"},
            "currency": {"from": "WAERS"},
            "uom": {"from": "KMEIN"},
            "min_qty": {"from": "KSTBM"},
            "unit_price": {"from": "KBETR"},
            "valid_from": {"from": "DATAB", "through": ["yyyymmdd"]},
            "valid_to": {"from": "DATBI", "through": ["yyyymmdd", "date_end_inclusive"]},
        },
    }  # fmt: skip


def _item(case: str, rows: int, runs: list[dict[str, Any]]) -> dict[str, Any]:
    def median(name: str) -> float:
        return round(statistics.median(one[name] for one in runs), 2)

    steps = {k: round(v, 2) for k, v in runs[-1]["timings"].items()}
    return {
        "case": case, "rows": rows, "ratio": median("ratio"), "seconds": median("seconds"),
        "peak_mb": median("peak_mb"), "wal_mb": median("wal_mb"),
        "right": all(one["right"] for one in runs), "cpu_s": median("cpu"),
        "server_cpu_s": median("server_cpu"), "rounds": len(runs), "timings": steps,
    }  # fmt: skip


if __name__ == "__main__":
    main()
