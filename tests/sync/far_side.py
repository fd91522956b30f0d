"""The far side of the wire for tests of the engine: two small ERPs that send what a test says.

`FileErp` serves CSV files over SFTP, `PageErp` JSON pages over HTTP; both listen on loopback. The
mappings are made from the feeds' declarations: column names are our field names.
"""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from mappings.feeds import FEEDS, PARTS
from sandbox.faults import Faults
from sandbox.sftp.server import Account, SftpServer, new_key, read_key

Row = Mapping[str, object]

SUPPLIED: dict[str, tuple[str, ...]] = {
    "dealer": (
        "key", "name", "status", "parent_key", "account_key", "order_block",
        "order_block_reason", "currency", "payment_days",
    ),
    "category": ("key", "parent_key", "name"),
    "product": ("key", "name", "status", "base_uom", "tax_pct"),
    "product_text": ("language", "name"),
    "price": (
        "header_key", "level", "dealer_scope", "dealer_key", "product_scope", "product_key",
        "currency", "uom", "per", "min_qty", "unit_price", "valid_to",
    ),
    "invoice": (
        "key", "number", "kind", "account_key", "dealer_key", "issued_on", "due_on", "currency",
        "net", "gross", "open_amount",
    ),
    "invoice_line": ("line_no", "kind", "product_key", "description", "qty", "uom", "unit_price",
                     "per", "net"),
    "payment": ("key", "account_key", "kind", "booked_on", "currency", "amount"),
    "warehouse": ("key", "name"),
    "stock": ("product_key", "warehouse_key", "on_hand"),
}  # fmt: skip
"""Part → the fields that these ERPs supply; every other one is said absent."""

_OWNER = {"invoice_line": "invoice", "product_text": "product"}


def fields_of(part: str) -> dict[str, object]:
    """`fields:` of a part, ours = theirs."""
    return {
        one.name: {"from": one.name} if one.name in SUPPLIED[part] else "absent"
        for one in PARTS[part].mapped_fields
    }


def csv_source(part: str) -> dict[str, object]:
    """The newest `out/<part>_<n>.csv` with its marker and trailer."""
    return {
        "protocol": "sftp",
        "files": f"out/{part}_[0-9]*.csv",
        "order": rf"{part}_(\d+)\.csv$",
        "marker": ".done",
        "format": {
            "kind": "csv",
            "delimiter": ";",
            "trailer": {"starts_with": "TRL", "count": "2"},
        },
    }


def page_source(part: str, **more: object) -> dict[str, object]:
    """The entity set named like the part."""
    return {"protocol": "odata", "entity": part, **more}


def csv_feed(feed: str, parts: Sequence[str], **more: Any) -> dict[str, Any]:
    """A snapshot feed over SFTP: a file a part, children named by `owner`."""
    main = FEEDS[feed].main
    mapped: dict[str, Any] = {
        "mode": "snapshot",
        "source": csv_source(main),
        "fields": fields_of(main),
        "parts": _parts(feed, parts),
        **more,
    }
    for name in parts:
        mapped["parts"][name] = {"source": csv_source(name), "fields": fields_of(name)}
        if name in _OWNER:
            mapped["parts"][name]["parent"] = {"from": "owner"}
    return mapped


