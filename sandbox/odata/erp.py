"""The practice OData ERP as a server on loopback: sign-in, entity sets, documents, faults."""

import re
import secrets
import socket
import threading
import time
import zlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import parse_qs, quote, unquote

import msgspec
import pyarrow.compute as pc
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.dataset import Dataset
from sandbox.faults import Faults
from sandbox.odata import batch, intake, misbehaviour, quotes
from sandbox.odata.entities import BY_SET, Entity
from sandbox.odata.metadata import csdl, service_document
from sandbox.odata.misbehaviour import error
from sandbox.odata.pages import Pages
from sandbox.odata.query import MisunderstoodError, UnsupportedError, understood
from sandbox.odata.subscriptions import Subscriptions
from sandbox.orders import OrderBook
from sandbox.pdf import invoice_pdf

ROOT = "/odata/v4"
DEFAULT_PAGE, LARGEST_PAGE = 1000, 5000
START_SECONDS = 10.0
WORTH_GZIP = 1000
SERVER_FAULTS = frozenset({"slow", "hang", "rate_limit", "maintenance", "html_200"})
TOKEN_FAULTS = SERVER_FAULTS | {"wrong_password"}
INTAKE_FAULTS = SERVER_FAULTS | {"truncated", "drop", "session_expired", "lost_answer", "reset"}
DATA_FAULTS = SERVER_FAULTS | {
    "truncated", "drop", "session_expired", "business_error", "schema_changed", "bad_rows", "empty",
    "repeated_link", "count_mismatch",
}  # fmt: skip


