"""An ERP on loopback that answers by stamp: what changed since, in pages by key, by its own clock.

Unlike the plain page server it reads the `$filter`, so that a row behind the cursor really stays
away. It can forget old cursors (410), lose its place between pages, and hold a clock of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from tests.sync.far_side import PageErp, Row

_SINCE = re.compile(r"(\w+) ge '?([^')]+)'?")


class StampErp(PageErp):
    """Rows by entity and key. `stamp` is the property that the filter compares, as text."""

    def __init__(self, stamp: str = "changed_at", page: int = 1000) -> None:
        super().__init__()
        self.stamp = stamp
        self.page = page
        self.rows: dict[str, dict[str, dict[str, Any]]] = {}
        self.gone: dict[str, list[dict[str, Any]]] = {}
        """Deletion markers by entity; they come behind the rows, and only to a delta."""
        self.forgets_before: str | None = None
        """Cursors before this text are answered with 410."""
        self.lost: set[str] = set()
        """Keys whose place in the paging is forgotten (410 on that next link)."""
        self.between: Callable[[str, int], None] | None = None
        """Runs before page n (1 = first) of an entity is made, in the server's thread."""
        self.date: str | None = None
        """The Date header; None: none is sent."""

    def put_rows(self, entity: str, rows: Iterable[Row], key: str = "key") -> None:
        """Add or replace rows by their key."""
        there = self.rows.setdefault(entity, {})
        there.update({str(row[key]): dict(row) for row in rows})

    def asked(self, entity: str) -> list[str]:
        """The starts that were asked for, in order; '' for everything."""
        found = []
        for path in self.requests:
            if path.startswith(f"/api/{entity}?") and "after=" not in path:
                since = _SINCE.search(path)
                found.append(since.group(2) if since else "")
        return found

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """One page, or the count."""
        self.requests.append(unquote(request.path))
        parts = urlsplit(request.path)
        entity, _, rest = parts.path.removeprefix("/api/").partition("/")
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        found = _SINCE.search(query.get("$filter", ""))
        since = found.group(2) if found else None
        after = query.get("after", "")
        number = int(query.get("page", "1"))
        if self.between is not None and rest != "$count":
            self.between(entity, number)
        if entity not in self.rows:
            self._reply(request, 404, b"{}")
        elif after in self.lost or (since and self.forgets_before and since < self.forgets_before):
            self._reply(request, 410, b'{"error": {"code": "Gone", "message": "start again"}}')
        elif (entity, number) in self.status:
            self._reply(request, self.status[entity, number], b"{}")
        else:
            matching = self._matching(entity, since)
            if rest == "$count":
                self._reply(request, 200, str(len(matching)).encode())
            else:
                self._page(request, entity, matching, query, after, number)

    def _matching(self, entity: str, since: str | None) -> list[dict[str, Any]]:
        rows = [row for _, row in sorted(self.rows[entity].items())]
        if since is None:
            return rows
        later = [r for r in rows if r.get(self.stamp) and str(r[self.stamp]) >= since]
        return later + [r for r in self.gone.get(entity, []) if str(r[self.stamp]) >= since]

    def _page(
        self,
        request: BaseHTTPRequestHandler,
        entity: str,
        matching: list[dict[str, Any]],
        query: dict[str, str],
        after: str,
        number: int,
    ) -> None:
        start = int(after) if after else 0
        body: dict[str, Any] = {
            "@odata.count": self.declared.get(entity, len(matching)),
            "value": matching[start : start + self.page],
        }
        if start + self.page < len(matching):
            kept = "&".join(f"{name}={query[name]}" for name in ("$filter",) if name in query)
            link = f"{entity}?{kept}&after={start + self.page}&page={number + 1}"
            body["@odata.nextLink"] = link.replace(" ", "%20")
        self._reply(request, 200, msgspec.json.encode(body))

    def _reply(self, request: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
        request.send_response_only(status)
        if self.date is not None:
            request.send_header("Date", self.date)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
