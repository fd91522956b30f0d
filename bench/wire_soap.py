"""SOAP pages to columns, against bare lxml, zeep's objects and pandas on the same bytes.

    python -m bench.wire_soap --items 200000 --pages 20 --rounds 3 --json FILE

Each case runs in a process of its own, the cases in turns. `ours` is the real connector over HTTP
from a server on loopback (whole answers, counted, their hashes taken) and the real reader; the
others are given the same bytes from a file, without a network. `lxml` is the least that anybody
can do: iterparse, one text of each record, free it. Every case adds up the prices exactly; a sum
that is not right fails the run. `--items 9000000 --pages 1 --cases lxml,ours` is a file of 2 GB.
"""

from __future__ import annotations

import argparse
import gc
import io
import itertools
import json
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil

PATHS = (
    "KNUMH", "KSCHL", "KUNNR", "MATNR", "WAERS", "KMEIN", "KPEIN", "KSTBM", "KBETR", "DATAB",
    "DATBI",
)  # fmt: skip
ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
NAMESPACE = "urn:practice:erp:portal"
_PIECE = 2000
_MIB = 1024 * 1024


def item(number: int) -> str:
    """One price; every third has no customer, as in a real list."""
    customer = f"<KUNNR>{number % 3000:07}</KUNNR>" if number % 3 else ""
    return (
        f"<item><KNUMH>{number:010}</KNUMH><KSCHL>PR00</KSCHL>{customer}"
        f"<MATNR>M-{number % 50_000:06}</MATNR><WAERS>EUR</WAERS><KMEIN>ST</KMEIN>"
        f"<KPEIN>00001</KPEIN><KSTBM>{number % 7}</KSTBM><KBETR>{price(number)}</KBETR>"
        "<DATAB>20260101</DATAB><DATBI>99991231</DATBI></item>"
    )


def price(number: int) -> str:
    """Its price, two decimals."""
    return f"{number * 7919 % 9973}.{number % 100:02}"


