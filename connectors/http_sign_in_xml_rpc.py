"""Signing in over XML-RPC, as Odoo has it: a number for the user, then it and the password with
every call.

Extras: `login_url` (where `authenticate` is asked), `database`. The mapping's `params` follow
behind database, number and password. Must not send a call of the caller's.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import httpx

from connectors import http_answers, xml_rpc
from connectors.formats import xmlrpc
from connectors.formats.json_walk import Literal
from connectors.http_sign_in import address, needed, sign_in_refused
from connectors.json_places import at
from mappings.connection import Connection
from mappings.errors import BatchRefused, Transient

HEADERS = {"Accept": "text/xml", "Content-Type": "text/xml; charset=utf-8"}


class XmlRpcLogin:
    """See `connectors.http_sign_in.SignIn`. There is no session: nothing to sign out of."""

    def __init__(self, connection: Connection, erp: str, client: httpx.Client) -> None:
        self._connection = connection
        self._erp = erp
        self._client = client
        self._url = address(connection, "login_url", erp)
        self._database = needed(connection, erp, "database")
        self._lock = threading.Lock()
        self._user: Literal | None = None
        self._number = 0
        self.secrets: tuple[str, ...] = ()

    def sign(self, request: httpx.Request) -> str:
        """Put database, user and password in front of a call's parameters; see `SignIn.sign`."""
        with self._lock:
            if self._user is None:
                self._user = self._log_in()
            user, number = self._user, self._number
        if request.method == "POST":
            password = self._connection.password or ""
            content = xml_rpc.with_credentials(request.content, self._database, user, password)
            signed = httpx.Request("POST", request.url, content=content)
            request.stream = signed.stream
            request.headers["Content-Length"] = str(len(content))
        return str(number)

    def renew(self, used: str) -> bool:
        """Ask who we are once more, unless another thread has already."""
        with self._lock:
            if used == str(self._number):
                self._user = self._log_in()
                self._number += 1
        return True

    def close(self) -> None:
        """Nothing to sign out of."""

    def _log_in(self) -> Literal:
        who = [self._database, self._connection.login or "", self._connection.password or "", {}]
        content = xml_rpc.call({"method": "authenticate", "params": who})
        answer = self._client.post(self._url, content=content, headers=HEADERS)
        problem = http_answers.problem(answer, answer.content, "sign-in", datetime.now(UTC))
        if answer.status_code in {400, 401, 403}:
            raise sign_in_refused(self._connection, self._erp, str(answer.status_code))
        if problem is not None:
            raise problem
        try:
            page = xmlrpc.parsed(answer.content)
        except (xmlrpc.NotWholeError, xmlrpc.NotXmlRpcError, BatchRefused):
            raise Transient("sign-in: an answer that is no XML-RPC", code="token") from None
        found = at(page, "result")
        if isinstance(found, Literal):
            return found
        said = at(page, "fault/faultString") or "no such user"
        said = str(said).replace(self._connection.password or "\0", "***")
        raise sign_in_refused(self._connection, self._erp, " ".join(said.split())[-200:])
