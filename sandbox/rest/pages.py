"""Pages of the practice REST ERP: by offset, number, token, link; searches; a service layer."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from sandbox.rest.server import Reply, Request

Record = dict[str, Any]


def paged(request: Request, style: str, rows: Sequence[Record], size: int, fault: str) -> Reply:
    """One page of a list, as `style` has it."""
    total = len(rows) + (1 if fault == "count_mismatch" else 0)
    query = request.query
    if style == "whole":
        return Reply(200, {"items": [] if fault == "empty" else list(rows)})
    if style == "page":
        number = int(query.get("page", "1"))
        at = (number - 1) * size
        pages = max(1, -(-len(rows) // size))
        body = {"items": rows[at : at + size], "total": total, "pages": pages}
        return Reply(200, body)
    if style == "offset":
        at = int(query.get("offset", "0"))
        return Reply(200, {"items": rows[at : at + size], "meta": {"total": total}})
    if style == "deaf":  # takes no offset, whatever the query says
        return Reply(200, {"items": rows[:size]})
    if style == "cursor":
        at = int(query.get("after", "0"))
        behind = at if fault == "repeated_link" else at + size
        token = str(behind) if at + size < len(rows) else None
        return Reply(200, {"items": rows[at : at + size], "next": token, "total": total})
    if style == "link":
        at = int(query.get("at", "0"))
        headers = [("X-Total-Count", str(total))]
        if at + size < len(rows):
            kept = "&".join(f"{k}={quote(v)}" for k, v in query.items() if k != "at")
            here = f"http://inside.example:8080{request.path}?at={at + size}&{kept}"
            headers.append(("Link", f'<{request.path}>; rel="first", <{here}>; rel="next"'))
        return Reply(200, list(rows[at : at + size]), headers)
    return Reply(404, {"error": {"code": "404", "message": f"no style {style}"}})


def searched(rows: Sequence[Record], asked: Mapping[str, Any], largest: int) -> dict[str, Any]:
    """As `search_read`: a domain of one comparison at most, offset and limit."""
    for name, operator, value in asked.get("domain", []):
        if operator == ">=":
            rows = [one for one in rows if str(one.get(name) or "") >= value]
        elif operator == "=":
            rows = [one for one in rows if one.get(name) == value]
    at = int(asked.get("offset", 0))
    size = min(int(asked.get("limit") or largest), largest)
    return {"length": len(rows), "records": rows[at : at + size]}


def service_layer(
    request: Request, rest: str, records: Mapping[str, Sequence[Record]], *,
    case_matters: bool, fault: str, size: int,
) -> Reply:  # fmt: skip
    """As Business One's: OData with small pages unless a header asks for more, $top not minded."""
    name, _, more = rest.removeprefix("v2/").partition("/")
    if name not in records:
        return Reply(404, {"error": {"code": "-2028", "message": "No matching records found"}})
    rows = list(records[name])
    condition = re.fullmatch(r"(\w+) (eq|ge|gt) '?([^']*)'?", request.query.get("$filter", ""))
    if condition:
        field, operator, value = condition.groups()
        fold = request.headers.get("b1s-caseinsensitive") == "true" or not case_matters
        rows = [one for one in rows if _holds(str(one[field]), operator, value, fold=fold)]
    if more == "$count":
        return Reply(200, str(len(rows)).encode(), [("Content-Type", "text/plain")])
    if request.query.get("$orderby"):
        rows.sort(key=lambda one: str(one[request.query["$orderby"]]))
    wish = request.headers.get("b1s-pagesize") or ""
    size = int(wish) if wish.isdecimal() else size
    skip = int(request.query.get("$skip", "0"))
    body: dict[str, Any] = {"odata.metadata": "…"}
    if request.query.get("$count") == "true":
        body["@odata.count"] = len(rows)
    body["value"] = rows[skip : skip + size]
    if skip + size < len(rows) and request.query.get("$top") is None:
        behind = skip if fault == "repeated_link" else skip + size
        rest_of_query = [f"{k}={quote(v)}" for k, v in request.query.items() if k != "$skip"]
        body["@odata.nextLink"] = f"{name}?{'&'.join([*rest_of_query, f'$skip={behind}'])}"
    return Reply(200, json.dumps(body).encode(), [("OData-Version", "4.0")])


def _holds(found: str, operator: str, value: str, *, fold: bool) -> bool:
    if fold:
        found, value = found.casefold(), value.casefold()
    return {"eq": found == value, "ge": found >= value, "gt": found > value}[operator]
