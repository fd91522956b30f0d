"""A page of JSON or XML, or a CSV file, as listings: where its records are and what they hold.

Must not decide what a column means; its values are read by `connectors/formats`.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from lxml import etree

from connectors.describe import Description, Listing
from connectors.describe_http import plain_protocol, plain_words
from mappings.errors import Misconfigured

_LOOKED_AT = 1000
_DEEPEST = 6
_DELIMITERS = (";", "\t", "|", ",")
_LEAST_LINES = 2
_ENCODINGS = ("utf-8", "cp1254", "cp1252")
"""Tried in this order; the single-byte ones differ in a few letters, so they stay a guess."""


def of_json(content: bytes, location: str) -> Description:
    """The first array of objects in a page."""
    try:
        page = json.loads(content.decode("utf-8-sig"), parse_float=str)
    except (UnicodeDecodeError, ValueError):
        raise Misconfigured(
            f"{location} is not whole JSON", code="not_described", remedy="Fetch it anew."
        ) from None
    found = _json_records(page, ())
    if found is None:
        raise Misconfigured(
            f"{location} holds no array of records",
            code="not_described",
            remedy="Give a page with at least one record.",
        )
    path, records = found
    columns: dict[str, str] = {}
    children: dict[str, dict[str, str]] = {}
    for record in records[:_LOOKED_AT]:
        _json_columns(record, (), columns, children)
    parts = urlsplit(location)
    online = parts.scheme in {"http", "https"}
    name = PurePosixPath(parts.path).name or "records"
    entity = name if online else PurePosixPath(name).stem
    beside = page if isinstance(page, dict) and len(path) == 1 else None
    words = plain_words(entity, "/".join(path), beside)
    stub: dict[str, Any] = {"conn_type": "http"}
    if online:
        service = f"{parts.scheme}://{parts.netloc}{parts.path.rpartition('/')[0]}"
        stub |= {"host": parts.hostname or "", "port": parts.port,
                 "extra": {"service_root": service}}  # fmt: skip
    return Description(
        "json",
        plain_protocol(),
        stub,
        (Listing(entity, words, columns, children, content=content),),
    )


def _json_records(
    tree: Any,  # noqa: ANN401  any JSON
    path: tuple[str, ...],
) -> tuple[tuple[str, ...], list[dict[str, Any]]] | None:
    if isinstance(tree, list):
        rows = [one for one in tree if isinstance(one, dict)]
        return (path, rows) if rows else None
    if isinstance(tree, dict) and len(path) < _DEEPEST:
        for name, inner in tree.items():
            found = _json_records(inner, (*path, name))
            if found is not None:
                return found
    return None


def _json_columns(
    record: dict[str, Any],
    path: tuple[str, ...],
    columns: dict[str, str],
    children: dict[str, dict[str, str]],
) -> None:
    for name, value in record.items():
        here = "/".join((*path, name))
        if isinstance(value, dict) and len(path) < _DEEPEST:
            _json_columns(value, (*path, name), columns, children)
        elif isinstance(value, list):
            rows = [one for one in value if isinstance(one, dict)]
            for row in rows:
                _json_columns(row, (), children.setdefault(here, {}), {})
            if value and not rows:
                columns.setdefault(f"{here}[]", "")
        elif "/" not in name:
            columns.setdefault(here, "bool" if isinstance(value, bool) else "")


def of_xml(content: bytes, location: str) -> Description:
    """The element that is repeated most often, nearest to the root."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise Misconfigured(
            f"{location} is no whole XML: {error.msg}",
            code="not_described",
            remedy="Fetch it anew.",
        ) from None
    path, records = _xml_records(root, (), 0) or ((), [root])
    columns: dict[str, str] = {}
    children: dict[str, dict[str, str]] = {}
    for record in records[:_LOOKED_AT]:
        _xml_columns(record, (), columns, children)
    name = PurePosixPath(urlsplit(location).path).name
    words = {
        "protocol": "sftp",
        "files": _pattern(name),
        **_order(name),
        "format": {"kind": "xml", "records": "/".join(path) or "."},
    }
    listing = Listing(PurePosixPath(name).stem, words, columns, children, content=content)
    return Description("xml", "sftp", _sftp_stub(), (listing,))


def _xml_records(root: Any, path: tuple[str, ...], depth: int) -> Any:  # noqa: ANN401  lxml elements
    counts = Counter(_local(one) for one in root if isinstance(one.tag, str))
    if counts:
        name, times = counts.most_common(1)[0]
        rows = [one for one in root if isinstance(one.tag, str) and _local(one) == name]
        if times > 1 and any(len(row) for row in rows):
            return (*path, name), rows
    if depth < _DEEPEST:
        for inner in root:
            if isinstance(inner.tag, str) and len(inner):
                found = _xml_records(inner, (*path, _local(inner)), depth + 1)
                if found is not None:
                    return found
    return None


