"""OData webhooks: subscribe to a resource, renew, end. One try each; the caller comes again.

The ERP calls the given address back while it answers (its handshake), so whoever serves that
address must be up. Must not know a feed, keep state or take calls.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import quote

import httpx
import msgspec

from connectors import http_answers
from connectors.budget import UNLIMITED, Budget
from connectors.http_session import Session
from connectors.http_tries import Limits
from mappings.connection import Connection
from mappings.errors import SourceChanged, WaybillError

_JSON = {"Accept": "application/json", "Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Subscription:
    """What the ERP says of a subscription. `expires_at` None: it does not say."""

    id: str
    expires_at: datetime | None
    etag: str | None


class ODataSubscriptions:
    """The subscriptions of one account. Use as a context manager. `seconds`: for one request."""

    def __init__(
        self,
        connection: Connection,
        erp: str,
        entity: str,
        *,
        budget: Budget = UNLIMITED,
        seconds: float = 30.0,
    ) -> None:
        self._erp = erp
        self._entity = entity
        self._budget = budget
        self._session = Session(connection, erp, Limits(request_timeout=seconds, tries=1))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._session.close()

    def create(self, resource: str, url: str, client_state: str) -> Subscription:
        """Ask to be called at `url`, with `client_state` in every call.

        Raises Transient, Misconfigured (the handshake failed, no right) or SourceChanged.
        """
        body = {"notificationUrl": url, "resource": resource, "clientState": client_state}
        return self._told("POST", self._entity, body, {})

    def renew(self, one: Subscription) -> Subscription:
        """Live on. Raises SourceChanged (`missing_entity`, `gone`) where the ERP forgot it."""
        return self._told("PATCH", self._place(one), {}, {"If-Match": one.etag or "*"})

    def end(self, one: Subscription) -> None:
        """No more calls; one that is not there any more is well ended."""
        try:
            self._ask("DELETE", self._place(one), None, {"If-Match": one.etag or "*"})
        except SourceChanged as error:
            if error.code not in {"missing_entity", "gone"}:
                raise

    def _place(self, one: Subscription) -> str:
        return f"{self._entity}('{quote(one.id, safe='')}')"

    def _told(
        self, method: str, path: str, body: dict[str, Any], headers: dict[str, str]
    ) -> Subscription:
        answer = self._ask(method, path, json.dumps(body).encode(), headers)
        try:
            said: dict[str, Any] = msgspec.json.decode(answer.content, type=dict[str, Any])
            expires = said.get("expirationDateTime")
            return Subscription(
                str(said["subscriptionId"]),
                None if not expires else _instant(str(expires)),
                said.get("@odata.etag") or answer.headers.get("etag"),
            )
        except (msgspec.DecodeError, KeyError, ValueError):
            raise SourceChanged(
                f"{path}: not the answer to a subscription", erp=self._erp, code="subscription"
            ) from None

    def _ask(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> httpx.Response:
        session = self._session
        what = self._entity
        try:
            with self._budget.request(what):
                answer = session.send_once(
                    method, f"{session.root}/{path}", {**_JSON, **headers}, body, what
                )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._cleared(http_answers.broken_wire(error, what)) from None
        wrong = http_answers.problem(answer, answer.content, what, datetime.now(UTC))
        if wrong is not None:
            raise self._cleared(wrong)
        return answer

    def _cleared(self, error: WaybillError) -> WaybillError:
        for secret in self._session.secrets:
            error.what = error.what.replace(secret, "***")
        return error.located(self._erp, None)


def _instant(text: str) -> datetime:
    """Business Central writes seven digits of a second, which is one too many for us."""
    head, dot, rest = text.partition(".")
    digits = rest.rstrip("Z")
    found = datetime.fromisoformat(f"{head}{dot}{digits[:6]}+00:00" if dot else text)
    return found.astimezone(UTC)
