"""The practice REST ERP as a server: lists of records behind each vendor's habits, and faults."""

import re
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from email.utils import formatdate
from typing import Any, Self

from sandbox.faults import Faults
from sandbox.rest.doors import UNSIGNED, Doors
from sandbox.rest.pages import Record, paged, searched, service_layer
from sandbox.rest.server import Reply, Request, Server
from sandbox.rest.xml_rpc import called, fault_of, logged_in

HTML = b"<!DOCTYPE html><html><body>Maintenance</body></html>"
FAULTS = frozenset(
    {"slow", "rate_limit", "maintenance", "html_200", "truncated", "drop", "session_expired",
     "business_error", "empty", "count_mismatch", "repeated_link", "throttled_400"}
)  # fmt: skip


class RestErp:
    """`records[name]`: what is served, in order. `doors.way`: how one signs in.

    `retry_date` makes Retry-After a date. `default_size`, `largest_size`: of a page.
    """

    def __init__(self, records: dict[str, list[Record]] | None = None, *, port: int = 0,
                 tls: ssl.SSLContext | None = None) -> None:  # fmt: skip
        self.records: dict[str, list[Record]] = records or {}
        self.doors = Doors()
        self.faults = Faults()
        self.requests: list[str] = []
        self.received: list[Request] = []
        self.etags: dict[str, int] = {}
        self.default_size, self.largest_size = 20, 1000
        self.retry_date = False
        self.case_matters = True
        self.api_in_plan = True
        self.before: Callable[[str], None] | None = None
        self.under_way, self.most_under_way = 0, 0
        self._lock = threading.Lock()
        self._server = Server(self._answer, port=port, tls=tls)
        self._scheme = "https" if tls else "http"

    @property
    def address(self) -> str:
        """Where it is."""
        return f"{self._scheme}://127.0.0.1:{self._server.port}"

    def connection(self, **extra: str) -> dict[str, Any]:
        """This server as an entry of connections.json."""
        return {"conn_type": "http", "host": "127.0.0.1", "port": self._server.port,
                "extra": {"service_root": self.address, **extra}}  # fmt: skip

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.stop()

    start = __enter__

    def stop(self) -> None:
        """Stop listening."""
        self._server.stop()

    def reset(self, records: dict[str, list[Record]]) -> None:
        """As if just started."""
        self.__dict__.update(records=records, doors=Doors(), requests=[], received=[], etags={},
                             default_size=20, largest_size=1000, retry_date=False,
                             case_matters=True, api_in_plan=True, before=None,
                             most_under_way=0)  # fmt: skip
        self.faults.disarm()
        self.faults.taken.clear()

    def _answer(self, request: Request) -> Reply | None:
        called = f"{request.method} {request.raw}"
        with self._lock:
            self.requests.append(called)
            self.received.append(request)
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            return self._faulty(request, called)
        finally:
            with self._lock:
                self.under_way -= 1

    def _faulty(self, request: Request, called: str) -> Reply | None:
        name, seconds = self.faults.take(called, FAULTS) or ("", 0.0)
        match name:
            case "slow":
                time.sleep(seconds)
            case "rate_limit":
                until = formatdate(time.time() + seconds, usegmt=True)
                wait = until if self.retry_date else str(round(seconds))
                return Reply(429, {"error": "slow down"}, [("Retry-After", wait)])
            case "throttled_400":
                code = "SSS_REQUEST_LIMIT_EXCEEDED"
                return Reply(400, {"error": {"code": code, "message": "Too many at once."}})
            case "maintenance":
                return Reply(503, HTML, [("Content-Type", "text/html")])
            case "html_200":
                return Reply(200, HTML, [("Content-Type", "text/html")])
            case "session_expired":
                self.doors.forget()
        reply = self._routed(request, name)
        if reply is not None and name in {"truncated", "drop"}:
            content = reply.content
            half = len(content) // 2
            if not half:  # done, and then it hangs up without a word
                return None
            if name == "truncated":
                return Reply(reply.status, content[:half], reply.headers)
            return Reply(reply.status, content, reply.headers, cut=half)
        return reply

    def _routed(self, request: Request, fault: str) -> Reply | None:
        path = request.path
        doors: dict[str, Callable[[Request], Reply | None]] = {
            "/token": self.doors.token, "/Login": self.doors.log_in,
            "/Logout": self.doors.log_out, "/web/session/authenticate": self.doors.rpc_log_in,
            "/rpc": lambda one: self._rpc(one, fault),
            "/xmlrpc/2/common": lambda one: logged_in(self.doors, one),
            "/xmlrpc/2/object": lambda one: self._xml_rpc(one, fault),
        }  # fmt: skip
        if path in doors:
            return doors[path](request)
        if not self.doors.lets_in(request):
            return UNSIGNED
        if path == "/echo":  # an ERP that repeats in its error what it was sent
            names = ("authorization", "cookie", "x-api-key")
            told = [request.raw, *(request.headers.get(name, "") for name in names)]
            return Reply(422, {"error": {"code": "E", "message": " ".join(told)[:180]}})
        if path == "/me":
            return Reply(200, {"user": "waybill"})
        if self.before is not None:
            self.before(path)
        style, _, rest = path.strip("/").partition("/")
        table: dict[str, Callable[[Request, str, str], Reply | None]] = {
            "json": self._json_2, "b1s": self._service_layer, "sap": self._sap,
            "things": self._thing, "batch": self._batch,
        }  # fmt: skip
        if style in table:
            return table[style](request, rest, fault)
        if rest not in self.records:
            return Reply(404, {"error": {"code": "404", "message": f"{rest} is not there"}})
        return paged(request, style, self._since(request, rest), self._size(request), fault)

    def _size(self, request: Request) -> int:
        wish = request.query.get("limit", "")
        return min(int(wish) if wish.isdecimal() else self.default_size, self.largest_size)

    def _since(self, request: Request, name: str) -> Sequence[Record]:
        since = request.query.get("changed_from", "")
        period = request.query.get("period")
        return [
            one for one in self.records[name]
            if str(one.get("changed", "")) >= since and one.get("period") in (None, period)
        ]  # fmt: skip

    def _rpc(self, request: Request, fault: str) -> Reply:
        """As Odoo's web controllers: every answer is HTTP 200."""
        if not self.doors.lets_in(request):
            error = {"code": 100, "message": "Session Expired",
                     "data": {"name": "SessionExpired", "message": "Session expired"}}  # fmt: skip
            return Reply(200, {"jsonrpc": "2.0", "id": None, "error": error})
        if fault == "business_error":
            error = {"code": 200, "data": {"name": "OperationalError", "message": "try again"}}
            return Reply(200, {"jsonrpc": "2.0", "id": None, "error": error})
        found = request.json
        asked = found["params"]
        model = asked["model"]
        if model not in self.records:
            error = {"code": 200, "data": {"name": "KeyError", "message": f"no model {model}"}}
            return Reply(200, {"jsonrpc": "2.0", "id": found.get("id"), "error": error})
        result = searched(self.records[model], asked.get("kwargs", {}), self.largest_size)
        return Reply(200, {"jsonrpc": "2.0", "id": found.get("id"), "result": result})

    def _xml_rpc(self, request: Request, fault: str) -> Reply:
        """As Odoo's external interface: who asks stands in every call, each answer is HTTP 200."""
        if fault == "business_error":
            return fault_of(1, "Traceback (most recent call last): OperationalError: try again")
        return called(request, self.records, self.largest_size)

    def _json_2(self, request: Request, rest: str, fault: str) -> Reply:
        """As Odoo's JSON-2: real status codes."""
        del fault
        found = re.fullmatch(r"2/([\w.]+)/search_read", rest)
        if not self.api_in_plan:
            says = "API access is not included in your plan."
            return Reply(403, {"name": "AccessError", "message": says})
        if found is None or found.group(1) not in self.records:
            return Reply(404, {"name": "NotFound", "message": "no such model"})
        asked = request.json
        if not isinstance(asked.get("domain", []), list):
            return Reply(422, {"name": "ValueError", "message": "domain must be a list"})
        found_rows = searched(self.records[found.group(1)], asked, self.largest_size)
        return Reply(200, found_rows["records"])

    def _service_layer(self, request: Request, rest: str, fault: str) -> Reply:
        return service_layer(request, rest, self.records, case_matters=self.case_matters,
                             fault=fault, size=self.default_size)  # fmt: skip

    def _sap(self, request: Request, rest: str, fault: str) -> Reply:
        """Whatever changes something needs a fresh CSRF token and its cookie."""
        del fault
        refused = self.doors.csrf_reply(request)
        if refused is not None:
            return refused
        if request.method == "POST":
            self.records.setdefault(rest, []).append(request.json)
            return Reply(201, request.json)
        return Reply(200, {"value": self.records.get(rest, [])})

    def _thing(self, request: Request, rest: str, fault: str) -> Reply:
        """One record with an ETag: PATCH needs the right one."""
        del fault
        rows = [one for one in self.records["things"] if one["key"] == rest]
        if not rows:
            return Reply(404, {"error": {"code": "404", "message": "no such thing"}})
        tag = f'W/"{self.etags.setdefault(rest, 1)}"'
        if request.method == "GET":
            return Reply(200, rows[0], [("ETag", tag)])
        wanted = request.headers.get("if-match")
        if wanted is None:
            return Reply(428, {"error": {"code": "428", "message": "If-Match is needed"}})
        if wanted != tag:
            return Reply(412, {"error": {"code": "412", "message": "It was changed."}})
        self.etags[rest] += 1
        rows[0].update(request.json)
        return Reply(204, b"", [("ETag", f'W/"{self.etags[rest]}"')])

    def _batch(self, request: Request, rest: str, fault: str) -> Reply:
        """OData's JSON batch: each operation has its own answer, a group is one transaction."""
        del rest, fault
        asked: list[dict[str, Any]] = request.json["requests"]
        if len(asked) > 100:  # noqa: PLR2004  as Business Central
            return Reply(400, {"error": {"code": "BadRequest", "message": "at most 100"}})
        bad = {one.get("atomicityGroup") for one in asked if self._wrong(one)} - {None}
        answers: list[dict[str, Any]] = []
        for one in asked:
            wrong = self._wrong(one)
            if wrong is None and one.get("atomicityGroup") in bad:
                wrong = 424, "another operation of the group failed"
            if wrong is None:
                self.records.setdefault(one["url"], []).append(one.get("body") or {})
                answers.append({"id": one["id"], "status": 201, "body": one.get("body")})
            else:
                error = {"error": {"code": str(wrong[0]), "message": wrong[1]}}
                answers.append({"id": one["id"], "status": wrong[0], "body": error})
        return Reply(200, {"responses": answers})

    def _wrong(self, one: dict[str, Any]) -> tuple[int, str] | None:
        body = one.get("body") or {}
        return (400, "no item") if one["method"] == "POST" and not body.get("item") else None