class ODataErp:
    """One ERP's slice of a data set behind OData v4. `dataset` may be replaced while it runs.

    `token_seconds`: how long a token lives. `links` and `link_host` say how next links are
    written, `retry_date` makes Retry-After a date. Bound to 127.0.0.1 alone.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        client_id: str,
        client_secret: str,
        port: int = 0,
        token_seconds: float = 3600.0,
        links: Literal["absolute", "relative"] = "absolute",
        link_host: str | None = None,
        retry_date: bool = False,
        orders: Path | None = None,
    ) -> None:
        self.faults = Faults()
        self.book = OrderBook(dataset, orders)
        self.requests: list[str] = []
        self.sign_ins = 0
        self.token_seconds = token_seconds
        self.links = links
        self.link_host = link_host
        self.retry_date = retry_date
        self._client = (client_id, client_secret)
        self._tokens: dict[str, float] = {}
        self.dataset = dataset
        self.subscriptions = Subscriptions()
        self._socket = socket.create_server(("127.0.0.1", port))
        self._port = int(self._socket.getsockname()[1])
        config = uvicorn.Config(
            self._app(), lifespan="off", ws="none", log_config=None, log_level="critical",
            access_log=False, timeout_graceful_shutdown=1,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="odata-erp", daemon=True)

    @property
    def dataset(self) -> Dataset:
        """What is served now."""
        return self._dataset

    @dataset.setter
    def dataset(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self.book.dataset = dataset
        self._shown = 0
        self._pages = Pages(dataset)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def address(self) -> str:
        """The service root."""
        return f"http://127.0.0.1:{self.port}{ROOT}"

    def connection(self) -> dict[str, Any]:
        """This server as an entry of connections.json."""
        extra = {
            "service_root": self.address,
            "token_url": f"http://127.0.0.1:{self.port}/token",
            "client_id": self._client[0],
            "client_secret": self._client[1],
            "scope": "erp.read",
        }
        return {"conn_type": "http", "host": "127.0.0.1", "port": self.port, "extra": extra}

    def start(self) -> None:
        """Serve from a thread; returns when it answers. TimeoutError if it does not."""
        self._thread.start()
        until = time.monotonic() + START_SECONDS
        while not self._server.started:
            if time.monotonic() > until or not self._thread.is_alive():
                raise TimeoutError(f"no server on port {self.port}")
            time.sleep(0.005)

    def stop(self) -> None:
        """Stop at once; whoever waits for an answer loses the connection."""
        self._server.should_exit = True
        self._server.force_exit = True
        if self._thread.is_alive():
            self._thread.join(START_SECONDS)
        self._socket.close()

    def reset(self, dataset: Dataset) -> None:
        """As if just started, with another data set: nobody signed in, no fault armed."""
        self.faults.disarm()
        self.faults.taken.clear()
        self.requests.clear()
        self._tokens.clear()
        self.subscriptions.clear()
        self.sign_ins = 0
        self.token_seconds, self.links, self.link_host, self.retry_date = (
            3600.0,
            "absolute",
            None,
            False,
        )
        self.dataset = dataset

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    def _app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/token", self._token, methods=["POST"]),
                Route("/_sandbox/faults", self._arm, methods=["POST"]),
                *self.subscriptions.routes(ROOT, self._signed_in),
                Route(f"{ROOT}/{{path:path}}", self._intake, methods=["POST"]),
                Route(f"{ROOT}/{{path:path}}", self._odata, methods=["GET"]),
                Route(ROOT, self._odata, methods=["GET"]),
            ]
        )

    async def _arm(self, request: Request) -> Response:
        """`{"name": …, "times": …, "where": …, "after": …, "seconds": …}`; no name disarms."""
        wish = msgspec.json.decode(await request.body(), type=dict[str, Any])
        if not wish.get("name"):
            self.faults.disarm()
        else:
            try:
                self.faults.arm(wish.pop("name"), **wish)
            except (TypeError, ValueError) as problem:
                return error(400, "BadRequest", str(problem))
        return Response(status_code=204)

    async def _token(self, request: Request) -> Response:
        """Client credentials, form-encoded only."""
        self.sign_ins += 1
        taken = self.faults.take("POST /token", TOKEN_FAULTS)
        if taken and (answer := await misbehaviour.instead(*taken, retry_date=self.retry_date)):
            return answer
        if not request.headers.get("content-type", "").startswith(
            "application/x-www-form-urlencoded"
        ):
            return JSONResponse({"error": "invalid_request"}, status_code=400)
        form = {
            name: values[-1] for name, values in parse_qs((await request.body()).decode()).items()
        }
        if form.get("grant_type") != "client_credentials":
            return JSONResponse({"error": "unsupported_grant_type"}, status_code=400)
        given = f"{form.get('client_id')}\0{form.get('client_secret')}".encode()
        right = secrets.compare_digest(given, "\0".join(self._client).encode())
        if not right or (taken and taken[0] == "wrong_password"):
            said = {"error": "invalid_client", "error_description": "Client authentication failed."}
            return JSONResponse(said, status_code=401)
        token = secrets.token_urlsafe(24)
        self._tokens[token] = time.monotonic() + self.token_seconds
        grant = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": round(self.token_seconds),
        }
        return JSONResponse(grant)

    async def _odata(self, request: Request) -> Response:
        raw = request.scope["raw_path"].decode()
        query = request.scope["query_string"].decode()
        called = f"GET {raw}?{query}" if query else f"GET {raw}"
        self.requests.append(called)
        taken = self.faults.take(called, DATA_FAULTS)
        name, seconds = taken or (request.headers.get("x-sandbox-fault", ""), 0.0)
        if name == "rate_limit" and not seconds:
            seconds = misbehaviour.RETRY_SECONDS
        if answer := await misbehaviour.instead(name, seconds, retry_date=self.retry_date):
            return answer
        if name == "session_expired":
            self._tokens.clear()
        if not self._signed_in(request):
            return error(401, "Unauthorized", "Sign in first.", **{"WWW-Authenticate": "Bearer"})
        looked_up = self._looked_up(unquote(raw).removeprefix(ROOT).strip("/"), query)
        if looked_up is not None:
            return looked_up
        answer = await run_in_threadpool(self._answer, request, unquote(raw), query, name)
        if name in {"truncated", "drop"}:
            return misbehaviour.CutShort(answer, whole_length=name == "drop")
        return answer

    def _signed_in(self, request: Request) -> bool:
        _, _, token = request.headers.get("authorization", "").partition("Bearer ")
        return self._tokens.get(token, 0.0) >= time.monotonic()

    async def _intake(self, request: Request) -> Response:
        """Take what is posted."""
        entity = unquote(request.scope["raw_path"].decode()).removeprefix(ROOT).strip("/")
        called = f"POST {entity}"
        self.requests.append(called)
        body = await request.body()
        name, seconds = self.faults.take(called, INTAKE_FAULTS) or ("", 0.0)
        if name == "reset":
            return misbehaviour.Nothing()
        if answer := await misbehaviour.instead(name, seconds, retry_date=self.retry_date):
            return answer
        if name == "session_expired":
            self._tokens.clear()
        if not self._signed_in(request):
            return error(401, "Unauthorized", "Sign in first.", **{"WWW-Authenticate": "Bearer"})
        if entity == "$batch":
            take = partial(intake.take, self.book)
            media_type = request.headers.get("content-type", "")
            answer = await run_in_threadpool(batch.answer, media_type, body, take)
        elif entity not in intake.TAKES:
            return error(404, "NotFound", f"{entity} takes nothing.")
        else:
            try:
                wish = msgspec.json.decode(body)
            except msgspec.DecodeError:
                return error(400, "BadRequest", "not JSON")
            key = request.headers.get("idempotency-key")
            answer = await run_in_threadpool(intake.take, self.book, entity, wish, key)
        if name == "lost_answer":
            return misbehaviour.Nothing()
        if name in {"truncated", "drop"}:
            return misbehaviour.CutShort(answer, whole_length=name == "drop")
        return answer

    def _looked_up(self, name: str, query: str) -> Response | None:
        """What was taken under a reference, if that is asked; else its orders join the others."""
        asked = intake.FIND.match(parse_qs(query).get("$filter", [""])[0])
        if name in intake.TAKES and asked is not None:
            return intake.found(self.book, name, asked[1])
        if name == "SalesOrders" and self._shown != self.book.version:
            self._shown = self.book.version
            self._pages = Pages(self.book.merged(self._dataset))
        return None

    def _answer(self, request: Request, path: str, query: str, fault: str) -> Response:
        what = path.removeprefix(ROOT).strip("/")
        root = f"{request.url.scheme}://{request.url.netloc}{ROOT}"
        if not what:
            return _json(service_document(root), request)
        if what == "$metadata":
            return Response(csdl(), media_type="application/xml", headers={"OData-Version": "4.0"})
        name, _, rest = what.partition("/")
        if name not in BY_SET:
            quote = name == quotes.SET
            return self._quotes(root, query, request) if quote else self._document(what)
        options = {key: values[-1] for key, values in parse_qs(query).items()}
        try:
            wanted = understood(options, BY_SET[name])
            markers = "odata.track-changes" in request.headers.get("prefer", "")
            if rest == "$count":
                total = self._pages.total(BY_SET[name], wanted, markers=markers)
                return Response(str(total), media_type="text/plain")
            if rest:
                return error(404, "NotFound", f"{rest} is not there.")
            size = _page_size(request)
            as_text = "ieee754compatible=true" in request.headers.get("accept", "").lower()
            found = self._pages.page(
                BY_SET[name], wanted, size, markers=markers, decimals_as_text=as_text
            )
        except MisunderstoodError as problem:
            return error(400, "BadRequest", str(problem))
        except UnsupportedError as problem:
            return error(501, "NotImplemented", str(problem))
        body: dict[str, Any] = {"@odata.context": f"{root}/$metadata#{name}"}
        if wanted.count:
            body["@odata.count"] = found.total
        body["value"] = found.records
        if found.skiptoken is not None:
            body["@odata.nextLink"] = self._link(request, name, query, found.skiptoken)
        misbehaviour.spoil(fault, body, BY_SET[name], request)
        return _json(body, request, **self._page_headers(BY_SET[name], size))

    def _link(self, request: Request, name: str, query: str, skiptoken: str) -> str:
        kept = [
            part
            for part in query.split("&")
            if part and not unquote(part).startswith("$skiptoken=")
        ]
        query = "&".join([*kept, f"$skiptoken={quote(skiptoken)}"])
        if self.links == "relative":
            return f"{name}?{query}"
        return f"{request.url.scheme}://{self.link_host or request.url.netloc}{ROOT}/{name}?{query}"

    def _page_headers(self, entity: Entity, size: int) -> Mapping[str, str]:
        newest = pc.max(self._dataset[entity.table]["modified_at"]).as_py()
        tag = "0" if newest is None else f"{newest.timestamp():.6f}"
        return {"ETag": f'W/"{tag}"', "Preference-Applied": f"odata.maxpagesize={size}"}

    def _quotes(self, root: str, query: str, request: Request) -> Response:
        options = {key: values[-1] for key, values in parse_qs(query).items()}
        try:
            found = quotes.quotes(self._dataset, options)
        except MisunderstoodError as problem:
            return error(400, "BadRequest", str(problem))
        body: dict[str, Any] = {"@odata.context": f"{root}/$metadata#{quotes.SET}"}
        if options.get("$count") == "true":
            body["@odata.count"] = len(found)
        return _json({**body, "value": found}, request)

    def _document(self, location: str) -> Response:
        documents = self._dataset["document"]
        rows = documents.filter(pc.equal(documents["location"], location)).to_pylist()
        if not rows or rows[0]["subject"] != "invoice" or rows[0]["format"] != "pdf":
            return error(404, "NotFound", f"No resource at {location}.")
        try:
            content = invoice_pdf(self._dataset, rows[0]["subject_key"])
        except KeyError:
            return error(404, "NotFound", f"No file for {location}.")
        return Response(content, media_type="application/pdf")


def _page_size(request: Request) -> int:
    wish = re.search(r"odata\.maxpagesize=(\d+)", request.headers.get("prefer", ""))
    return max(1, min(int(wish.group(1)), LARGEST_PAGE)) if wish else DEFAULT_PAGE


def _json(body: dict[str, Any], request: Request, **headers: str) -> Response:
    """JSON, compressed where the client takes it."""
    content = msgspec.json.encode(body)
    headers = {"OData-Version": "4.0", **headers}
    if "gzip" in request.headers.get("accept-encoding", "") and len(content) > WORTH_GZIP:
        packer = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
        content = packer.compress(content) + packer.flush()
        headers["Content-Encoding"] = "gzip"
    kind = "application/json;odata.metadata=minimal;IEEE754Compatible=true;charset=utf-8"
    return Response(content, headers={**headers, "Content-Type": kind})
