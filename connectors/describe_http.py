"""OData's `$metadata` and OpenAPI documents as listings. Must not ask the service anything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import yaml
from lxml import etree

from connectors import PROTOCOLS
from connectors.describe import Description, Listing
from mappings.errors import Misconfigured

_EDM = {
    "Edm.Decimal": "number", "Edm.Double": "number", "Edm.Single": "number", "Edm.Int16": "int",
    "Edm.Int32": "int", "Edm.Int64": "int", "Edm.Date": "date", "Edm.DateTimeOffset": "instant",
    "Edm.DateTime": "instant", "Edm.Boolean": "bool",
}  # fmt: skip
_STAMP = re.compile(
    r"(modified|changed|updated|last_?change|timestamp|systemmodified)", re.IGNORECASE
)
_COUNT = re.compile(r"(total|total_?count|count|total_?records|total_?items)", re.IGNORECASE)
_NEXT = re.compile(r"(next|next_?link|next_?page|next_?url)", re.IGNORECASE)
_DEEPEST = 4


def of_metadata(content: bytes, location: str) -> Description:
    """Every entity set of a CSDL document, with its contained collections as children."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise Misconfigured(
            f"{location} is no whole XML: {error.msg}",
            code="not_described",
            remedy="Fetch it anew.",
        ) from None
    types = {
        f"{schema.get('Namespace')}.{one.get('Name')}": one
        for schema in root.iter("{*}Schema")
        for one in schema.iterchildren("{*}EntityType", "{*}ComplexType")
    }
    listings = []
    for entity_set in root.iter("{*}EntitySet"):
        kind = types.get(entity_set.get("EntityType", ""))
        if kind is None:
            continue
        columns = _properties(kind)
        children: dict[str, dict[str, str]] = {}
        for navigation in kind.iterchildren("{*}NavigationProperty"):
            target = re.fullmatch(r"Collection\((.+)\)", navigation.get("Type") or "")
            if target and target.group(1) in types:
                children[navigation.get("Name", "")] = _properties(types[target.group(1)])
        words: dict[str, Any] = {
            "protocol": "odata", "entity": entity_set.get("Name", ""), "page_size": "1000",
        }  # fmt: skip
        stamp = next(
            (n for n, hint in columns.items() if hint == "instant" and _STAMP.search(n)), None
        )
        if stamp:
            words["cursor"] = stamp
        expand = {name: name for name in children}
        listings.append(Listing(entity_set.get("Name", ""), words, columns, children, expand))
    if not location.startswith(("http://", "https://")):
        return Description("odata", "odata", {"conn_type": "http"}, tuple(listings))
    service = location.partition("/$metadata")[0].partition("?")[0].rstrip("/")
    return Description("odata", "odata", _stub(service), tuple(listings))


def _properties(kind: Any) -> dict[str, str]:  # noqa: ANN401  an lxml element
    return {
        str(one.get("Name")): _EDM.get(one.get("Type") or "", "")
        for one in kind.iterchildren("{*}Property")
    }


def _stub(service: str) -> dict[str, Any]:
    parts = urlsplit(service)
    return {
        "conn_type": "http",
        "host": parts.hostname or "",
        "port": parts.port,
        "extra": {"service_root": service},
    }


def of_openapi(content: bytes, location: str) -> Description | None:
    """Every GET of an OpenAPI (2 or 3) document that answers with an array of objects; or None."""
    try:
        document = yaml.safe_load(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, yaml.YAMLError):
        return None
    if not isinstance(document, dict) or not {"openapi", "swagger"} & document.keys():
        return None
    listings = []
    for path, methods in (document.get("paths") or {}).items():
        schema = _answer(document, (methods or {}).get("get"))
        if schema is None or "{" in path:
            continue
        where = _array(document, schema, ())
        if where is None:
            continue
        records, item = where
        columns, children = _columns(document, item, (), 0)
        if columns:
            words = plain_words(path.strip("/"), "/".join(records))
            listings.append(Listing(path.strip("/"), words, columns, children))
    servers = document.get("servers") or [{}]
    service = str(servers[0].get("url") or "")
    if not service and document.get("host"):
        scheme = (document.get("schemes") or ["https"])[0]
        service = f"{scheme}://{document['host']}{document.get('basePath') or ''}"
    if service.startswith("/") and location.startswith("http"):
        parts = urlsplit(location)
        service = f"{parts.scheme}://{parts.netloc}{service}"
    return Description("openapi", plain_protocol(), _stub(service.rstrip("/")), tuple(listings))


