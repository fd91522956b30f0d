"""The desk in Airflow: in its menu, behind its own sign-in, with its own users.

Airflow loads this in most of its processes (entry point `airflow.plugins`), so it imports almost
nothing; the application is made by the first request, in the API server. An operator is who may
start DAG runs, an auditor who may look at DAGs; anybody else sees no page. Must not: hold a page.
"""

from __future__ import annotations

import threading
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.types import Receive, Scope, Send

PREFIX = "/waybill"


class LazyDesk:
    """An ASGI application that is made when it is first asked."""

    def __init__(self) -> None:
        self._made: Starlette | None = None
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        await self._app()(scope, receive, send)

    def _app(self) -> Starlette:
        with self._lock:
            if self._made is None:
                from mappings.private_files import make_home  # noqa: PLC0415 - heavy
                from mappings.settings import Settings  # noqa: PLC0415 - heavy
                from review.web.app import make_app  # noqa: PLC0415 - heavy
                from waybill.airflow_gate import AirflowGate  # noqa: PLC0415 - heavy

                settings = Settings.read()
                make_home(settings)
                self._made = make_app(settings, AirflowGate(), prefix=PREFIX)
            return self._made


class WaybillPlugin(AirflowPlugin):
    """What Airflow is given."""

    name = "waybill"
    fastapi_apps: list[Any] = [  # noqa: RUF012 - Airflow reads class attributes
        {"app": LazyDesk(), "url_prefix": PREFIX, "name": "Waybill"}
    ]
    external_views: list[MutableMapping[str, Any]] = [  # noqa: RUF012 - as above
        {
            "name": "Waybill",
            "href": f"{PREFIX}/",
            "destination": "nav",
            "url_route": "waybill",
            "nav_top_level": True,
        }
    ]
