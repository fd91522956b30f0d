"""What the practice ERP answers: searches and their pages, documents, faults, misbehaviour.

Bytes in, a reply out; must not know sockets.
"""

import base64
import secrets
import threading
from dataclasses import dataclass
from xml.sax.saxutils import escape

import pyarrow.compute as pc
from lxml import etree

from sandbox.dataset import Dataset
from sandbox.orders import OrderBook
from sandbox.pdf import invoice_pdf
from sandbox.soap import intake
from sandbox.soap.dialect import OPERATIONS
from sandbox.soap.live import ASKED, PICKED, PRICE, picked, priced
from sandbox.soap.render import Answers, spoiled
from sandbox.soap.security import WSSE, Doorkeeper, RefusalError
from sandbox.soap.wsdl import NAMESPACE, wsdl

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
HTML = b"<!doctype html><html><body><h1>Wartung</h1><br>Bitte warten.</body></html>"
_KEPT_SEARCHES = 64


@dataclass(frozen=True)
class Reply:
    """One HTTP answer."""

    status: int
    body: bytes
    media_type: str = "text/xml; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()


class SoapService:
    """Operations over the data set of the moment. Thread-safe."""

    def __init__(
        self, dataset: Dataset, user: str, password: str, page_size: int, book: OrderBook
    ) -> None:
        self._book = book
        self._shown = 0
        self._base = dataset
        self._answers = Answers(dataset)
        self._door = Doorkeeper(user, password)
        self._page_size = page_size
        self._searches: dict[str, list[str]] = {}
        self._lock = threading.Lock()

    @property
    def dataset(self) -> Dataset:
        """What new searches run over, but for the orders it has taken."""
        return self._base

    @dataset.setter
    def dataset(self, dataset: Dataset) -> None:
        self._base = dataset
        self._book.dataset = dataset
        self._shown = 0
        self._answers = Answers(dataset)

    def wsdl(self) -> Reply:
        """The WSDL."""
        return Reply(200, wsdl())

    def answer(self, body: bytes, how: str, seconds: float) -> Reply:
        """The reply to one SOAP request, misbehaving as the scenario `how` says."""
        if how in ("rate_limit", "maintenance", "html_200"):
            return _no_soap(how, seconds)
        try:
            envelope = etree.fromstring(
                body, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
            )
        except etree.XMLSyntaxError as error:
            return _fault("soap:Client", f"the request is not XML: {error.msg}")
        if how == "wrong_password":
            return _fault("wsse:FailedAuthentication", "user or password is wrong")
        try:
            self._door.admit(envelope)
        except RefusalError as no:
            return _fault(f"wsse:{no.code}", no.says)
        if how == "session_expired":
            return _fault("soap:Client.SessionExpired", "the session is not known any more")
        asked = envelope.find(f"{{{ENVELOPE}}}Body/*")
        if asked is None:
            return _fault("soap:Client", "the body is empty")
        return self._operation(asked, how)

    def _operation(self, asked: etree._Element, how: str) -> Reply:
        name = etree.QName(asked).localname
        if how == "business_error":
            return _ok(
                name, "<RETURN><TYPE>E</TYPE><MESSAGE>Buchungskreis gesperrt</MESSAGE></RETURN>"
            )
        if name == "Ping":
            return _ok(name, "<RETURN><TYPE>S</TYPE></RETURN>")
        if name == "GetDocument":
            return self._document(_wish(asked, "PFAD"))
        if name in ASKED:
            return self._asked(name, asked)
        if name in intake.TAKES:
            return _ok(name, intake.take(self._book, name, asked))
        if name not in OPERATIONS:
            return _fault("soap:Client", f"unknown operation {name}")
        token = _wish(asked, "NEXT")
        search, _, start = token.partition(":")
        if token:
            with self._lock:
                items = self._searches.get(search)
            if items is None:
                return _fault("soap:Client.SearchExpired", f"search {search} is not known")
        else:
            if name == "GetOrderList" and self._shown != self._book.version:
                self._shown = self._book.version
                self._answers = Answers(self._book.merged(self._base))
            items = self._answers.items(name, _wish(asked, "AENDERUNGEN_SEIT") or None)
            search = self._open(items)
        size = int(_wish(asked, "MAXROWS") or 0)
        return self._page(name, items, search=search, start=int(start or 0), size=size, how=how)

    def _asked(self, name: str, asked: etree._Element) -> Reply:
        """One thing, now: no paging, no search that stays open."""
        wishes = {etree.QName(one).localname: (one.text or "").strip() for one in asked}
        if name == PRICE:
            element, items = "PRICES", priced(self.dataset, wishes)
        else:
            element, items = OPERATIONS[PICKED[name][0]][0], picked(self._answers, name, wishes)
        return _ok(
            name,
            f"<TOTALCOUNT>{len(items)}</TOTALCOUNT><RETURN><TYPE>S</TYPE></RETURN><{element}>",
            *items,
            f"</{element}>",
        )

    def _open(self, items: list[str]) -> str:
        search = secrets.token_hex(8)
        with self._lock:
            self._searches[search] = items
            while len(self._searches) > _KEPT_SEARCHES:
                del self._searches[next(iter(self._searches))]
        return search

    def _page(
        self, name: str, items: list[str], *, search: str, start: int, size: int, how: str
    ) -> Reply:
        end = start + min(size or self._page_size, self._page_size)
        total = len(items)
        page = items[start:end]
        following = f"<NEXT>{search}:{end}</NEXT>" if end < total else "<NEXT/>"
        if how == "empty":
            page, total, following = [], 0, "<NEXT/>"
        if how == "count_mismatch":
            total += 7
        if how == "repeated_link" and end < len(items):
            following = f"<NEXT>{search}:{start}</NEXT>"
        if how in ("bad_rows", "schema_changed"):
            page = spoiled(page, how, name)
        element = OPERATIONS[name][0]
        return _ok(
            name,
            f"<TOTALCOUNT>{total}</TOTALCOUNT><RETURN><TYPE>S</TYPE></RETURN><{element}>",
            *page,
            f"</{element}>{following}",
        )

    def _document(self, path: str) -> Reply:
        documents = self.dataset["document"]
        found = documents.filter(pc.equal(documents["location"], path)).to_pylist()
        if not found or found[0]["subject"] != "invoice":
            return _ok(
                "GetDocument",
                f"<RETURN><TYPE>E</TYPE><MESSAGE>{escape(path)} not found</MESSAGE></RETURN>",
            )
        content = base64.b64encode(invoice_pdf(self.dataset, found[0]["subject_key"])).decode()
        return _ok("GetDocument", f"<RETURN><TYPE>S</TYPE></RETURN><CONTENT>{content}</CONTENT>")


def _no_soap(how: str, seconds: float) -> Reply:
    if how == "rate_limit":
        return Reply(429, b"slow down", "text/plain", (("Retry-After", str(int(seconds))),))
    return Reply(503 if how == "maintenance" else 200, HTML, "text/html")


def _wish(asked: etree._Element, name: str) -> str:
    return (asked.findtext(f"{{{NAMESPACE}}}{name}") or "").strip()


def _ok(name: str, *inside: str) -> Reply:
    head = (
        f'<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="{ENVELOPE}" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soap:Header/><soap:Body>'
        f'<{name}Response xmlns="{NAMESPACE}">'
    )
    tail = f"</{name}Response></soap:Body></soap:Envelope>"
    return Reply(200, "".join((head, *inside, tail)).encode())


def _fault(code: str, says: str) -> Reply:
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="{ENVELOPE}" '
        f'xmlns:wsse="{WSSE}"><soap:Body><soap:Fault><faultcode>{code}</faultcode>'
        f"<faultstring>{escape(says)}</faultstring></soap:Fault></soap:Body></soap:Envelope>"
    )
    return Reply(500, body.encode())
