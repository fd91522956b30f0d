"""The httpx client of one connection: whom it trusts, how long it waits, what it never logs."""

from __future__ import annotations

import ipaddress
import logging
import ssl

import httpx

from connectors import tls
from mappings.connection import Connection

# They write addresses and headers, which may hold a key, a token or a cookie.
for _chatty in ("httpx", "httpcore"):
    logging.getLogger(_chatty).setLevel(logging.WARNING)


def open_client(connection: Connection, root: httpx.URL, seconds: httpx.Timeout) -> httpx.Client:
    """A client for the address `root`; it follows no redirect. Raises Misconfigured (`tls`, …)."""
    return httpx.Client(
        limits=httpx.Limits(keepalive_expiry=2.0),  # an old connection may be half closed
        timeout=seconds,
        follow_redirects=False,
        verify=_context(root, connection),
        # A proxy of the environment is not on the way to this machine itself.
        trust_env=not _is_loopback(root.host),
    )


def _context(root: httpx.URL, connection: Connection) -> ssl.SSLContext:
    """Whom we trust. Reading all authorities takes a tenth of a second: where every address is
    plain http nobody is trusted, and a https address that turns up all the same fails.
    """
    plain = connection.extra.get("scheme") == "http"
    others = [v for k, v in connection.extra.items() if k.endswith("_url") and v]
    if root.scheme == "http" and all(plain or one.startswith("http://") for one in others):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return tls.client_context(connection)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
