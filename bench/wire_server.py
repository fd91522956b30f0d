"""An ERP that costs nothing: the price file as pages of OData and of SOAP, served from memory.

`python -m bench.wire_server` prints its port, and then `ready` for each price file that it is told
on standard input and has made pages of. Run by `bench.over_wire`. The practice ERPs of `sandbox`
work their answers out request by request; here nothing but the pages shall be waited for. Must not
use anything of the pipeline it is to measure.
"""

from __future__ import annotations

import re
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

ODATA_PAGE: Final = 1_000
SOAP_PAGE: Final = 10_000
_ENVELOPE: Final = "http://schemas.xmlsoap.org/soap/envelope/"
_NAMESPACE: Final = "urn:practice:erp:portal"
_Row: TypeAlias = "list[str]"


def main() -> None:
    """Serve until standard input ends."""
    answers: dict[str, list[bytes]] = {}
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_accept, args=(listener, answers), daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    for line in sys.stdin:
        rows = list(_rows(Path(line.strip())))
        answers["soap"] = [_answer("text/xml", page) for page in soap_pages(rows)]
        answers["odata"] = [_answer("application/json", page) for page in odata_pages(rows)]
        answers["count"] = [_answer("text/plain", str(len(rows)).encode())]
        print("ready", flush=True)


def odata_pages(rows: list[_Row]) -> Iterator[bytes]:
    """As an ERP writes them: numbers bare, more properties than are wanted."""
    pieces = _pieces(rows, ODATA_PAGE)
    for number, piece in enumerate(pieces, start=1):
        records = ",".join(
            f'{{"@odata.etag":"W/\\"{key}\\"","PriceNo":"{key}","CustomerNo":"{dealer}",'
            f'"ItemNo":"{product}","MinimumQuantity":{_point(qty)},"UnitPrice":{_point(price)},'
            f'"Currency":"{currency}","ValidFrom":"{_iso(day)}",'
            f'"ValidTo":{_quoted(_iso(end))},"Unit":"{uom}","Blocked":false,"Note":null}}'
            for key, dealer, product, qty, price, currency, day, end, uom in piece
        )
        link = f',"@odata.nextLink":"Prices?$skiptoken={number}"' if number < len(pieces) else ""
        head = f'{{"@odata.context":"$metadata#Prices","@odata.count":{len(rows)}'
        yield f'{head},"value":[{records}]{link}}}'.encode()


def soap_pages(rows: list[_Row]) -> Iterator[bytes]:
    """As the practice ERP's WSDL says; the next page is asked for by its token."""
    pieces = _pieces(rows, SOAP_PAGE)
    for number, piece in enumerate(pieces, start=1):
        items = "".join(
            f"<item><KNUMH>{key}</KNUMH><KSCHL>PR00</KSCHL><KUNNR>{dealer}</KUNNR>"
            f"<MATNR>{product}</MATNR><WAERS>{currency}</WAERS><KMEIN>{uom}</KMEIN>"
            f"<KPEIN>00001</KPEIN><KSTBM>{_point(qty)}</KSTBM><KBETR>{_point(price)}</KBETR>"
            f"<DATAB>{_iso(day).replace('-', '')}</DATAB>"
            f"<DATBI>{_iso(end).replace('-', '')}</DATBI></item>"
            for key, dealer, product, qty, price, currency, day, end, uom in piece
        )
        following = f"search-1:{number}" if number < len(pieces) else ""
        yield (
            f'<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="{_ENVELOPE}">'
            f'<soap:Header/><soap:Body><GetConditionListResponse xmlns="{_NAMESPACE}">'
            f"<TOTALCOUNT>{len(rows)}</TOTALCOUNT><RETURN><TYPE>S</TYPE></RETURN>"
            f"<CONDITIONS>{items}</CONDITIONS><NEXT>{following}</NEXT>"
            "</GetConditionListResponse></soap:Body></soap:Envelope>"
        ).encode()


def _rows(path: Path) -> Iterator[_Row]:
    with path.open(encoding="cp1254") as file:
        next(file)
        for line in file:
            if not line.startswith("TRL;"):
                yield line.rstrip("\n").split(";")


def _pieces(rows: list[_Row], size: int) -> list[list[_Row]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _point(number: str) -> str:
    return number.replace(",", ".")


def _iso(day: str) -> str:
    return f"{day[6:]}-{day[3:5]}-{day[:2]}" if day else ""


def _quoted(text: str) -> str:
    return f'"{text}"' if text else "null"


def _answer(kind: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def _accept(listener: socket.socket, answers: dict[str, list[bytes]]) -> None:
    while True:
        peer, _ = listener.accept()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_talk, args=(peer, answers), daemon=True).start()


def _talk(peer: socket.socket, answers: dict[str, list[bytes]]) -> None:
    waiting = b""
    with peer:
        while piece := peer.recv(65536):
            waiting += piece
            while True:
                head, end, rest = waiting.partition(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: *(\d+)", head)
                size = int(length[1]) if length else 0
                if not end or len(rest) < size:
                    break
                body, waiting = rest[:size], rest[size:]
                peer.sendall(_chosen(head.split(b" ", 2)[1], body, answers))


def _chosen(target: bytes, body: bytes, answers: dict[str, list[bytes]]) -> bytes:
    if body:
        token = re.search(rb"NEXT>search-1:(\d+)<", body)
        return answers["soap"][int(token[1]) if token else 0]
    if b"$count?" in target or target.endswith(b"$count"):
        return answers["count"][0]
    token = re.search(rb"skiptoken=(\d+)", target)
    return answers["odata"][int(token[1]) if token else 0]


if __name__ == "__main__":
    main()
