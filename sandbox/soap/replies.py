"""What the practice ERP answers: searches and their pages, documents, faults, misbehaviour.

Bytes in, a reply out; must not know sockets, or how an envelope is written.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape

import pyarrow.compute as pc
from lxml import etree

from sandbox.dataset import Dataset
from sandbox.orders import OrderBook
from sandbox.pdf import invoice_pdf
from sandbox.soap import intake
from sandbox.soap.dialect import OPERATIONS
from sandbox.soap.doors import HTTP_REFUSED, Door
from sandbox.soap.habits import Habits
from sandbox.soap.live import ASKED, PICKED, PRICE, picked, priced
from sandbox.soap.render import Answers, spoiled
from sandbox.soap.security import RefusalError
from sandbox.soap.writing import Reply, Writing
from sandbox.soap.wsdl import wsdl

HTML = b"<!doctype html><html><body><h1>Wartung</h1><br>Bitte warten.</body></html>"
_KEPT_SEARCHES = 64


@dataclass(frozen=True)
class Place:
    """A page of a search."""

    search: str
    start: int
    size: int


class SoapService:
    """Operations over the data set of the moment. Thread-safe."""

    def __init__(
        self,
        dataset: Dataset,
        user: str,
        password: str,
        page_size: int,
        habits: Habits,
        book: OrderBook,
    ) -> None:
        self._book = book
        self._shown = 0
        self._base = dataset
        self._answers = Answers(dataset)
        self.door = Door(user, password, habits)
        self._habits = habits
        self._writing = Writing(habits)
        self._page_size = page_size
        self._searches: dict[str, tuple[str, list[str]]] = {}
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
        return Reply(200, wsdl(self._habits))

    def late_fault(self) -> Reply:
        """What went wrong after everything was done."""
        return self._writing.fault("Server", "SessionTimedOut while the form was printed")

    def answer(self, body: bytes, how: str, seconds: float, headers: Mapping[str, str]) -> Reply:
        """The reply to one SOAP request, misbehaving as the scenario `how` says."""
        write = self._writing
        if how in ("rate_limit", "maintenance", "html_200"):
            return _no_soap(how, seconds)
        try:
            envelope = etree.fromstring(
                body, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
            )
        except etree.XMLSyntaxError as error:
            return write.fault("Client", f"the request is not XML: {error.msg}")
        asked = envelope.find(f"{{{self._habits.envelope}}}Body/*")
        name = "" if asked is None else etree.QName(asked).localname
        if how == "wrong_password":
            return write.fault("wsse:FailedAuthentication", "user or password is wrong")
        try:
            self.door.admit(envelope, headers, name)
        except RefusalError as no:
            if no.code == HTTP_REFUSED:
                return Reply(401, b"<html>no</html>", "text/html")
            return write.fault(f"wsse:{no.code}", no.says)
        if asked is None:
            return write.fault("Client", "the body is empty")
        try:
            with self.door.held(seconds if how == "slow" else 0.0):
                return self._operation(envelope, asked, name, how)
        except RefusalError as no:
            return write.fault(no.code, no.says)

    def _operation(
        self, envelope: etree._Element, asked: etree._Element, name: str, how: str
    ) -> Reply:
        write = self._writing
        if how == "session_expired":
            raise RefusalError("Client.SessionExpired", "the session is not known any more")
        if how == "business_error":
            return write.ok(
                name, "<RETURN><TYPE>E</TYPE><MESSAGE>Buchungskreis gesperrt</MESSAGE></RETURN>"
            )
        if name == "Login":
            token = self.door.open(_wish(asked, "USER"), _wish(asked, "PASSWORD"))
            return write.ok(name, f"<RETURN><TYPE>S</TYPE></RETURN><TOKEN>{token}</TOKEN>")
        if name == "Logout":
            self.door.close(envelope)
        if name in ("Ping", "Logout"):
            return write.ok(name, "<RETURN><TYPE>S</TYPE></RETURN>")
        if name == "GetDocument":
            return self._document(_wish(asked, "PFAD"))
        if name in ASKED:
            return self._asked(name, asked)
        if name in intake.TAKES:
            return write.ok(name, intake.take(self._book, name, asked))
        if name not in OPERATIONS and name != "SearchMore":
            return write.fault("Client", f"unknown operation {name}")
        return self._search(asked, name, how)

    def _asked(self, name: str, asked: etree._Element) -> Reply:
        """One thing, now: no paging, no search that stays open."""
        wishes = {etree.QName(one).localname: (one.text or "").strip() for one in asked}
        if name == PRICE:
            element, items = "PRICES", priced(self.dataset, wishes)
        else:
            element, items = OPERATIONS[PICKED[name][0]][0], picked(self._answers, name, wishes)
        return self._writing.records(name, element, items, {"TOTALCOUNT": str(len(items))})

    def _search(self, asked: etree._Element, name: str, how: str) -> Reply:
        """A page of a search: of a new one, or of one that goes on."""
        size = min(int(_wish(asked, "MAXROWS") or 0) or self._page_size, self._page_size)
        search, _, start = _wish(asked, "NEXT").partition(":")
        if name == "SearchMore":
            search = _wish(asked, "SEARCHID")
            start = str((int(_wish(asked, "PAGE")) - 1) * self._page_size)
        if search:
            with self._lock:
                if how == "search_expired":
                    self._searches.pop(search, None)
                known = self._searches.get(search)
            if known is None:
                return self._writing.fault("Client.SearchExpired", f"search {search} is not known")
            operation, items = known
        else:
            operation = name
            if name == "GetOrderList" and self._shown != self._book.version:
                self._shown = self._book.version
                self._answers = Answers(self._book.merged(self._base))
            items = self._answers.items(name, _wish(asked, "AENDERUNGEN_SEIT") or None)
            search = self._open(name, items)
        where = Place(search, int(start or 0), size)
        return self._page(name, operation, items, where, how)

    def _open(self, operation: str, items: list[str]) -> str:
        search = secrets.token_hex(8)
        with self._lock:
            self._searches[search] = (operation, items)
            while len(self._searches) > _KEPT_SEARCHES:
                del self._searches[next(iter(self._searches))]
        return search

    def _page(self, name: str, operation: str, items: list[str], where: Place, how: str) -> Reply:
        end = where.start + where.size
        total = len(items)
        page = items[where.start : end]
        following = f"{where.search}:{end}" if end < total else ""
        if how == "empty":
            page, total, following = [], 0, ""
        if how == "count_mismatch":
            total += 7
        if how == "repeated_link" and end < len(items):
            following = f"{where.search}:{where.start}"
        if how in ("bad_rows", "schema_changed", "new_element"):
            page = spoiled(page, how, operation)
        element = OPERATIONS[operation][0]
        told = {"TOTALCOUNT": str(total), "NEXT": following}
        if self._habits.paging == "search":
            pages = -(-total // where.size)
            told = {"TOTALCOUNT": str(total), "SEARCHID": where.search, "PAGES": str(pages)}
        return self._writing.records(name, element, page, told)

    def _document(self, path: str) -> Reply:
        documents = self.dataset["document"]
        found = documents.filter(pc.equal(documents["location"], path)).to_pylist()
        if not found or found[0]["subject"] != "invoice":
            return self._writing.ok(
                "GetDocument",
                f"<RETURN><TYPE>E</TYPE><MESSAGE>{escape(path)} not found</MESSAGE></RETURN>",
            )
        content = invoice_pdf(self.dataset, found[0]["subject_key"])
        return self._writing.document(content)


def _no_soap(how: str, seconds: float) -> Reply:
    if how == "rate_limit":
        return Reply(429, b"slow down", "text/plain", (("Retry-After", str(int(seconds))),))
    return Reply(503 if how == "maintenance" else 200, HTML, "text/html")


def _wish(asked: etree._Element, name: str) -> str:
    return (asked.findtext(f"{{*}}{name}") or "").strip()
