"""A WSDL's operations as listings: which answer repeats a record, and how its pages go on.

Must not call an operation.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import zeep
import zeep.exceptions
import zeep.transports
import zeep.xsd
from lxml import etree

from connectors.describe import Description, Listing
from mappings.connection import Connection
from mappings.errors import Misconfigured, Transient

_SECONDS = 10
_NEXT = re.compile(
    r"^(next|nexttoken|nextpage|token|searchid|cursor|continuation\w*)$", re.IGNORECASE
)
_SIZE = re.compile(r"^(maxrows|pagesize|page_size|limit|maxcount|top|rows)$", re.IGNORECASE)
_COUNT = re.compile(r"^(total\w*|count|recordcount|totalcount|anzahl|toplam\w*)$", re.IGNORECASE)
_SINCE = re.compile(r"(since|seit|modified|changed|updated|degis|tarihinden)", re.IGNORECASE)
_ERROR = re.compile(r"^(type|code|returncode|errorcode|status)$", re.IGNORECASE)
_TEXT = re.compile(r"^(message|text|errormessage|errortext|description)$", re.IGNORECASE)
_STAMP = re.compile(
    r"(modified|changed|updated|last_?change|aedtm|laeda|geaendert|degis)", re.IGNORECASE
)
_DEEPEST = 6
_KINDS = {
    "decimal": "number", "double": "number", "float": "number", "int": "int", "integer": "int",
    "long": "int", "short": "int", "date": "date", "datetime": "instant", "boolean": "bool",
}  # fmt: skip


def of_wsdl(location: str, erp: str, connection: Connection | None) -> Description:
    """Every operation whose answer repeats a record."""
    transport = zeep.transports.Transport(timeout=_SECONDS, operation_timeout=_SECONDS)
    if connection is not None and connection.login:
        transport.session.auth = (connection.login, connection.password or "")
    settings = zeep.Settings(strict=False, forbid_dtd=True, forbid_entities=True)  # pyright: ignore[reportCallIssue]  attrs class
    try:
        client = zeep.Client(location, transport=transport, settings=settings)
    except OSError as error:  # requests' errors are OSErrors
        raise Transient(
            f"the WSDL cannot be read: {type(error).__name__}", erp=erp, code="wsdl"
        ) from None
    except (zeep.exceptions.Error, etree.XMLSyntaxError, ValueError) as error:
        raise Misconfigured(
            f"{location} is no WSDL: {type(error).__name__}",
            code="not_described",
            remedy="Give the address that ends in ?wsdl, or the file.",
        ) from None
    finally:
        transport.session.close()
    listings = []
    for name, operation in sorted(client.service._binding._operations.items()):  # noqa: SLF001  zeep offers no other way
        listings += _listings(name, operation)
    return Description("wsdl", "soap", _stub(location), tuple(listings))


def _stub(location: str) -> dict[str, Any]:
    parts = urlsplit(location)
    stub: dict[str, Any] = {"conn_type": "http", "extra": {"wsdl": location}}
    if parts.hostname:
        stub |= {"host": parts.hostname, "port": parts.port, "schema": parts.scheme}
        stub["extra"]["endpoint"] = location.partition("?")[0]
    return stub


def _listings(name: str, operation: Any) -> list[Listing]:  # noqa: ANN401  zeep's own object
    asked, answered = _inner(operation.input), _inner(operation.output)
    if answered is None:
        return []
    requests = [] if asked is None else [one for one, _ in _elements(asked)]
    found = []
    for path, record in _repeated(answered, (), 0):
        columns, children = _columns(record, (), 0)
        if not columns:
            continue
        words: dict[str, Any] = {"protocol": "soap", "operation": name, "records": path}
        words |= _paging(requests, answered)
        stamp = next((one for one in columns if _STAMP.search(one)), None)
        since = next((one for one in requests if _SINCE.search(one)), None)
        if since and stamp:
            words |= {"since": since, "cursor": stamp}
        found.append(Listing(name, words, columns, children))
    return found


def _paging(requests: list[str], answered: Any) -> dict[str, Any]:  # noqa: ANN401  as above
    words: dict[str, Any] = {}
    scalars = [one for one, element in _elements(answered) if not _inside(element)]
    response = next((one for one in scalars if _NEXT.match(one)), None)
    request = next((one for one in requests if _NEXT.match(one)), None)
    if response and request:
        words["page"] = {"request": request, "response": response}
        size = next((one for one in requests if _SIZE.match(one)), None)
        if size:
            words["page"] |= {"size_request": size, "size": "1000"}
    count = next((one for one in scalars if _COUNT.match(one)), None)
    if count:
        words["count"] = count
    for above, element in _elements(answered):
        inner = [one for one, _ in _elements(element.type)] if _inside(element) else []
        code = next((one for one in inner if _ERROR.match(one)), None)
        says = next((one for one in inner if _TEXT.match(one)), None)
        if code and says and not element.accepts_multiple:
            words |= {"error": f"{above}/{code}", "error_text": f"{above}/{says}"}
            words["error_ok"] = ["S", "W", "I", "0", "OK"]
            break
    return words


def _repeated(kind: Any, path: tuple[str, ...], depth: int) -> list[tuple[str, Any]]:  # noqa: ANN401  as above
    found: list[tuple[str, Any]] = []
    if depth > _DEEPEST:
        return found
    for name, element in _elements(kind):
        if not _inside(element):
            continue
        here = (*path, name)
        if element.accepts_multiple:
            found.append(("/".join(here), element.type))
        else:
            found += _repeated(element.type, here, depth + 1)
    return found


def _columns(
    kind: Any,  # noqa: ANN401  as above
    path: tuple[str, ...],
    depth: int,
) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    columns: dict[str, str] = {}
    children: dict[str, dict[str, str]] = {}
    for name, element in _elements(kind):
        here = "/".join((*path, name))
        if not _inside(element):
            told = str(getattr(element.type, "name", "") or "").lower()
            columns[f"{here}[]" if element.accepts_multiple else here] = _KINDS.get(told, "")
        elif element.accepts_multiple:
            children[here] = _columns(element.type, (), depth + 1)[0]
        elif depth < _DEEPEST:
            more, below = _columns(element.type, (*path, name), depth + 1)
            columns |= more
            children |= below
    return columns, children


def _inner(message: Any) -> Any:  # noqa: ANN401  as above
    body = getattr(message, "body", None)
    kind = getattr(body, "type", None)
    return kind if kind is not None and hasattr(kind, "elements") else None


def _elements(kind: Any) -> list[tuple[str, Any]]:  # noqa: ANN401  as above
    return [
        (str(name), element)
        for name, element in getattr(kind, "elements", ())
        if isinstance(element, zeep.xsd.Element)
    ]


def _inside(element: Any) -> bool:  # noqa: ANN401  as above
    return isinstance(element.type, zeep.xsd.ComplexType) and bool(_elements(element.type))
