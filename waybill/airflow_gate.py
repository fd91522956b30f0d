"""Airflow's user as the desk's: whatever auth manager it runs, asked in the words all of them know.

Wraps the few names of Airflow that are importable but not promised. Must not: hold a page, or
trust anything but Airflow's own answer.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import resolve_user_from_token
from fastapi import HTTPException
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from review.web.gate import Role, User


class AirflowGate:
    """Who is signed in at Airflow."""

    async def user(self, request: Request) -> User | None:
        """The user of Airflow's cookie, or of a bearer token; None for nobody."""
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        token = given if kind.lower() == "bearer" else request.cookies.get(COOKIE_NAME_JWT_TOKEN)
        try:
            found = await resolve_user_from_token(token)
        except HTTPException:
            return None
        return await run_in_threadpool(_user, found)

    def login_url(self, request: Request) -> str:
        """Airflow's sign-in, with the way back."""
        here = urlsplit(str(request.url))
        back = here.path + (f"?{here.query}" if here.query else "")
        return get_auth_manager().get_url_login(next_url=back)

    def refresh(self, request: Request, response: Response) -> None:
        """Nothing: the session is Airflow's."""

    def logout_url(self, request: Request) -> str | None:
        """Airflow's own menu signs out."""
        del request
        return None


def _user(found: Any) -> User:  # noqa: ANN401 - each auth manager has a class of its own
    return User(str(found.get_name()), roles_of(get_auth_manager(), found))


def roles_of(manager: Any, found: Any) -> frozenset[Role]:  # noqa: ANN401 - as above
    """What Airflow's user may do at the desk: who may start DAG runs operates, who may look at
    DAGs reads, who may do neither (FAB's Public) has no role and sees no page.
    """
    if manager.is_authorized_dag(method="PUT", access_entity=DagAccessEntity.RUN, user=found):
        return frozenset({"operator", "auditor"})
    may_look = manager.is_authorized_dag(method="GET", user=found)
    return frozenset({"auditor"}) if may_look else frozenset()
