"""SOAP: walks an operation's pages and hands on the bytes of each whole, well-formed answer.

zeep builds and signs requests (`connectors.soap_wsdl`), the call is ours (`connectors.soap_call`).
Must not parse values.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import httpx

from connectors.budget import UNLIMITED, Budget
from connectors.protocol import End, Page
from connectors.soap_call import Limits, Service, single
from connectors.soap_document import document
from connectors.soap_walk import Walk
from mappings.errors import Misconfigured, Refused, SourceChanged, Transient
from mappings.sources import SoapSource

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from connectors.soap_answer import Answer
    from connectors.soap_body import Body
    from mappings.connection import Connection
    from mappings.sources import Source

_RESTARTS: Final = 2
"""How often one read begins its search anew."""
_NETSUITE: Final = (
    "NetSuite answers SOAP until its release 2028.2 only: plan the move of this mapping to its "
    "REST services (a source with `protocol: rest`)"
)
log = logging.getLogger(__name__)


class SoapConnector:
    """One account at one SOAP ERP. Use as a context manager.

    `timeout`: seconds for a whole call (silence that begins late may last as long again);
    `connect_timeout`: to reach the ERP. `cache`: folder in
    which the WSDL is pinned; without it the WSDL is read once a process. Connection extras:
    `wsdl`, `endpoint`, `sign_in` and its words (`connectors.soap_sign_in`), those of
    `connectors.tls`, `documents` ("operation request-element answer-element" for `fetch`),
    `check_operation`, `wsdl_cache` (folder, beats `cache`).
    """

    def __init__(
        self,
        connection: Connection,
        erp: str,
        *,
        timeout: float = 60.0,
        connect_timeout: float = 10.0,
        tries: int = 4,
        cache: Path | None = None,
        page_bytes: int = 512 * 1024 * 1024,
        budget: Budget = UNLIMITED,
    ) -> None:
        self._connection = connection
        self._erp = erp
        folder = connection.extra.get("wsdl_cache")
        limits = Limits(timeout, connect_timeout, tries, page_bytes)
        self._service = Service(connection, erp, limits, budget, Path(folder) if folder else cache)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._service.close()

    def check(self) -> str:
        """Sign in and look: calls `Ping` (or the extra `check_operation`) where the WSDL has it.

        Raises Misconfigured or Transient.
        """
        names = self._service.wsdl.operations
        ping = self._connection.extra.get("check_operation", "Ping")
        found = f"{httpx.URL(self._service.wsdl.endpoint).host}: "
        if ping in names:
            self._service.ask(single(ping), ping, {}, renew=False)
            found += f"signed in, {len(names)} operations"
        else:
            found += f"{len(names)} operations; sign-in is tried by the first read"
        return "; ".join((found, *self._warnings()))

    def read(self, source: Source, since: str | None) -> Generator[Page, None, End]:
        """Yield whole answers until there is no next token; see `connectors.protocol`.

        A search that the ERP has forgotten midway begins anew, twice at most; its first page is
        then marked `restart`.
        """
        if not isinstance(source, SoapSource):
            message = f"a SOAP connector cannot read {type(source).__name__}"
            raise TypeError(message)
        notes: list[str] = []
        server_at = None
        walk = Walk(source, self._erp, since)
        restart = False
        while True:
            try:
                body, answer, at = self._service.ask(
                    source, walk.operation, walk.request, renew=walk.pages > 0
                )
            except Transient as error:
                forgotten = error.code == "search_expired" and walk.pages > 0
                if not forgotten or len(notes) >= _RESTARTS:
                    raise
                notes.append(f"the ERP forgot the search after {walk.pages} pages; begun anew")
                log.warning("%s: %s", source.operation, notes[-1])
                walk = Walk(source, self._erp, since)
                restart = True
                continue
            server_at = server_at or at
            more = walk.add(answer)
            yield Page(
                f"{source.operation}-{walk.pages:06d}.xml",
                "text/xml",
                body,
                records=None if source.payload else answer.records,
                declared=walk.declared_now,
                restart=restart,
                same=_same(source, body, answer),
            )
            restart = False
            if not more:
                notes += (*self._drift(source, walk), *self._warnings())
                return walk.end(server_at, tuple(notes))

    def fetch(self, location: str) -> Iterator[bytes]:
        """The bytes of one document. Raises Refused (`not_found`), Misconfigured, Transient."""
        words = self._connection.extra.get("documents", "").split()
        if len(words) != 3:  # noqa: PLR2004  operation, request element, answer element
            raise Misconfigured(
                "nothing says which operation hands out documents",
                erp=self._erp,
                code="documents",
                remedy=f'Set the extra `documents` of connection "{self._connection.id}" to '
                '"operation request-element answer-element".',
            )
        operation, asked, answered = words
        body, _, _ = self._service.ask(single(operation), operation, {asked: location}, renew=True)
        try:
            yield from document(body, answered)
        except LookupError:
            raise Refused(
                f"there is no document {location}", erp=self._erp, code="not_found"
            ) from None
        except ValueError as error:
            raise SourceChanged(
                f"the document {location} {error}", erp=self._erp, code="document"
            ) from None

    def _drift(self, source: SoapSource, walk: Walk) -> tuple[str, ...]:
        """What the records hold beside what the WSDL declares: read over, but said."""
        declared = self._service.wsdl.declared_children(source)
        new = sorted(walk.children - declared) if declared is not None else []
        if not new:
            return ()
        note = f"drift: {source.records} holds {', '.join(new)}, which the WSDL does not declare"
        log.warning("%s: %s", source.operation, note)
        return (note,)

    def _warnings(self) -> tuple[str, ...]:
        """What a person should know before it stops working."""
        found = list(self._service.warnings)
        host = httpx.URL(self._service.wsdl.endpoint).host
        if host.endswith("netsuite.com") or "netsuite.com" in self._service.wsdl.namespace:
            found.append(_NETSUITE)
        for warning in found:
            log.warning("%s: %s", self._erp, warning)
        return tuple(found)


def _same(source: SoapSource, body: Body, answer: Answer) -> str | None:
    """The answer's hash without its token and what else the mapping calls volatile."""
    texts = {path: text for path, text in answer.volatile.items() if text}
    if answer.token and source.page:
        texts[source.page.response] = answer.token
    named = [(_local(path), text) for path, text in texts.items()]
    record = _local(source.records)
    return body.same_as(named, record) if record != "." else None


def _local(path: str) -> str:
    return path.rpartition("/")[2].rpartition(":")[2]