def page_feed(
    feed: str,
    nested: Sequence[str] = (),
    *,
    source: Mapping[str, object] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A feed over JSON pages; `nested` children lie in their root under their part's name."""
    main = FEEDS[feed].main
    mapped: dict[str, Any] = {
        "mode": "snapshot",
        "source": page_source(main, **(source or {})),
        "fields": fields_of(main),
        "parts": _parts(feed, nested),
        **more,
    }
    for name in nested:
        mapped["parts"][name] = {"records": name, "fields": fields_of(name)}
    return mapped


def _parts(feed: str, supplied: Sequence[str]) -> dict[str, Any]:
    main = FEEDS[feed].main
    return {p.name: "absent" for p in FEEDS[feed].parts if p.name not in {main, *supplied}}


def mapping(erp: str, feeds: Mapping[str, Any], **more: object) -> dict[str, Any]:
    """A whole mapping; write it as YAML (JSON is YAML) under the ERP's name."""
    return {
        "erp": erp,
        "connection": erp,
        "time_zone": "Europe/Berlin",
        "catalogue": "open",
        "feeds": dict(feeds),
        **more,
    }


class FileErp:
    """An ERP that speaks through CSV files over SFTP."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults = Faults()
        self._number = 0
        (folder / "out").mkdir(parents=True)
        self._key = read_key(new_key())
        account = Account("waybill", "right", folder, self.faults)
        self._server = SftpServer(account, self._key)

    def start(self) -> None:
        """Listen."""
        self._server.start()

    def stop(self) -> None:
        """Close every connection."""
        self._server.stop()

    def connection(self) -> dict[str, object]:
        """This server as an entry of connections.json."""
        return {
            "conn_type": "sftp",
            "host": "127.0.0.1",
            "port": self._server.port,
            "login": "waybill",
            "password": "right",
            "extra": {"host_key": f"{self._key.get_name()} {self._key.get_base64()}"},
        }

    def put(
        self,
        part: str,
        rows: Iterable[Row],
        *,
        count: int | None = None,
        marker: bool = True,
        trailer: bool = True,
        loose: Sequence[str] = (),
    ) -> Path:
        """Export a part: a new file with trailer and marker; `loose` lines go in as they are."""
        self._number += 1
        rows = list(rows)
        owner = ("owner",) if part in _OWNER else ()
        columns = (*owner, *SUPPLIED[part], *_extra(rows, (*owner, *SUPPLIED[part])))
        text = io.StringIO()
        writer = csv.writer(text, delimiter=";", lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([[_text(row.get(c)) for c in columns] for row in rows])
        text.writelines(f"{line}\n" for line in loose)
        if trailer:
            text.write(f"TRL;{len(rows) + len(loose) if count is None else count}\n")
        path = self.folder / "out" / f"{part}_{self._number:06}.csv"
        path.write_text(text.getvalue(), encoding="utf-8", newline="")
        if marker:
            path.with_name(path.name + ".done").touch()
        return path


def _extra(rows: Sequence[Row], known: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for row in rows for name in row if name not in known))


def _text(value: object) -> str:
    return "" if value is None else str(value)


class PageErp:
    """An ERP that answers with JSON pages. `pages[entity]` is a list of pages of records.

    `declared[entity]` overrides the count it declares. `before(entity, page)` runs before each
    page is sent, in the server's thread.
    """

    def __init__(self) -> None:
        self.pages: dict[str, list[list[dict[str, Any]]]] = {}
        self.declared: dict[str, int] = {}
        self.requests: list[str] = []
        self.status: dict[tuple[str, int], int] = {}
        """(entity, page) → an HTTP status instead of the page."""
        self.before: Any = None
        erp = self

        class Answer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                erp.answer(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                del format, args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    def start(self) -> None:
        """Serve."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def connection(self) -> dict[str, object]:
        """This server as an entry of connections.json."""
        port = self._server.server_address[1]
        root = {"service_root": f"http://127.0.0.1:{port}/api"}
        return {"conn_type": "http", "host": "127.0.0.1", "port": port, "extra": root}

    def put(self, entity: str, *pages: Iterable[Row]) -> None:
        """Serve these pages from now on."""
        self.pages[entity] = [[dict(row) for row in page] for page in pages]

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """One page, or the count."""
        self.requests.append(unquote(request.path))
        parts = urlsplit(request.path)
        entity, _, rest = parts.path.removeprefix("/api/").partition("/")
        pages = self.pages.get(entity)
        if pages is None:
            self._send(request, 404, b"{}")
            return
        total = self.declared.get(entity, sum(len(page) for page in pages))
        if rest == "$count":
            self._send(request, 200, str(total).encode())
            return
        number = int(parts.query.partition("page=")[2] or 1)
        if self.before is not None:
            self.before(entity, number)
        if (entity, number) in self.status:
            self._send(request, self.status[entity, number], b"{}")
            return
        body: dict[str, Any] = {"@odata.count": total, "value": pages[number - 1] if pages else []}
        if number < len(pages):
            body["@odata.nextLink"] = f"{entity}?page={number + 1}"
        self._send(request, 200, json.dumps(body, default=str).encode())

    @staticmethod
    def _send(request: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


def dealer(key: str, **more: object) -> dict[str, object]:
    """A dealer that pays for itself."""
    return {
        "key": key, "name": f"Dealer {key}", "status": "active", "account_key": key,
        "currency": "EUR", **more,
    }  # fmt: skip


def dealers(*numbers: int, **more: object) -> list[dict[str, object]]:
    """Dealers D1, D2 …"""
    return [dealer(f"D{n}", **more) for n in numbers]


def product(key: str, **more: object) -> dict[str, object]:
    """A product that may be bought."""
    return {"key": key, "name": f"Product {key}", "status": "active", "base_uom": "PCE", **more}


def price(key: str, **more: object) -> dict[str, object]:
    """A list price for everything and everybody: refers to nothing."""
    return {
        "header_key": key, "level": "list", "dealer_scope": "all", "product_scope": "all",
        "currency": "EUR", "uom": "PCE", "per": 1, "min_qty": 1, "unit_price": "10.00", **more,
    }  # fmt: skip


def invoice(key: str, account: str = "D1", **more: object) -> dict[str, object]:
    """An invoice over 30.00."""
    return {
        "key": key, "number": key, "kind": "invoice", "account_key": account,
        "dealer_key": account, "issued_on": "2026-01-10", "due_on": "2026-02-10",
        "currency": "EUR", "net": "30.00", "gross": "30.00", "open_amount": "30.00", **more,
    }  # fmt: skip


def line(number: int, **more: object) -> dict[str, object]:
    """A line of text over 10.00: refers to nothing."""
    return {
        "line_no": number,
        "kind": "text",
        "description": f"line {number}",
        "net": "10.00",
        **more,
    }


def write_mapping(folder: Path, mapped: Mapping[str, Any]) -> None:
    """As a mapping file; every scalar travels as text."""
    path = folder / f"{mapped['erp']}.yaml"
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(_as_text(mapped), indent=1), encoding="utf-8")
    beside.replace(path)


def _as_text(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _as_text(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_as_text(v) for v in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
