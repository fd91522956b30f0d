"""The page that explains a value: from a row of the portal back to the ERP's bytes.

`sync/explain.py` finds everything; here it is shown, personal values masked by role, the place in
the bytes marked. Every look is on record. Must not read the landing store itself.
"""

from __future__ import annotations

import shlex
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from mappings.errors import Misconfigured
from mappings.feeds import PARTS
from review.web import asked
from review.web.database import note_reading, reader
from review.web.gate import Page
from review.web.render import page
from sync.explain import explain, field_line

_TABLES = ("price", "stock", "credit", "invoice", "invoice_line", "payment", "sales_order")
_LONGEST = 20_000


def _explain(request: Request) -> Response:
    table, typed = asked.text(request, "table"), asked.text(request, "key") or ""
    field = asked.text(request, "field")
    others = [name for name in PARTS if name not in _TABLES]
    context: dict[str, Any] = {
        "tables": [*_TABLES, *others],
        "table": table,
        "typed": typed,
        "field": field,
        "found": None,
        "fault": None,
    }
    key = request.query_params.getlist("k") or _words(typed)
    if table is None or not key:
        return page(request, "explain.html", **context)
    context["typed"] = typed or shlex.join(key)
    note_reading(request, f"explain {table}", key=key, field=field)
    try:
        found = explain(reader(request), table, list(key))
    except Misconfigured as fault:
        return page(request, "explain.html", status=404, **context | {"fault": fault})
    feed = PARTS[table].feed
    columns = asked.columns(request, found["erp"], feed, table)
    found = asked.veil(request).explained(found, columns)
    lines = found["mapping"]["fields"]
    chosen = [line for line in lines if field in (None, line["field"])]
    raws = [raw for line in chosen for raw in line.get("raw", {}).values() if raw]
    if asked.as_file(request):
        return asked.file(
            [
                {
                    "field": line["field"],
                    "value": line["value"],
                    "erp_text": "; ".join(str(r) for r in line.get("raw", {}).values()),
                    "mapping": field_line(line),
                }
                for line in lines
            ],
            f"explain-{table}",
        )
    text = found["evidence"].get("text")
    context |= {
        "found": found,
        "lines": [{"raw": {}, **line, "how": field_line(line)} for line in lines],
        "pieces": None if text is None else marked(text[:_LONGEST], raws),
    }
    return page(request, "explain.html", **context)


def _words(typed: str) -> list[str]:
    try:
        return shlex.split(typed)
    except ValueError:
        return typed.split()


def marked(text: str, values: list[str]) -> list[tuple[str, bool]]:
    """The text in pieces, those that are one of the values marked; each where it first stands
    as a whole: not inside a longer word or number.
    """
    spans: list[tuple[int, int]] = []
    for value in sorted(set(values), key=len, reverse=True):
        at = text.find(value)
        while at >= 0:
            end = at + len(value)
            alone = not (at and _joins(text[at - 1], value[0])) and not (
                end < len(text) and _joins(text[end], value[-1])
            )
            if alone and all(end <= s or at >= e for s, e in spans):
                spans.append((at, end))
                break
            at = text.find(value, at + 1)
    pieces, last = [], 0
    for start, end in sorted(spans):
        pieces += [(text[last:start], False), (text[start:end], True)]
        last = end
    return [*pieces, (text[last:], False)]


def _joins(outside: str, inside: str) -> bool:
    return outside.isalnum() and inside.isalnum()


ROUTES = (Page("/explain", _explain, nav="Explain"),)
