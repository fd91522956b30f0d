"""OData over the wire against bare decoding: 200,000 items in pages of 1,000, as columns of text.

`python bench/wire_odata.py --items 200000 --json FILE`. Three kinds of process take turns, a round
each: `bare` decodes pages that lie in memory, `fetch` asks a server in another process for the same
pages through the connector and decodes nothing, `both` does what a feed does (fetch and decode).
Decoding is the reader's: msgspec structs, exact number literals, Arrow columns. Must not touch a
database.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import itertools
import json
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from connectors.formats import read_page
from connectors.formats.raw import RawChunk, ReadPlan
from connectors.odata import ODataConnector
from mappings.connection import Connection
from mappings.sources import ODataSource

SIZE = 1000
PATHS = (
    "ItemNo",
    "Price",
    "Currency",
    "ValidFrom",
    "MinimumQuantity",
    "Unit",
    "ModifiedAt",
    "Name",
)
SOURCE = ODataSource(protocol="odata", entity="Prices", cursor="ModifiedAt", page_size=SIZE)
PLAN = ReadPlan("price", SOURCE, PATHS)


def page(number: int, items: int) -> bytes:
    """One page as an ERP writes it: more properties than are wanted, decimals as numbers."""
    first = number * SIZE
    rows = [
        {
            "@odata.etag": f'W/"{n:08}"',
            "ItemNo": f"A{n:08}",
            "Price": n % 99991 / 100,
            "Currency": "EUR",
            "ValidFrom": "2026-01-01",
            "MinimumQuantity": n % 50 + 1,
            "Unit": "PCE",
            "ModifiedAt": f"2026-01-01T00:{n // 60 % 60:02}:{n % 60:02}.1234567Z",
            "Name": f"Ball bearing {n} mm, steel, öled",
            "Blocked": False,
            "Note": None,
            "Vendor": f"V{n % 311:05}",
        }
        for n in range(first, min(first + SIZE, items))
    ]
    body: dict[str, object] = {"@odata.context": "$metadata#Prices", "@odata.count": items}
    body["value"] = rows
    if first + SIZE < items:
        body["@odata.nextLink"] = f"Prices?$skiptoken={number + 1}"
    return json.dumps(body, ensure_ascii=False).encode()


def serve(items: int) -> None:
    """Pages from memory over HTTP/1.1, until the process is ended; prints its port first."""
    pages = [page(number, items) for number in range(-(-items // SIZE))]
    kind = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
    answers = [kind + str(len(p)).encode() + b"\r\n\r\n" + p for p in pages]
    total = str(items).encode()
    count = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: "
    counted = count + str(len(total)).encode() + b"\r\n\r\n" + total
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)

    def talk(peer: socket.socket) -> None:
        waiting = b""
        with peer:
            while piece := peer.recv(65536):
                waiting += piece
                while b"\r\n\r\n" in waiting:
                    head, _, waiting = waiting.partition(b"\r\n\r\n")
                    target = head.split(b" ", 2)[1]
                    token = target.partition(b"skiptoken=")[2]
                    number = int(token.partition(b"&")[0] or 0)
                    peer.sendall(counted if b"$count?" in target or target.endswith(b"$count")
                                 else answers[number])  # fmt: skip

    while True:
        peer, _ = listener.accept()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=talk, args=(peer,), daemon=True).start()


def fetched(port: int) -> Iterator[bytes]:
    """The pages, through the connector."""
    root = {"service_root": f"http://127.0.0.1:{port}/api"}
    where = Connection("bench", "http", "127.0.0.1", port, extra=root)
    with ODataConnector(where, "bench") as connector:
        for one in connector.read(SOURCE, None):
            yield b"".join(one.content)


def decoded(pages: Iterator[bytes]) -> tuple[int, str]:
    """How many records, and a digest of what was decoded: all ways must find the same."""
    first: dict[str, int] = {}
    rows, digest = 0, hashlib.sha256()
    for number, content in enumerate(pages, start=1):
        for chunk in read_page(io.BytesIO(content), PLAN, number, first):
            if isinstance(chunk, RawChunk):
                rows += chunk.columns.num_rows
                digest.update(str(chunk.columns["Price"][-1]).encode())
    return rows, digest.hexdigest()


def measure(way: str, items: int, port: int) -> dict[str, object]:
    """One round of one way, in this process."""
    ready: list[bytes] = []
    if way == "bare":
        ready = [page(number, items) for number in range(-(-items // SIZE))]
    ways: dict[str, Callable[[], tuple[int, str]]] = {
        "bare": lambda: decoded(iter(ready)),
        "fetch": lambda: (sum(1 for _ in fetched(port)) * SIZE, ""),
        "both": lambda: decoded(fetched(port)),
    }
    # imports, compiled structs and what a client makes for its first request are not measured
    decoded(itertools.islice(fetched(port), 1))
    began, cpu = time.perf_counter(), time.process_time()
    rows, digest = ways[way]()
    seconds = time.perf_counter() - began
    return {
        "seconds": seconds,
        "cpu": time.process_time() - cpu,
        "rows": rows,
        "digest": digest,
    }


def main() -> None:
    """Rounds in turn, medians and ratios."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--items", type=int, default=200_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--json", type=Path)
    options.add_argument("--way", help=argparse.SUPPRESS)
    options.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.way == "serve":
        serve(given.items)
    if given.way:
        print(json.dumps(measure(given.way, given.items, given.port)))
        return
    again = [sys.executable, __file__, "--items", str(given.items)]
    with subprocess.Popen([*again, "--way", "serve"], stdout=subprocess.PIPE, text=True) as server:
        try:
            port = server.stdout.readline().strip() if server.stdout else ""
            found: dict[str, list[dict[str, float]]] = {"bare": [], "fetch": [], "both": []}
            for _ in range(given.rounds):
                for way, rounds in found.items():
                    done = subprocess.run(
                        [*again, "--way", way, "--port", port],
                        capture_output=True, text=True, check=True,
                    )  # fmt: skip
                    rounds.append(json.loads(done.stdout))
        finally:
            server.kill()
    assert {r["rows"] for way in found.values() for r in way} == {given.items}  # noqa: S101  a measurement of the same
    assert len({r["digest"] for w in ("bare", "both") for r in found[w]}) == 1  # noqa: S101  as above
    medians = {w: statistics.median(r["seconds"] for r in rs) for w, rs in found.items()}
    spent = {w: statistics.median(r["cpu"] for r in rs) for w, rs in found.items()}
    each = [b["seconds"] / a["seconds"] for a, b in zip(found["bare"], found["both"], strict=True)]
    result = {
        "items": given.items,
        "page_size": SIZE,
        "seconds": {w: [round(r["seconds"], 3) for r in rs] for w, rs in found.items()},
        "cpu_seconds": {w: [round(r["cpu"], 3) for r in rs] for w, rs in found.items()},
        "median_seconds": {way: round(value, 3) for way, value in medians.items()},
        "ratio_both_to_bare": round(medians["both"] / medians["bare"], 2),
        "ratio_of_fastest": round(
            min(r["seconds"] for r in found["both"]) / min(r["seconds"] for r in found["bare"]), 2
        ),
        "cpu_ratio_both_to_bare": round(spent["both"] / spent["bare"], 2),
        "ratio_of_each_round": [round(one, 2) for one in each],
    }
    text = json.dumps(result, indent=1)
    print(text)
    if given.json:
        given.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
