"""What the REST suites share: the practice REST ERP, connections to it, whole reads."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from connectors.budget import UNLIMITED, Budget
from connectors.http_session import Limits, Session
from connectors.odata import ODataConnector
from connectors.protocol import End, Page
from connectors.rest import RestConnector
from mappings.connection import Connection
from mappings.sources import ODataSource, RestSource
from sandbox.rest import RestErp
from sandbox.rest.doors import (
    API_KEY,
    BEARER,
    CLIENT_SECRET,
    CONSUMER_SECRET,
    PASSWORD,
    REFRESH,
    TOKEN_SECRET,
    USER,
)

SECRETS = (PASSWORD, API_KEY, BEARER, CLIENT_SECRET, CONSUMER_SECRET, TOKEN_SECRET, REFRESH)
QUICK = {"tries": 3, "request_timeout": 5.0, "longest_wait": 1.5}

OAUTH2: dict[str, Any] = {
    "token_url": "/token",
    "scheme": "http",
    "client_id": "waybill",
    "client_secret": CLIENT_SECRET,
}
SESSION: dict[str, Any] = {
    "login_url": "/Login",
    "logout_url": "/Logout",
    "scheme": "http",
    "login_fields": '{"CompanyDB": "PRACTICE"}',
}
RPC: dict[str, Any] = {
    "login_url": "/web/session/authenticate",
    "scheme": "http",
    "login_user": "params/login",
    "login_password": "params/password",
    "login_error": "error",
    "login_fields": '{"jsonrpc": "2.0", "params": {"db": "practice"}}',
}
OAUTH1: dict[str, Any] = {
    "sign_in": "oauth1",
    "consumer_key": "consumer",
    "consumer_secret": CONSUMER_SECRET,
    "token_id": "token-id",
    "token_secret": TOKEN_SECRET,
    "realm": "PRACTICE_1",
}
"""Extras of each way to sign in."""


def items(count: int, **more: Any) -> list[dict[str, Any]]:
    """Records 1 … count."""
    return [
        {"no": f"A{n:05}", "price": 0.1 * n, "changed": f"2026-01-01T{n % 24:02}:00:00Z", **more}
        for n in range(1, count + 1)
    ]


def connection(
    erp: RestErp, *, login: bool = False, tokens: Path | None = None, **extra: str
) -> Connection:
    """A connection to the practice ERP; with `login`, its user and password."""
    given = erp.connection(**extra)
    made = Connection("practice", "http", given["host"], given["port"], extra=given["extra"])
    if login:
        made = replace(made, login=USER, password=PASSWORD)
    return replace(made, token_file=tokens)


def rest(erp: RestErp | Connection, **more: Any) -> RestConnector:
    """A connector of the generic kind."""
    where = connection(erp) if isinstance(erp, RestErp) else erp
    return RestConnector(where, "practice", **{**QUICK, **more})


def odata(erp: RestErp | Connection, **more: Any) -> ODataConnector:
    """A connector of the OData kind."""
    where = connection(erp) if isinstance(erp, RestErp) else erp
    return ODataConnector(where, "practice", **{**QUICK, **more})


def session(where: Connection, budget: Budget = UNLIMITED, **limits: Any) -> Session:
    """A signed-in session without a connector."""
    return Session(where, "practice", Limits(**{**QUICK, **limits}), budget)


def question(path: str, **words: Any) -> RestSource:
    """A source of the generic kind."""
    given = {"protocol": "rest", "path": path, "records": "items", **words}
    return RestSource.model_validate(given)


def entity(name: str, **words: Any) -> ODataSource:
    """A source of the OData kind."""
    return ODataSource.model_validate({"protocol": "odata", "entity": name, **words})


def drain(walk: Generator[Page, None, End]) -> tuple[list[Page], End]:
    """All pages, and how it ended."""
    pages: list[Page] = []
    while True:
        try:
            pages.append(next(walk))
        except StopIteration as stop:
            return pages, stop.value


def keys(pages: list[Page], at: str = "items", key: str = "no") -> list[Any]:
    """The keys of all records, in the order in which they came."""
    found: list[Any] = []
    for page in pages:
        body = msgspec.json.decode(b"".join(page.content))
        for name in at.split("/"):
            body = body if name == "." else body[name]
        found += [record[key] for record in body]
    return found
