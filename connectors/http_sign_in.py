"""Ways to sign in over HTTP, by what the connection says. Each puts credentials into a request.

The extra `sign_in` names the way; without it `token_url` means oauth2, `login_url` session, a login
basic. Must not send a request of the caller's, and must not show a secret.
"""

from __future__ import annotations

import json
from typing import Any, Literal, Protocol, cast
from urllib.parse import parse_qsl, quote, urljoin

import httpx
from oauthlib import oauth1

from mappings.connection import Connection
from mappings.errors import Misconfigured

WAYS = ("none", "basic", "api_key", "bearer", "oauth2", "session", "oauth1", "xml_rpc")


class SignedOutError(Exception):
    """The ERP knows the token or session no more, however it said so."""


class SignIn(Protocol):
    """One way, for one connection. Thread-safe."""

    def sign(self, request: httpx.Request) -> str:
        """Put credentials in, signing in first where that is needed; says which they are.

        Raises Misconfigured (`auth`), Transient, RateLimited; httpx's errors of a sign-in.
        """
        ...

    def renew(self, used: str) -> bool:
        """The ERP refused what was `used`: True where there is something newer to try, once."""
        ...

    def close(self) -> None:
        """Sign out where the ERP counts sessions."""
        ...

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts got by signing in, that must never be shown."""
        ...


def sign_in_for(connection: Connection, erp: str, client: httpx.Client) -> SignIn:
    """The way that the connection says. Raises Misconfigured (`sign_in`)."""
    extra = connection.extra
    way = extra.get("sign_in") or (
        "oauth2"
        if extra.get("token_url")
        else "session"
        if extra.get("login_url")
        else "basic"
        if connection.login
        else "none"
    )
    if way == "oauth2":
        from connectors.http_sign_in_oauth2 import OAuth2  # noqa: PLC0415  it imports this module

        return OAuth2(connection, erp, client)
    if way == "session":
        from connectors.http_sign_in_session import SessionLogin  # noqa: PLC0415  as above

        return SessionLogin(connection, erp, client)
    if way == "xml_rpc":
        from connectors.http_sign_in_xml_rpc import XmlRpcLogin  # noqa: PLC0415  as above

        return XmlRpcLogin(connection, erp, client)
    fixed = {"none": _Nothing, "basic": _Basic, "api_key": _ApiKey, "bearer": _Bearer}
    if way in fixed:
        return fixed[way](connection, erp)
    if way == "oauth1":
        return _OAuth1(connection, erp)
    raise Misconfigured(
        f'connection "{connection.id}": unknown sign_in {way!r}',
        erp=erp,
        code="sign_in",
        remedy=f"Use one of {', '.join(WAYS)}.",
    )


def sign_in_refused(connection: Connection, erp: str, said: str) -> Misconfigured:
    """The ERP does not let us in."""
    return Misconfigured(
        f"sign-in refused ({said})",
        erp=erp,
        code="auth",
        remedy=f'Update the secret of connection "{connection.id}", then retry.',
    )


def needed(connection: Connection, erp: str, name: str, *else_password: str | None) -> str:
    """An extra of the connection, or else what is given instead of it. Raises Misconfigured."""
    for found in (connection.extra.get(name), *else_password):
        if found:
            return found
    raise Misconfigured(
        f'connection "{connection.id}" has no {name}',
        erp=erp,
        code="sign_in",
        remedy=f"Set `{name}` in its extra.",
    )


def address(connection: Connection, name: str, erp: str) -> str:
    """An address of the connection, relative ones on its host and port. Raises Misconfigured."""
    given = connection.extra.get(name, "")
    scheme = connection.extra.get("scheme", "https")
    port = f":{connection.port}" if connection.port else ""
    full = urljoin(f"{scheme}://{connection.host}{port}/", given)
    if not given or not httpx.URL(full).host or not full.startswith(("http://", "https://")):
        raise Misconfigured(
            f'connection "{connection.id}" has no usable {name}',
            erp=erp,
            code="address",
            remedy=f"Set `{name}` in its extra to the full address, beginning with https://.",
        )
    return full


def extra_object(connection: Connection, erp: str, name: str) -> dict[str, Any]:
    """An extra that is a JSON object; {} where it is not there. Raises Misconfigured."""
    text = connection.extra.get(name)
    if not text:
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Misconfigured(
            f'`{name}` of connection "{connection.id}" is not a JSON object',
            erp=erp,
            code="sign_in",
            remedy='Write it as {"CompanyDB": "…"}.',
        )
    return found


class _Nothing:
    def __init__(self, connection: Connection, erp: str) -> None:
        self.connection = connection
        self.erp = erp
        self.secrets: tuple[str, ...] = ()

    def sign(self, request: httpx.Request) -> str:
        del request
        return ""

    def renew(self, used: str) -> bool:
        del used
        return False  # what is fixed does not get newer

    def close(self) -> None:
        """Nothing to sign out of."""


class _Basic(_Nothing):
    def sign(self, request: httpx.Request) -> str:
        basic = httpx.BasicAuth(self.connection.login or "", self.connection.password or "")
        next(basic.sync_auth_flow(request))
        self.secrets = (request.headers["Authorization"].removeprefix("Basic "),)
        return ""


class _Bearer(_Nothing):
    def sign(self, request: httpx.Request) -> str:
        token = needed(self.connection, self.erp, "bearer_token", self.connection.password)
        request.headers["Authorization"] = f"Bearer {token}"
        return ""


class _ApiKey(_Nothing):
    """In a header (`api_key_header`, by default X-API-Key) or in the query (`api_key_query`)."""

    def sign(self, request: httpx.Request) -> str:
        key = needed(self.connection, self.erp, "api_key", self.connection.password)
        name = self.connection.extra.get("api_key_query")
        if not name:
            header = self.connection.extra.get("api_key_header") or "X-API-Key"
            request.headers[header] = key
            return ""
        query = request.url.query.decode("ascii")
        if name not in dict(parse_qsl(query, keep_blank_values=True)):  # a next link may repeat it
            pair = f"{quote(name, safe='')}={quote(key, safe='')}"
            request.url = request.url.copy_with(query=f"{query}&{pair}".lstrip("&").encode("ascii"))
        return ""


class _OAuth1(_Nothing):
    """Each request signed by consumer and token, as NetSuite's token-based sign-in wants it."""

    def sign(self, request: httpx.Request) -> str:
        extra = self.connection.extra
        signer = oauth1.Client(
            needed(self.connection, self.erp, "consumer_key", self.connection.login),
            client_secret=needed(
                self.connection, self.erp, "consumer_secret", self.connection.password
            ),
            resource_owner_key=needed(self.connection, self.erp, "token_id"),
            resource_owner_secret=needed(self.connection, self.erp, "token_secret"),
            realm=extra.get("realm"),
            signature_method=extra.get("signature", oauth1.SIGNATURE_HMAC_SHA256),
        )
        # the body takes part in a signature only where it is a form, and ours never are
        method = cast("Literal['GET', 'POST', 'PATCH', 'PUT', 'DELETE']", request.method)
        _, headers, _ = signer.sign(str(request.url), http_method=method)
        request.headers["Authorization"] = headers["Authorization"]
        return ""
