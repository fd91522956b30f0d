"""Who may call: a service token per role, compared in constant time. Must not log a token."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response


class Access:
    """Tokens by role. `portal` may do everything but be an ERP; `metrics` may read the metrics."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self._tokens = {role: token.encode() for role, token in tokens.items() if token}

    def role(self, request: Request) -> str | None:
        """The role whose token the request carries, None for nobody's."""
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            return None
        found = None
        for role, token in self._tokens.items():  # all of them: how long it takes says nothing
            if hmac.compare_digest(given.strip().encode(), token):
                found = role
        return found

    def refusal(self, request: Request, *roles: str) -> Response | None:
        """None where one of the roles calls; else the answer to give."""
        role = self.role(request)
        if role is None:
            return JSONResponse(
                {"error": "token", "says": "Send the service token as `Authorization: Bearer`."},
                status_code=401,
                headers={"WWW-Authenticate": "Bearer"},
            )
        if role not in roles:
            return JSONResponse({"error": "role", "says": "This token may not."}, status_code=403)
        return None
