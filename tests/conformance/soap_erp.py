"""Practice SOAP ERPs with habits, and what a conformance test does with them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from connectors.budget import UNLIMITED, Budget
from connectors.protocol import End, Page
from connectors.soap import SoapConnector
from mappings.connection import Connection
from mappings.sources import SoapSource, Source
from sandbox.dataset import Dataset
from sandbox.soap import SoapErp
from sandbox.soap.habits import Habits

PASSWORD = "s3cret-Wort"


def prices(**more: Any) -> SoapSource:
    """The price list, fifty records a page."""
    told: dict[str, Any] = {
        "protocol": "soap",
        "operation": "GetConditionList",
        "records": "CONDITIONS/item",
        "page": {"request": "NEXT", "response": "NEXT", "size_request": "MAXROWS", "size": 50},
        "count": "TOTALCOUNT",
        "error": "RETURN/TYPE",
        "error_text": "RETURN/MESSAGE",
        "error_ok": ("S",),
    }
    return SoapSource.model_validate({**told, **more})


@contextmanager
def serving(data: Dataset, **habits: Any) -> Iterator[SoapErp]:
    """An ERP with these habits, fifty records a page."""
    erp = SoapErp(data, user="waybill", password=PASSWORD, habits=Habits(**habits), page_size=50)
    erp.start()
    try:
        yield erp
    finally:
        erp.stop()


def connection_of(
    erp: SoapErp, extra: Mapping[str, str] | None = None, *, password: str | None = None
) -> Connection:
    """The connection of an ERP; `password` another one than its own."""
    told = erp.connection()
    extras = {**told["extra"], **(extra or {})}
    if password is not None:
        hidden = {"bearer_token", "api_key", "token_secret"}
        extras = {k: password if k in hidden else v for k, v in extras.items()}
    return Connection(
        "anvil_account",
        "soap",
        told["host"],
        told["port"],
        told["login"],
        password or told["password"],
        extra=extras,
    )


def connector_of(
    erp: SoapErp,
    extra: Mapping[str, str] | None = None,
    *,
    password: str | None = None,
    cache: Path | None = None,
    budget: Budget = UNLIMITED,
    tries: int = 4,
) -> SoapConnector:
    """A connector for an ERP; a context manager."""
    connection = connection_of(erp, extra, password=password)
    return SoapConnector(connection, "anvil", timeout=10, cache=cache, budget=budget, tries=tries)


def read(
    connector: SoapConnector, source: Source, since: str | None = None
) -> tuple[list[Page], bytes, End]:
    """All pages with their bytes; a page that begins anew drops those before it."""
    pages: list[Page] = []
    contents: list[bytes] = []
    walk = connector.read(source, since)
    while True:
        try:
            page = next(walk)
        except StopIteration as stop:
            return pages, b"".join(contents), stop.value
        if page.restart:
            pages, contents = [], []
        pages.append(page)
        contents.append(b"".join(page.content))


class Places:
    """A budget of so many requests at once; `most` were under way."""

    def __init__(self, count: int) -> None:
        self._free = threading.Semaphore(count)
        self._lock = threading.Lock()
        self._now = 0
        self.most = 0
        self.inside_of: list[str] = []

    @contextmanager
    def request(self, endpoint: str) -> Iterator[None]:
        """Wait for a place and hold it."""
        del endpoint
        with self._free:
            with self._lock:
                self._now += 1
                self.most = max(self.most, self._now)
            try:
                yield
            finally:
                with self._lock:
                    self._now -= 1

    def inside(self, endpoint: str) -> None:
        """Counted: a request of a session that has its place."""
        self.inside_of.append(endpoint)

    def refused(self, endpoint: str, status: int) -> None:
        """Not counted here."""
        del endpoint, status

    def pause(self, seconds: float) -> None:
        """Not waited for here."""
        del seconds


def together(count: int, work: Callable[[], object]) -> list[BaseException]:
    """Run the same thing in several threads; what they raised."""
    raised: list[BaseException] = []

    def one() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  the test looks at it
            raised.append(error)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised
