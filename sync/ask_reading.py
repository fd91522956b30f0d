"""An ERP's live answer: read, mapped and judged with the words and checks of a feed.

An answer that cannot be trusted whole is none at all: there is no quarantine while somebody waits.
Must not know threads, time budgets or the database.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow.compute as pc

from connectors.formats import read_page
from connectors.formats.raw import Broken, RawChunk, ReadPlan
from connectors.protocol import Connector
from mappings.asks import ASKS
from mappings.errors import Misconfigured, SourceChanged
from mappings.live import LiveAsk, What, with_parameters
from mappings.plans import Supply
from mappings.spec import ErpMapping
from quality.checks import judge
from transforms.mapping import Mapper

Row = dict[str, Any]


def read_answer(
    session: Connector, mapping: ErpMapping, ask: LiveAsk, what: What, keys: Mapping[str, str]
) -> tuple[Row, ...]:
    """Read, map and judge the answer. An answer that cannot be trusted whole is none at all."""
    kind = ASKS[what]
    try:
        source = with_parameters(ask.source, ask.parameters, keys, kind.numbers)
    except ValueError as error:
        raise Misconfigured(str(error), code="keys") from None
    supply = Supply(kind.part.name, ask.fields, source=source)
    plan = ReadPlan(kind.part.name, source, supply.paths)
    mapper = Mapper(kind.part, supply, mapping)
    rows = list(_rows(session, plan, mapper, what))
    for row in rows:
        for name in kind.needed:
            if row.get(name) is not None and name != "qty" and row[name] != keys[name]:
                raise SourceChanged(
                    f"asked for {name} {keys[name]}, it answered about {row[name]}",
                    code="wrong_answer",
                    remedy="Correct `parameters` of the mapping's `live`.",
                )
    return tuple(rows)


def _rows(session: Connector, plan: ReadPlan, mapper: Mapper, what: What) -> Iterator[Row]:
    pages = session.read(plan.source, None)
    number = 0
    first = {plan.part: 1}
    while True:
        try:
            page = next(pages)
        except StopIteration as stop:
            if not stop.value.complete:
                raise _unreadable(what, stop.value.reason) from None
            return
        number += 1
        for piece in read_page(io.BytesIO(b"".join(page.content)), plan, number, first):
            if isinstance(piece, Broken):
                raise _unreadable(what, piece.says)
            if isinstance(piece, RawChunk):
                yield from _judged(mapper, piece, what)


def _judged(mapper: Mapper, chunk: RawChunk, what: What) -> list[Row]:
    mapped = mapper.map(chunk)
    for problem in mapped.problems:
        if pc.any(problem.mask).as_py():
            raise _unreadable(what, f"{problem.field} {problem.says}")
    for verdict in judge(mapper.part, mapped.table):
        if verdict.any_failed:
            raise _unreadable(what, verdict.says)
    names = [f.name for f in mapper.part.fields]
    return mapped.table.select(names).to_pylist()


def _unreadable(what: What, says: str) -> SourceChanged:
    return SourceChanged(
        f"the answer about {what} cannot be used: {says}",
        code="unreadable",
        remedy="Correct `live` of the mapping; `waybill check` shows a sample.",
    )
