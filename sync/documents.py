"""Documents of a batch: which are not known yet, fetched and stored by their SHA-256.

A missing or late document never holds back its invoice: it is `missing` or `pending` and asked
for again with the next pull. Known ones are not fetched twice. Must not write to the database.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from connectors.formats import read_page
from connectors.formats.gathering import gathered
from connectors.formats.raw import Item, RawChunk
from connectors.protocol import Connector
from mappings.errors import Refused, Transient
from mappings.spec import ErpMapping
from mappings.vocabulary import Part
from portal_db.ledger import PageRow
from sync.context import Context, declared
from sync.progress import Progress
from sync.sources import Reading, supplied
from transforms.mapping import Mapper

_GIVE_UP_AFTER = 5
"""Failures in a row after which the rest stays pending: the ERP is in trouble, not one file."""

_MEDIA = {"pdf": "application/pdf", "ubl": "application/xml", "cii": "application/xml"}


def fetch(
    ctx: Context,
    mapping: ErpMapping,
    folder: str,
    sources: list[Reading],
    pages: list[PageRow],
    connectors: dict[str, Connector],
    progress: Progress,
) -> list[dict[str, Any]]:
    """Fetch what this batch names and we do not have.

    Returns a row per asked location: location, state (present, pending, missing), sha256, bytes,
    media_type.
    """
    part = declared("invoices").part("document")
    reading = next((r for r in sources if r.part == part.name), None)
    if reading is None:
        return []
    named = _named(ctx, mapping, folder, reading, part, pages)
    known = _known(ctx, mapping.erp, list(named))
    unknown = [one for one in named if one not in known]
    connector = connectors[reading.plan.source.protocol]
    rows: list[dict[str, Any]] = []
    failures = 0
    for done, location in enumerate(unknown, start=1):
        row: dict[str, Any] = {
            "location": location,
            "state": "pending",
            "sha256": None,
            "bytes": None,
            "media_type": _MEDIA.get(named[location], "application/pdf"),
        }
        if failures < _GIVE_UP_AFTER:
            try:
                stored = ctx.landing.write_document(connector.fetch(location))
                row.update(state="present", sha256=stored.sha256, bytes=stored.bytes)
                failures = 0
            except Refused:
                row["state"] = "missing"
                failures = 0
            except Transient:
                failures += 1
        rows.append(row)
        progress("documents", done, len(unknown))
    return rows


def _named(
    ctx: Context,
    mapping: ErpMapping,
    folder: str,
    reading: Reading,
    part: Part,
    pages: list[PageRow],
) -> dict[str, str]:
    """location → format of every document this batch names."""
    supply = supplied(declared("invoices"), mapping.feeds["invoices"])[part.name]
    mapper = Mapper(part, supply, mapping)
    named: dict[str, str] = {}
    for item in gathered(_items(ctx, folder, reading, pages)):
        if isinstance(item, RawChunk) and item.part == part.name:
            table = mapper.map(item).table
            for location, kind in zip(
                table["location"].to_pylist(), table["format"].to_pylist(), strict=True
            ):
                if location:
                    named.setdefault(location, kind or "pdf")
    return named


def _items(ctx: Context, folder: str, reading: Reading, pages: list[PageRow]) -> Iterator[Item]:
    first = {reading.part: 1, **{child.part: 1 for child in reading.plan.children}}
    for page in pages:
        if page.part == reading.part:
            with ctx.landing.open_page(folder, page.file) as content:
                yield from read_page(content, reading.plan, page.page, first)


def _known(ctx: Context, erp: str, locations: list[str]) -> set[str]:
    with ctx.connection() as connection:
        rows = connection.execute(
            "SELECT location FROM portal.document WHERE erp = %s AND state = 'present' "
            "AND deleted_at IS NULL AND location = ANY(%s)",
            (erp, locations),
        ).fetchall()
    return {location for (location,) in rows}
