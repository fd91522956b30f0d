"""CSRF tokens as SAP hands them out: fetched by a GET, sent with what changes something.

Asked for only where the connection's extra `csrf_url` says so. Must not decide what is sent.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import httpx

HEADER = "X-CSRF-Token"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Csrf:
    """One session's token. `fetch` sends a signed-in GET to an address and returns the answer."""

    def __init__(self, url: str, fetch: Callable[[str, dict[str, str]], httpx.Response]) -> None:
        self._url = url
        self._fetch = fetch
        self._token: str | None = None
        self._lock = threading.Lock()

    def sign(self, request: httpx.Request, stale: str | None = None) -> str | None:
        """Put the token in where one is needed; a `stale` one is fetched anew. Returns it."""
        if request.method in _SAFE:
            return None
        with self._lock:
            if self._token is None or self._token == stale:
                answer = self._fetch(self._url, {HEADER: "Fetch", "Accept": "application/json"})
                self._token = answer.headers.get(HEADER)
        if self._token:
            request.headers[HEADER] = self._token
        return self._token

    @property
    def secrets(self) -> tuple[str, ...]:
        """The token, which must never be shown."""
        return (self._token,) if self._token else ()


def is_required(answer: httpx.Response) -> bool:
    """The ERP refused for want of a fresh token, and did nothing."""
    said = answer.headers.get(HEADER, "").lower()
    return answer.status_code == httpx.codes.FORBIDDEN and said == "required"
