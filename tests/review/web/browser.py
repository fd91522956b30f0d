"""A browser without a window: keeps cookies, sends the form's token, follows nothing by itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from review.web.gate import Role, User

TOKEN = re.compile(r'name="token" value="([0-9a-f]{64})"')


class StandInGate:
    """Says that whoever the header names is signed in: stands for Airflow's sign-in."""

    async def user(self, request: Request) -> User | None:
        name, _, roles = request.headers.get("x-test-user", "").partition(":")
        known: dict[str, Role] = {"operator": "operator", "auditor": "auditor"}
        return User(name, frozenset(known[r] for r in roles.split("+") if r)) if name else None

    def login_url(self, request: Request) -> str:
        return f"/elsewhere?next={request.url.path}"

    def refresh(self, request: Request, response: Response) -> None:
        pass

    def logout_url(self, request: Request) -> str | None:
        del request
        return None


class Browser:
    """One person at the desk. `who` is `name:role+role`, empty for nobody."""

    def __init__(self, app: Starlette, who: str = "", address: str = "http://desk.test") -> None:
        headers = {"x-test-user": who} if who else {}
        self.client = TestClient(app, base_url=address, follow_redirects=False, headers=headers)
        self.token = ""

    def get(self, address: str, /, **query: Any) -> httpx.Response:
        answer = self.client.get(address, params=query or None)
        found = TOKEN.search(answer.text)
        if found:
            self.token = found.group(1)
        return answer

    def post(
        self, path: str, fields: Mapping[str, Any] | None = None, **headers: str
    ) -> httpx.Response:
        data = {"token": self.token, **(fields or {})}
        return self.client.post(path, data=data, headers=headers)

    def see(self, address: str, /, **query: Any) -> str:
        """The text of a page that must be there."""
        answer = self.get(address, **query)
        assert answer.status_code == 200, (address, answer.status_code, answer.text[:2000])
        return answer.text

    def do(self, path: str, fields: Mapping[str, Any] | None = None) -> str:
        """Post a form that must be taken; the page that follows."""
        answer = self.post(path, fields)
        assert answer.status_code == 303, (path, answer.status_code, answer.text[:2000])
        return self.see(answer.headers["location"])
