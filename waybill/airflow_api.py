"""Our own control calls to our own Airflow: is it well, is a DAG there, start it, how did it end.

The wire to ERPs is `connectors/`; this is a handful of JSON requests over loopback, with the
standard library. Must not: be used for anything but the Airflow that we started.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Self

from mappings.errors import Misconfigured, Transient, WaybillError
from mappings.private_files import airflow_password
from mappings.settings import Settings

_HEARTBEATS = {"scheduler": "scheduler", "dag-processor": "dag_processor"}
_UNAUTHORIZED, _NOT_FOUND = 401, 404
_POLL_SECONDS = 0.25


class AirflowApi:
    """Airflow's REST API (v2) at `address`, signed in as `user` when a call needs it.

    Calls raise Transient where it does not answer, Misconfigured where it refuses the sign-in,
    WaybillError (code `airflow`) for every other refusal.
    """

    def __init__(self, address: str, user: str, password: str) -> None:
        self._address = address.rstrip("/")
        self._user = user
        self._password = password
        self._token: str | None = None
        # Loopback: whatever proxy the environment names is for other traffic.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._health: tuple[float, dict[str, Any]] = (float("-inf"), {})

    @classmethod
    def of(cls, settings: Settings, address: str) -> Self:
        """The API of this installation, as its administrator."""
        return cls(address, "admin", airflow_password(settings))

    def healthy(self, component: str, since: datetime) -> bool:
        """Does `api-server` answer, has another component a heartbeat after `since`?"""
        asked, answer = self._health
        if time.monotonic() - asked > _POLL_SECONDS:
            try:
                answer = self._send("GET", "/api/v2/monitor/health", timeout=3)
            except WaybillError:
                answer = {}
            self._health = (time.monotonic(), answer)
        if component == "api-server":
            return bool(answer)
        name = _HEARTBEATS[component]
        heart = answer.get(name) or {}
        beat: str | None = heart.get(f"latest_{name}_heartbeat")
        fresh = beat is not None and datetime.fromisoformat(beat) >= since
        return fresh and heart.get("status") == "healthy"

    def wait_for_dags(self, dag_ids: Iterable[str], seconds: float = 120.0) -> None:
        """Return when Airflow has parsed all of them.

        Raises WaybillError with the missing ones and the import errors that Airflow reports.
        """
        missing = list(dag_ids)
        deadline = time.monotonic() + seconds
        while True:
            missing = [dag_id for dag_id in missing if not self._exists(dag_id)]
            if not missing:
                return
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL_SECONDS)
        errors = self._call("GET", "/api/v2/importErrors").get("import_errors", [])
        reasons = [f"{e['filename']}: {e['stack_trace'].strip().splitlines()[-1]}" for e in errors]
        raise WaybillError(
            f"Airflow does not know {', '.join(missing)} after {seconds:.0f} seconds",
            code="airflow",
            remedy="; ".join(reasons) or "It reports no import error: see its dag-processor's log.",
        )

    def unpause(self, dag_id: str) -> None:
        """Let the DAG run, by its schedule and when triggered."""
        self._call("PATCH", f"/api/v2/dags/{_quoted(dag_id)}", {"is_paused": False})

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Start a run of the DAG now; returns its run id."""
        body = {"logical_date": None, "conf": dict(conf or {})}
        answer = self._call("POST", f"/api/v2/dags/{_quoted(dag_id)}/dagRuns", body)
        return str(answer["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """`queued`, `running`, `success` or `failed`."""
        return str(self._call("GET", _run(dag_id, run_id))["state"])

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """Task id → its state; tasks of a mapped task as `task[0]`, `task[1]` …"""
        states: dict[str, str | None] = {}
        total = 1
        while len(states) < total:
            query = urllib.parse.urlencode({"limit": 100, "offset": len(states)})
            answer = self._call("GET", f"{_run(dag_id, run_id)}/taskInstances?{query}")
            total, page = int(answer["total_entries"]), answer["task_instances"]
            if not page:
                break
            for task in page:
                mapped = f"[{task['map_index']}]" if task["map_index"] >= 0 else ""
                states[f"{task['task_id']}{mapped}"] = task["state"]
        return states

    def returned(self, dag_id: str, run_id: str, task_id: str) -> Any | None:  # noqa: ANN401 - any JSON
        """What a task of a run returned, as JSON; None where it returned nothing."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{_quoted(task_id)}/xcomEntries/return_value"
        try:
            value = self._call("GET", path).get("value")
        except WaybillError as error:
            if error.code == str(_NOT_FOUND):
                return None
            raise
        return json.loads(value) if isinstance(value, str) else value

    def wait_for_run(self, dag_id: str, run_id: str, seconds: float) -> str:
        """The final state of a run: `success` or `failed`. Raises Transient past the time."""
        deadline = time.monotonic() + seconds
        while (state := self.run_state(dag_id, run_id)) not in ("success", "failed"):
            if time.monotonic() > deadline:
                raise Transient(
                    f"run {run_id} of {dag_id} is {state} after {seconds:.0f} s", code="airflow"
                )
            time.sleep(_POLL_SECONDS)
        return state

    def _exists(self, dag_id: str) -> bool:
        try:
            self._call("GET", f"/api/v2/dags/{_quoted(dag_id)}")
        except WaybillError as error:
            if error.code == str(_NOT_FOUND):
                return False
            raise
        return True

    def _call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        for attempt in (1, 2):
            if self._token is None:
                self._sign_in()
            try:
                return self._send(method, path, body)
            except WaybillError as error:
                if error.code != str(_UNAUTHORIZED) or attempt > 1:
                    raise
                self._token = None  # expired, or signed before the server made a new key
        raise AssertionError("unreachable")

    def _sign_in(self) -> None:
        credentials = {"username": self._user, "password": self._password}
        try:
            self._token = self._send("POST", "/auth/token", credentials)["access_token"]
        except WaybillError as error:
            if error.code != str(_UNAUTHORIZED):
                raise
            raise Misconfigured(
                f"Airflow refuses the password of its user {self._user!r}",
                code="auth",
                remedy="It stands in secrets/passwords.json of WAYBILL_HOME; restart Airflow.",
            ) from None

    def _send(
        self, method: str, path: str, body: object = None, timeout: float = 30
    ) -> dict[str, Any]:
        headers = {"Accept": "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(  # noqa: S310 - our own http address
            self._address + path, data=data, headers=headers, method=method
        )
        try:
            with self._opener.open(request, timeout=timeout) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(2000).decode(errors="replace")
            raise WaybillError(
                f"Airflow answered {error.code} to {method} {path}: {said}", code=str(error.code)
            ) from None
        except (OSError, ValueError) as error:
            raise Transient(
                f"Airflow does not answer at {self._address}: {error}", code="airflow"
            ) from None


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")


def _run(dag_id: str, run_id: str) -> str:
    return f"/api/v2/dags/{_quoted(dag_id)}/dagRuns/{_quoted(run_id)}"
