"""Requests by the ERP's WSDL: zeep reads it once, builds envelopes and signs them.

The WSDL and what it imports are pinned: kept under the cache folder and read from there, so that
the host of the WSDL may be down. Must not make a call to an operation.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import zeep
import zeep.cache
import zeep.exceptions
import zeep.transports
from lxml import etree
from zeep.wsse.username import UsernameToken

from mappings.errors import Misconfigured, SourceChanged, Transient

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mappings.connection import Connection

_WSDL_SECONDS: Final = 10
_SOAP12: Final = "http://schemas.xmlsoap.org/wsdl/soap12/"


@dataclass(frozen=True, slots=True)
class Message:
    """A request ready to go: body, and the headers that its SOAP version wants."""

    body: bytes
    headers: dict[str, str]


class Wsdl:
    """The operations of one service. Loads when first asked; thread-safe."""

    def __init__(self, connection: Connection, erp: str, cache: Path | None) -> None:
        self._erp = erp
        self._connection = connection
        self._address = connection.extra.get("wsdl") or _address(connection) + "?wsdl"
        self._cache = cache
        self._client: zeep.Client | None = None
        self._lock = threading.Lock()

    @property
    def endpoint(self) -> str:
        """Where calls go: the connection's word beats the WSDL's, which may name an inner host."""
        return self._connection.extra.get("endpoint") or _address(self._connection)

    @property
    def operations(self) -> tuple[str, ...]:
        """Names of all operations. Raises Misconfigured or Transient."""
        return tuple(self._loaded().service._binding._operations)  # noqa: SLF001  zeep offers no other way

    def message(self, operation: str, request: Mapping[str, Any]) -> Message:
        """A signed envelope, new nonce each time. `request`: path of the element → text,
        or a list of what repeats.

        Raises SourceChanged for an operation that the WSDL does not have, Misconfigured for an
        element that the operation does not take.
        """
        client = self._loaded()
        binding = client.service._binding  # noqa: SLF001  as above
        if operation not in binding._operations:  # noqa: SLF001  as above
            raise SourceChanged(
                f"the WSDL has no operation {operation}",
                erp=self._erp,
                code="operation",
                remedy=f"Correct the mapping; the pinned WSDL is in {self._cache or 'memory'}.",
            )
        try:
            envelope = client.create_message(client.service, operation, **_nested(request))
        except (TypeError, ValueError, zeep.exceptions.ValidationError) as error:
            raise Misconfigured(
                f"{operation} does not take this request: {error}",
                erp=self._erp,
                code="request",
                remedy="Correct `request`, `page` or `since` of the mapping's source.",
            ) from None
        action = binding._operations[operation].soapaction or ""  # noqa: SLF001  as above
        headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{action}"'}
        if "soap12" in type(binding).__name__.lower():
            headers = {"Content-Type": f'application/soap+xml; charset=utf-8; action="{action}"'}
        body = etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")
        return Message(body, headers)

    def _loaded(self) -> zeep.Client:
        with self._lock:
            if self._client is None:
                self._client = self._load()
            return self._client

    def _load(self) -> zeep.Client:
        kept: Any = zeep.cache.InMemoryCache(timeout=None)  # pyright: ignore[reportArgumentType]  None: for ever
        if self._cache is not None:
            self._cache.mkdir(parents=True, exist_ok=True)
            pinned = str(self._cache / f"{self._erp}-wsdl.sqlite")
            kept = zeep.cache.SqliteCache(pinned, timeout=None)  # pyright: ignore[reportArgumentType]  as above
        transport = zeep.transports.Transport(
            cache=kept, timeout=_WSDL_SECONDS, operation_timeout=_WSDL_SECONDS
        )
        token = None
        if self._connection.login:
            digest = self._connection.extra.get("wsse", "digest") != "text"
            token = UsernameToken(
                self._connection.login, self._connection.password or "", use_digest=digest
            )
        settings = zeep.Settings(strict=True, forbid_dtd=True, forbid_entities=True)  # pyright: ignore[reportCallIssue]  attrs class
        try:
            return zeep.Client(self._address, wsse=token, transport=transport, settings=settings)
        except (OSError, zeep.exceptions.TransportError) as error:  # requests' errors are OSErrors
            status = getattr(error, "status_code", None)
            if status in (401, 403, 404):
                raise Misconfigured(
                    f"the WSDL cannot be read (HTTP {status})",
                    erp=self._erp,
                    code="wsdl",
                    remedy=f'Correct `wsdl` of connection "{self._connection.id}".',
                ) from None
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


def _address(connection: Connection) -> str:
    if connection.host.startswith(("http://", "https://")):
        return connection.host
    port = f":{connection.port}" if connection.port else ""
    return f"{connection.schema or 'https'}://{connection.host}{port}"


def _nested(request: Mapping[str, Any]) -> dict[str, Any]:
    """Paths with slashes as nested dictionaries, as zeep takes them."""
    top: dict[str, Any] = {}
    for path, text in request.items():
        *above, last = path.split("/")
        inner = top
        for word in above:
            inner = inner.setdefault(word, {})
        inner[last] = text
    return top
