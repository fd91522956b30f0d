"""Requests by the ERP's WSDL: zeep reads it once, builds envelopes and signs them.

The WSDL and what it imports are pinned: kept under the cache folder and read from there, so that
the host of the WSDL may be down. Must not make a call to an operation.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import zeep
import zeep.cache
import zeep.exceptions
import zeep.transports
import zeep.xsd
from lxml import etree

from connectors import soap_sign_in, tls
from connectors.message_tree import nested
from mappings.errors import Misconfigured, SourceChanged, Transient

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from zeep.wsdl.bindings.soap import SoapBinding
    from zeep.wsdl.definitions import Operation

    from connectors.soap_sign_in import SignIn
    from mappings.connection import Connection
    from mappings.sources import SoapSource


@dataclass(frozen=True, slots=True)
class Message:
    """A request ready to go: body, and the headers that its SOAP version wants."""

    body: bytes
    headers: dict[str, str]


class Wsdl:
    """The operations of one service. Loads when first asked, with `http`; thread-safe."""

    def __init__(
        self,
        connection: Connection,
        erp: str,
        cache: Path | None,
        sign_in: SignIn,
        http: httpx.Client,
    ) -> None:
        self._erp = erp
        self._connection = connection
        self._address = connection.extra.get("wsdl") or _address(connection) + "?wsdl"
        self._cache = cache
        self._sign_in = sign_in
        self._http = http
        self._client: zeep.Client | None = None
        self._lock = threading.Lock()

    @property
    def endpoint(self) -> str:
        """Where calls go: the connection's word beats the WSDL's, which may name an inner host."""
        return self._connection.extra.get("endpoint") or _address(self._connection)

    @property
    def operations(self) -> tuple[str, ...]:
        """Names of all operations. Raises Misconfigured or Transient."""
        return tuple(self._binding._operations)  # noqa: SLF001  zeep offers no other way

    @property
    def namespace(self) -> str:
        """The target namespace of the service's binding."""
        return str(self._binding.name.namespace)

    def message(
        self, operation: str, request: Mapping[str, Any], session: str | None = None
    ) -> Message:
        """A signed envelope, new nonce each time. `request`: path of the element → text,
        or a list of what repeats.

        `session`: the token of the session it belongs to.
        Raises SourceChanged for an operation that the WSDL does not have, Misconfigured for an
        element that the operation does not take.
        """
        client = self._loaded()
        operations = self._binding._operations  # noqa: SLF001  as above
        if operation not in operations:
            raise SourceChanged(
                f"the WSDL has no operation {operation}",
                erp=self._erp,
                code="operation",
                remedy="Correct the mapping; if the ERP has a new WSDL, delete the pinned one "
                f"({self._pin or 'in memory'}).",
            )
        known = operations[operation]
        try:
            told = self._with_any(known, nested({**request, **self._sign_in.elements}))
            envelope = client.create_message(client.service, operation, **told)
            self._add_header(client, envelope, session)
        except (TypeError, ValueError, LookupError, zeep.exceptions.Error) as error:
            raise Misconfigured(
                f"{operation} does not take this request: {error}",
                erp=self._erp,
                code="request",
                remedy="Correct `request`, `page` or `since` of the mapping's source.",
            ) from None
        action = known.soapaction or ""
        headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{action}"'}
        if "soap12" in type(self._binding).__name__.lower():
            headers = {"Content-Type": f'application/soap+xml; charset=utf-8; action="{action}"'}
        body = etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")
        return Message(body, headers | self._sign_in.headers)

    def declared_children(self, source: SoapSource) -> frozenset[str] | None:
        """Local names of a record's children by the WSDL; None where it does not say, or any."""
        try:
            kind = self._binding._operations[source.operation].output.body.type  # noqa: SLF001  as above
            for word in source.records.split("/"):
                if word != ".":
                    kind = dict(kind.elements)[word.rpartition(":")[2]].type
            names = {getattr(element, "name", None) for _, element in kind.elements}
        except (AttributeError, LookupError):
            return None
        return None if None in names else frozenset(map(str, names))

    @property
    def _binding(self) -> SoapBinding:
        return self._loaded().service._binding  # noqa: SLF001  as above

    @property
    def _pin(self) -> str | None:
        return str(self._cache / f"{self._erp}-wsdl.sqlite") if self._cache else None

    def _add_header(
        self, client: zeep.Client, envelope: etree._Element, session: str | None
    ) -> None:
        words = self._sign_in.session
        if self._sign_in.passport:
            element = client.get_element(self._sign_in.passport)
            value = element(**soap_sign_in.passport(self._connection))
            element.render(_header(envelope), value)
        if words is not None and session is not None:
            name, _, inside = words.header.rpartition("}")[2].partition("/")
            uri = words.header.partition("}")[0].lstrip("{")
            carrier = etree.SubElement(_header(envelope), etree.QName(uri or None, name))
            for word in inside.split("/") if inside else ():
                carrier = etree.SubElement(carrier, etree.QName(uri or None, word))
            carrier.text = session

    def _with_any(self, operation: Operation, told: dict[str, Any]) -> dict[str, Any]:
        """Elements that only the operation's xsd:any can take, as elements."""
        body = operation.input.body if operation.input else None
        elements = getattr(getattr(body, "type", None), "elements", None)
        if body is None or elements is None:
            return told
        declared = {name for name, _ in elements}
        others = [name for name, element in elements if isinstance(element, zeep.xsd.Any)]
        unknown = [name for name in told if name not in declared]
        if not others or not unknown:
            return told
        uri = body.qname.namespace
        return {name: value for name, value in told.items() if name in declared} | {
            others[0]: [_element(uri, name, told[name]) for name in unknown]
        }

    def _loaded(self) -> zeep.Client:
        with self._lock:
            if self._client is None:
                self._client = self._load()
            return self._client

    def _load(self) -> zeep.Client:
        kept: Any = zeep.cache.InMemoryCache(timeout=None)  # pyright: ignore[reportArgumentType]  None: for ever
        if self._cache is not None and self._pin is not None:
            self._cache.mkdir(parents=True, exist_ok=True)
            kept = zeep.cache.SqliteCache(self._pin, timeout=None)  # pyright: ignore[reportArgumentType]  as above
        ours = {urlsplit(address).netloc for address in (self._address, self.endpoint)}
        transport = _Transport(self._http, self._sign_in, kept, ours)
        settings = zeep.Settings(strict=True, forbid_dtd=True, forbid_entities=True)  # pyright: ignore[reportCallIssue]  attrs class
        try:
            return zeep.Client(
                self._address, wsse=self._sign_in.token, transport=transport, settings=settings
            )
        except httpx.HTTPStatusError as error:
            raise self._unreadable(error.response.status_code) from None
        except (OSError, httpx.TransportError) as error:
            refused = tls.refusal(self._connection, error)
            if refused is not None:
                raise refused.located(self._erp, None) from None
            host = urlsplit(self._address).netloc.rpartition("@")[2]
            raise Transient(
                f"the WSDL cannot be read from {host or 'its file'}: {type(error).__name__}",
                erp=self._erp,
                code="wsdl",
            ) from None
        except (zeep.exceptions.Error, etree.XMLSyntaxError, ValueError) as error:
            raise Misconfigured(
                f"what `wsdl` points at is no WSDL: {type(error).__name__}",
                erp=self._erp,
                code="wsdl",
                remedy=f'Correct `wsdl` of connection "{self._connection.id}".',
            ) from None
        finally:
            transport.session.close()

    def _unreadable(self, status: int) -> Misconfigured | Transient:
        what = f"the WSDL cannot be read (HTTP {status})"
        if status in (301, 302, 303, 307, 308, 401, 403, 404):
            return Misconfigured(
                what,
                erp=self._erp,
                code="wsdl",
                remedy=f'Correct `wsdl` of connection "{self._connection.id}".',
            )
        return Transient(what, erp=self._erp, code="wsdl")