def write_pages(folder: Path, items: int, pages: int) -> Decimal:
    """Write the answers as files; the exact sum of all prices."""
    size = -(-items // pages)
    total = Decimal(0)
    for page in range(pages):
        first, last = page * size, min((page + 1) * size, items)
        with (folder / f"{page:05}.xml").open("w", encoding="utf-8") as file:
            file.write(
                f'<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="{ENVELOPE}">'
                f'<soap:Header/><soap:Body><GetConditionListResponse xmlns="{NAMESPACE}">'
                f"<TOTALCOUNT>{items}</TOTALCOUNT><RETURN><TYPE>S</TYPE></RETURN><CONDITIONS>"
            )
            for start in range(first, last, _PIECE):
                piece = range(start, min(start + _PIECE, last))
                file.write("".join(map(item, piece)))
                total += sum(Decimal(price(number)) for number in piece)
            following = f"search-1:{page + 1}" if page + 1 < pages else ""
            file.write(
                f"</CONDITIONS><NEXT>{following}</NEXT></GetConditionListResponse>"
                "</soap:Body></soap:Envelope>"
            )
    return total


def files(folder: Path) -> list[Path]:
    """The answers in order."""
    return sorted(folder.glob("*.xml"))


# --- the cases: each returns (records, sum of the prices) -----------------------------------------


def lxml(folder: Path) -> Callable[[], tuple[int, Decimal]]:
    """The limit: iterparse, one text of each record."""
    from lxml import etree

    def work() -> tuple[int, Decimal]:
        count, total = 0, Decimal(0)
        for file in files(folder):
            for _, record in etree.iterparse(file, tag=f"{{{NAMESPACE}}}item", huge_tree=True):
                count += 1
                total += Decimal(record.findtext(f"{{{NAMESPACE}}}KBETR"))
                record.clear()
                while record.getprevious() is not None:
                    del record.getparent()[0]
        return count, total

    return work


def lxml_rows(folder: Path) -> Callable[[], tuple[int, Decimal]]:
    """The same with all texts of each record in a dictionary."""
    from lxml import etree

    def work() -> tuple[int, Decimal]:
        count, total = 0, Decimal(0)
        for file in files(folder):
            for _, record in etree.iterparse(file, tag=f"{{{NAMESPACE}}}item", huge_tree=True):
                row = {child.tag: child.text for child in record}
                count += 1
                total += Decimal(row[f"{{{NAMESPACE}}}KBETR"])
                record.clear()
                while record.getprevious() is not None:
                    del record.getparent()[0]
        return count, total

    return work


def ours(folder: Path) -> Callable[[], tuple[int, Decimal]]:
    """The connector over HTTP and the reader."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from connectors.formats import read_page
    from connectors.formats.raw import RawChunk, ReadPlan
    from connectors.soap import SoapConnector
    from mappings.connection import Connection
    from mappings.sources import SoapSource

    source = SoapSource.model_validate(
        {
            "protocol": "soap",
            "operation": "GetConditionList",
            "records": "CONDITIONS/item",
            "page": {"request": "NEXT", "response": "NEXT"},
            "count": "TOTALCOUNT",
            "error": "RETURN/TYPE",
            "error_ok": ("S",),
        }
    )
    plan = ReadPlan("price", source, PATHS)
    port = int((folder / "port").read_text())
    extra = {"wsdl": str(folder / "erp.wsdl"), "sign_in": "none"}
    there = Connection("bench", "soap", "127.0.0.1", port, schema="http", extra=extra)
    connector = SoapConnector(there, "bench", timeout=3600, page_bytes=1 << 40)
    connector.check()  # the WSDL is read once, not per pull
    pa.array(["x"])  # Arrow imports pandas when it makes its first array

    def work() -> tuple[int, Decimal]:
        count, total = 0, Decimal(0)
        first: dict[str, int] = {}
        for number, page in enumerate(connector.read(source, None), start=1):
            content = _Pieces(iter(page.content))
            for chunk in read_page(io.BufferedReader(content, 1 << 20), plan, number, first):
                if isinstance(chunk, RawChunk):
                    count += chunk.columns.num_rows
                    prices = chunk.columns["KBETR"].cast(pa.decimal128(18, 4))
                    total += pc.sum(prices).as_py()
        return count, total

    return work


def zeep(folder: Path) -> Callable[[], tuple[int, Decimal]]:
    """zeep's own objects."""
    import zeep as library

    client = library.Client(str(folder / "erp.wsdl"))
    binding = client.service._binding  # noqa: SLF001  what zeep does behind its proxy
    operation = binding.get("GetConditionList")

    class Reply:
        status_code = 200
        encoding = "utf-8"
        headers = {"Content-Type": "text/xml; charset=utf-8"}  # noqa: RUF012  a stand-in

        def __init__(self, content: bytes) -> None:
            self.content = content

    def work() -> tuple[int, Decimal]:
        count, total = 0, Decimal(0)
        with client.settings(xml_huge_tree=True):
            for file in files(folder):
                found = binding.process_reply(client, operation, Reply(file.read_bytes()))
                count += len(found.CONDITIONS.item)
                total += sum(Decimal(one.KBETR) for one in found.CONDITIONS.item)
        return count, total

    return work


def pandas(folder: Path) -> Callable[[], tuple[int, Decimal]]:
    """pandas.read_xml, all columns as text."""
    from pandas import read_xml

    def work() -> tuple[int, Decimal]:
        count, total = 0, Decimal(0)
        for file in files(folder):
            frame = read_xml(
                file, xpath=".//e:CONDITIONS/e:item", namespaces={"e": NAMESPACE}, dtype=str
            )
            count += len(frame)
            total += sum(map(Decimal, frame["KBETR"]))
        return count, total

    return work


CASES = {case.__name__: case for case in (lxml, lxml_rows, ours, zeep, pandas)}


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  Buffer has no name before 3.12
        """Fill the buffer, as far as there is something."""
        rest = self._rest or next(self._pieces, b"")
        size = min(len(rest), len(buffer))
        buffer[:size] = rest[:size]
        self._rest = rest[size:]
        return size


def run_case(name: str, folder: Path) -> dict[str, object]:
    """One case in this process: seconds, and memory above that after its imports."""
    work = CASES[name](folder)
    gc.collect()
    before = psutil.Process().memory_info().rss
    began, cpu = time.perf_counter(), time.process_time()
    count, total = work()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    peak = _highest()
    return {
        "case": name,
        "items": count,
        "sum": str(total),
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu, 3),
        "import_mb": round(before / _MIB, 1),
        "peak_mb": round(peak / _MIB, 1),
        "above_mb": round(max(peak - before, 0) / _MIB, 1),
    }