def _xml_columns(
    record: Any,  # noqa: ANN401  an lxml element
    path: tuple[str, ...],
    columns: dict[str, str],
    children: dict[str, dict[str, str]],
) -> None:
    counts = Counter(_local(one) for one in record if isinstance(one.tag, str))
    for inner in record:
        if not isinstance(inner.tag, str):
            continue
        name = _local(inner)
        here = "/".join((*path, name))
        if not len(inner):
            columns.setdefault(f"{here}[]" if counts[name] > 1 else here, "")
        elif counts[name] > 1:
            _xml_columns(inner, (), children.setdefault(here, {}), {})
        else:
            below = Counter(_local(one) for one in inner if isinstance(one.tag, str))
            single = next(iter(below)) if len(below) == 1 else None
            rows = [one for one in inner if isinstance(one.tag, str) and len(one)]
            if single and rows:  # a list in its own element: ITEMS/item
                for row in rows:
                    _xml_columns(row, (), children.setdefault(f"{here}/{single}", {}), {})
            else:
                _xml_columns(inner, (*path, name), columns, children)


def _local(element: Any) -> str:  # noqa: ANN401  an lxml element
    return etree.QName(element).localname


def of_csv(content: bytes, location: str) -> Description:
    """One listing: the file. Its delimiter is the one that gives every line as many columns."""
    text, encoding, notes = _decoded(content)
    name = PurePosixPath(urlsplit(location.removeprefix("sftp:")).path).name
    delimiter, rows = _split(text)
    if len(rows) < _LEAST_LINES or len(rows[0]) < _LEAST_LINES:
        raise Misconfigured(
            f"{location} is no table with a header: no delimiter of {_DELIMITERS!r} splits it",
            code="not_described",
            remedy="Give a CSV file with its header and some records.",
        )
    form: dict[str, Any] = {"kind": "csv", "delimiter": delimiter, "encoding": encoding}
    body, trailer = rows[1:], None
    last = rows[-1]
    if len(last) != len(rows[0]) or re.fullmatch(r"(TRL|TRAILER|EOF|END|SUM|TOTAL|9{2,})", last[0]):
        trailer = {"starts_with": last[0]}
        body = rows[1:-1]
        for number, cell in enumerate(last[1:], start=2):
            if cell.isdecimal() and int(cell) == len(body):
                trailer["count"] = str(number)
                break
        form["trailer"] = trailer
    if encoding != "utf-8":
        notes = (*notes, f"encoding {encoding} is a guess: look at letters beyond A to Z")
    words = {"protocol": "sftp", "files": _pattern(name), **_order(name), "format": form}
    columns = dict.fromkeys((one for one in rows[0] if one), "")
    listing = Listing(PurePosixPath(name).stem, words, columns, content=content)
    return Description("csv", "sftp", _sftp_stub(), (listing,), notes)


def _decoded(content: bytes) -> tuple[str, str, tuple[str, ...]]:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16"), "utf-16", ()
    for encoding in _ENCODINGS:
        try:
            return content.decode("utf-8-sig" if encoding == "utf-8" else encoding), encoding, ()
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1"), "iso-8859-1", ("some bytes fit no usual encoding",)


def _split(text: str) -> tuple[str, list[list[str]]]:
    """Proven over all lines: the delimiter under which most of them have the header's width."""
    best: tuple[float, int, str, list[list[str]]] = (-1.0, 0, "", [])
    for delimiter in _DELIMITERS:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row]
        if not rows:
            continue
        width = len(rows[0])
        share = sum(len(row) == width for row in rows) / len(rows) if width > 1 else -1.0
        if (share, width) > best[:2]:
            best = (share, width, delimiter, rows)
    return best[2], best[3]


def _pattern(name: str) -> str:
    """`prices_000012.csv` → `out/prices_[0-9]*.csv`."""
    stem, dot, end = name.rpartition(".")
    found = re.search(r"\d{2,}", stem)
    if found is None:
        return f"out/{name or '*.csv'}"
    return f"out/{stem[: found.start()]}[0-9]*{dot}{end}"


def _order(name: str) -> dict[str, str]:
    stem, _, end = name.rpartition(".")
    found = re.search(r"\d{2,}", stem)
    if found is None:
        return {}
    return {"order": rf"{re.escape(stem[: found.start()])}(\d+).*\.{re.escape(end)}$"}


def _sftp_stub() -> dict[str, Any]:
    return {"conn_type": "sftp", "host": "", "port": 22, "login": "", "extra": {"host_key": ""}}
