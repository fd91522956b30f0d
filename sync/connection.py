"""Where a connection id leads: the environment first, then the file of connections.

The same two places, in the same order, that Airflow looks in, but without importing it: the
command and the gateway resolve connections too. Must not show a secret in an error.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from mappings.connection import Connection
from mappings.errors import Misconfigured
from mappings.private_files import read_connections
from mappings.settings import Settings, environment_variable

_TEXTS = ("host", "login", "password", "schema")


def resolve(settings: Settings, connection_id: str) -> Connection:
    """The connection of that id, from `AIRFLOW_CONN_<ID>` (JSON or URI) or connections.json.

    Raises Misconfigured (code `connection`) where it is in neither, or cannot be read.
    """
    variable = f"AIRFLOW_CONN_{connection_id.upper()}"
    text = environment_variable(variable)
    if text is not None:
        fields = _from_json(text, variable) if text.lstrip().startswith("{") else _from_uri(text)
        return _with_tokens(_connection(connection_id, fields, variable), settings)
    known = read_connections(settings)
    if connection_id not in known:
        near = difflib.get_close_matches(connection_id, known, n=1)
        raise Misconfigured(
            f"there is no connection {connection_id!r}"
            + (f" (there is {near[0]!r})" if near else ""),
            code="connection",
            remedy=f"Add it to {settings.connections_file}, or set {variable}.",
        )
    found = known[connection_id]
    fields = _from_uri(found) if isinstance(found, str) else found
    found_one = _connection(connection_id, fields, str(settings.connections_file))
    return _with_tokens(found_one, settings)


def _with_tokens(connection: Connection, settings: Settings) -> Connection:
    """Tokens lie with the other secrets, one file a connection."""
    name = quote(connection.id, safe="")
    return replace(connection, token_file=settings.secrets / "tokens" / f"{name}.json")


def _connection(connection_id: str, fields: Mapping[str, Any], place: str) -> Connection:
    try:
        extra = fields.get("extra") or fields.get("extra_dejson") or {}
        if isinstance(extra, str):  # Airflow takes the extra as an object or as its JSON text
            extra = _from_json(extra, f"the extra of {connection_id!r} in {place}")
        port = fields.get("port")
        texts = {name: _text(fields.get(name)) for name in _TEXTS}
        return Connection(
            id=connection_id,
            type=str(fields.get("conn_type") or ""),
            host=texts["host"] or "",
            port=None if port in (None, "") else int(port),
            login=texts["login"],
            password=texts["password"],
            schema=texts["schema"],
            extra={str(key): _extra_text(value) for key, value in extra.items()},
        )
    except (TypeError, ValueError, AttributeError):
        raise Misconfigured(
            f"connection {connection_id!r} in {place} cannot be read",
            code="connection",
            remedy="Give conn_type, host, login and password as texts, port as a number, "
            "extra as an object.",
        ) from None


def _from_json(text: str, place: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        problem = f"is not JSON: {error.msg} at position {error.pos}"
    else:
        if isinstance(found, dict):
            return found
        problem = "is not a JSON object"
    raise Misconfigured(f"{place} {problem}", code="connection", remedy="Correct it.")


def _from_uri(uri: str) -> dict[str, Any]:
    """Airflow's URI form: type://login:password@host:port/schema?extra, `__extra__` for JSON."""
    parts = urlsplit(uri)
    extra: dict[str, Any] = dict(parse_qsl(parts.query, keep_blank_values=True))
    if "__extra__" in extra:
        extra = _from_json(extra["__extra__"], "__extra__ of the connection's URI")
    host = unquote(parts.hostname or "")
    if "://" not in uri:
        raise Misconfigured(
            "a connection in the environment is neither JSON nor a URI",
            code="connection",
            remedy='Write it as {"conn_type": …} or as type://login:password@host:port.',
        )
    return {
        "conn_type": parts.scheme.replace("-", "_"),
        "host": host,
        "port": _port(uri),
        "login": None if parts.username is None else unquote(parts.username),
        "password": None if parts.password is None else unquote(parts.password),
        "schema": unquote(parts.path.lstrip("/")) or None,
        "extra": extra,
    }


def _port(uri: str) -> int | None:
    try:
        return urlsplit(uri).port
    except ValueError:
        raise Misconfigured(
            "the port in a connection's URI is not a number from 0 to 65535",
            code="connection",
            remedy="Correct it; characters like / and @ in a password are written %2F and %40.",
        ) from None


def _text(value: object) -> str | None:
    return None if value in (None, "") else str(value)


def _extra_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