def _highest() -> int:
    """The most memory that this process ever had; getrusage would tell its parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s*(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


def serve(folder: Path) -> None:
    """Answer with the files, by the token of the request. For ever, in a process of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """Serve the page that is asked for."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked = re.search(rb"NEXT>search-1:(\d+)<", body)
            page = folder / f"{int(asked[1]) if asked else 0:05}.xml"
            self.send_response(200)
            self.send_header("Content-Type", "text/xml; charset=utf-8")
            if b"Ping" in body:
                answer = f'<e:Envelope xmlns:e="{ENVELOPE}"><e:Body><P/></e:Body></e:Envelope>'
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer.encode())
                return
            self.send_header("Content-Length", str(page.stat().st_size))
            self.end_headers()
            with page.open("rb") as file:
                while piece := file.read(_MIB):
                    self.wfile.write(piece)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    (folder / "port").write_text(str(server.server_address[1]))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()  # until whoever started us is gone


def table(results: list[dict[str, object]], cases: list[str]) -> list[dict[str, object]]:
    """Medians, and the ratio to `lxml` by wall clock and by processor time."""
    found: list[dict[str, object]] = []
    middle: dict[tuple[str, str], float] = {}
    for case, word in itertools.product(cases, ("seconds", "cpu_seconds", "peak_mb", "above_mb")):
        values = [float(str(one[word])) for one in results if one["case"] == case]
        middle[case, word] = round(statistics.median(values), 3)
    for case in cases:
        line: dict[str, object] = {"case": case}
        for word in ("seconds", "cpu_seconds", "peak_mb", "above_mb"):
            line[word] = middle[case, word]
        for word in ("seconds", "cpu_seconds"):
            if "lxml" in cases:
                ratio = middle[case, word] / middle["lxml", word]
                line["ratio" if word == "seconds" else "cpu_ratio"] = round(ratio, 2)
        found.append(line)
    return found


def measure(told: argparse.Namespace, folder: Path) -> dict[str, object]:
    """All cases in turns, `rounds` times."""
    from sandbox.soap.wsdl import wsdl

    (folder / "erp.wsdl").write_bytes(wsdl())
    total = write_pages(folder, told.items, told.pages)
    size = sum(file.stat().st_size for file in files(folder))
    cases: list[str] = told.cases.split(",")
    base: list[str] = [sys.executable, "-m", "bench.wire_soap", "--folder", str(folder)]
    results: list[dict[str, object]] = []
    with subprocess.Popen([*base, "--serve"], stdin=subprocess.PIPE) as server:
        while not (folder / "port").exists():
            time.sleep(0.05)
        for _, case in itertools.product(range(told.rounds), cases):
            done = subprocess.run([*base, "--case", case], capture_output=True, check=True)
            result = json.loads(done.stdout)
            result["right"] = (result["items"], Decimal(result["sum"])) == (told.items, total)
            results.append(result)
            print(json.dumps(result), file=sys.stderr)
        server.communicate()
    return {
        "items": told.items,
        "pages": told.pages,
        "bytes": size,
        "rounds": told.rounds,
        "medians": table(results, cases),
        "right": all(result["right"] for result in results),
        "runs": results,
    }


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--pages", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--json")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.serve:
        serve(told.folder)
        return
    if told.case:
        print(json.dumps(run_case(told.case, told.folder)))
        return
    with tempfile.TemporaryDirectory(prefix="waybill-bench-") as folder:
        report = measure(told, Path(folder))
    for line in report["medians"]:  # pyright: ignore[reportGeneralTypeIssues]  a list
        print(line)
    if told.json:
        Path(told.json).write_text(json.dumps(report, indent=1), encoding="utf-8")
    if not report["right"]:
        sys.exit("a case read something else than was written")


if __name__ == "__main__":
    main()