class _Transport(zeep.transports.Transport):
    """Loads by our own client: its certificate, its trust, its time-outs.

    Signs in at the hosts `ours` alone: a WSDL may import from anywhere.
    """

    def __init__(
        self, http: httpx.Client, sign_in: SignIn, cache: zeep.cache.Base, ours: set[str]
    ) -> None:
        super().__init__(cache=cache)
        self._http = http
        self._sign_in = sign_in
        self._ours = ours

    def _load_remote_data(self, url: str) -> bytes:
        if urlsplit(url).netloc not in self._ours:
            return self._http.get(url).raise_for_status().content
        reply = self._http.get(
            url,
            headers=self._sign_in.headers,
            auth=self._sign_in.auth or httpx.USE_CLIENT_DEFAULT,
        )
        return reply.raise_for_status().content


def _address(connection: Connection) -> str:
    if connection.host.startswith(("http://", "https://")):
        return connection.host
    port = f":{connection.port}" if connection.port else ""
    return f"{connection.schema or 'https'}://{connection.host}{port}"


def _header(envelope: etree._Element) -> etree._Element:
    uri = etree.QName(envelope).namespace
    header = envelope.find(f"{{{uri}}}Header")
    if header is None:
        header = etree.Element(etree.QName(uri, "Header"))
        envelope.insert(0, header)
    return header


def _element(uri: str | None, name: str, value: str | dict[str, Any]) -> etree._Element:
    element = etree.Element(etree.QName(uri, name))
    if isinstance(value, str):
        element.text = value
    else:
        element.extend(_element(uri, inner, value[inner]) for inner in value)
    return element