def plain_words(
    path: str, records: str, beside: Mapping[str, object] | None = None
) -> dict[str, Any]:
    """The source of a plain JSON list. `beside`: what stands in the page beside the records."""
    if "rest" not in PROTOCOLS:  # a service that pages by next links is read as OData reads it
        return {"protocol": "odata", "entity": path, "records": records or ".", "count": "false"}
    words: dict[str, Any] = {"protocol": "rest", "path": path, "records": records or "."}
    for name, value in (beside or {}).items():
        if _COUNT.fullmatch(name) and isinstance(value, int):
            words.setdefault("count", name)
        elif _NEXT.fullmatch(name) and (value is None or str(value).startswith(("http", "/"))):
            words.setdefault("page", {"by": "link", "next": name})
    return words


def plain_protocol() -> str:
    """The protocol of `plain_words`."""
    return "rest" if "rest" in PROTOCOLS else "odata"


def _answer(document: dict[str, Any], get: Any) -> dict[str, Any] | None:  # noqa: ANN401  any JSON
    if not isinstance(get, dict):
        return None
    responses = get.get("responses") or {}
    good = next((one for code, one in responses.items() if str(code).startswith("2")), None)
    good = _resolved(document, good)
    if good is None:
        return None
    if "schema" in good:
        return _resolved(document, good["schema"])
    content = good.get("content") or {}
    found = next((one for kind, one in content.items() if "json" in kind), None)
    return _resolved(document, (found or {}).get("schema"))


def _array(
    document: dict[str, Any], schema: dict[str, Any], path: tuple[str, ...]
) -> tuple[tuple[str, ...], dict[str, Any]] | None:
    """Path of the array of objects in an answer, and the schema of its items."""
    if schema.get("type") == "array" or "items" in schema:
        item = _resolved(document, schema.get("items"))
        return (path, item) if item is not None and "properties" in item else None
    if len(path) > _DEEPEST:
        return None
    for name, inner in (schema.get("properties") or {}).items():
        told = _resolved(document, inner)
        found = None if told is None else _array(document, told, (*path, name))
        if found is not None:
            return found
    return None


def _columns(
    document: dict[str, Any], schema: dict[str, Any], path: tuple[str, ...], depth: int
) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    columns: dict[str, str] = {}
    children: dict[str, dict[str, str]] = {}
    for name, inner in (schema.get("properties") or {}).items():
        told = _resolved(document, inner) or {}
        here = "/".join((*path, name))
        item = _resolved(document, told.get("items"))
        if item is not None and "properties" in item:
            children[here] = _columns(document, item, (), depth + 1)[0]
        elif item is not None:
            columns[f"{here}[]"] = ""
        elif "properties" in told and depth < _DEEPEST:
            more, below = _columns(document, told, (*path, name), depth + 1)
            columns |= more
            children |= below
        else:
            columns[here] = _hint(told)
    return columns, children


def _hint(schema: dict[str, Any]) -> str:
    kind, form = schema.get("type"), schema.get("format")
    if form == "date-time":
        return "instant"
    if form == "date":
        return "date"
    return {"number": "number", "integer": "int", "boolean": "bool"}.get(str(kind), "")


def _resolved(document: dict[str, Any], schema: Any) -> dict[str, Any] | None:  # noqa: ANN401  any JSON
    for _ in range(20):
        if not isinstance(schema, dict):
            return None
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/"):
            break
        found: Any = document
        for word in reference[2:].split("/"):
            found = found.get(word) if isinstance(found, dict) else None
        schema = found
    if isinstance(schema, dict) and "allOf" in schema:
        merged: dict[str, Any] = {}
        for one in schema["allOf"]:
            merged |= (_resolved(document, one) or {}).get("properties") or {}
        return {"properties": merged}
    return schema if isinstance(schema, dict) else None
