"""Everything that runs on one machine: PostgreSQL, Airflow, and the services it is given.

    with Stack(settings, services=[…]) as stack:
        stack.wait_until_healthy()
        stack.addresses          # {"airflow": "http://127.0.0.1:18080", …}
        stack.run_forever()      # until Ctrl-C or SIGTERM

Must not: know what the other services are (the command says that), or print.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from types import FrameType, TracebackType
from typing import Self

import psycopg

from mappings.errors import WaybillError
from mappings.private_files import locked, make_home
from mappings.settings import AIRFLOW_PORT, DESK_PORT, GATEWAY_PORT, Settings
from portal_db import server
from portal_db.migrate import migrate
from waybill import airflow_process, desk_process, gateway_process
from waybill.airflow_api import AirflowApi
from waybill.ports import LOOPBACK, reserved_port
from waybill.run_file import AlreadyRunning, Run, read_run, remove_run, up_lock, write_run
from waybill.supervisor import Progress, Service, Supervisor

_DATABASE = "postgresql"
_HEALTHY_WITHIN = 300.0  # half a minute as a rule; a machine busy with other work takes its time


class Stack:
    """The running installation, for as long as the `with` block lasts.

    `services` are started beside Airflow; `addresses` names where they are, for run.json.
    `progress(name, state)` is told what starts, runs, restarts and stops, from other threads too.
    `airflow=False` leaves Airflow out; `gateway` starts the real-time lane, which with `practice`
    lets ERPs on this machine call it; `desk` starts the review desk, behind its own sign-in.
    Entering raises AlreadyRunning where another process runs this WAYBILL_HOME.
    """

    def __init__(
        self,
        settings: Settings,
        services: Iterable[Service] = (),
        *,
        addresses: Mapping[str, str] | None = None,
        airflow: bool = True,
        gateway: bool = False,
        desk: bool = False,
        practice: bool = False,
        progress: Progress = lambda _name, _state: None,
    ) -> None:
        self._settings = settings
        self._services = list(services)
        self._airflow = airflow
        self._gateway = gateway
        self._desk = desk
        self._practice = practice
        self._progress = progress
        self._started = contextlib.ExitStack()
        self._supervisor: Supervisor | None = None
        self._database_checked = 0.0
        self._stop_asked = threading.Event()
        self.addresses: dict[str, str] = dict(addresses or {})
        self.database_url: str = ""

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            make_home(self._settings)
            undo.enter_context(self._only_one())
            # from here on a signal ends the block in good order, whatever it is doing
            undo.enter_context(_signals_raise(self._stop_asked))
            self._start(undo)
            self._started = undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._started.close()

    def wait_until_healthy(self, seconds: float = _HEALTHY_WITHIN) -> None:
        """Return when everything answers. Raises Transient, naming what does not."""
        self._running().wait_until_healthy(seconds)

    def run_forever(self) -> None:
        """Return on Ctrl-C, SIGTERM or `ask_to_stop`."""
        with contextlib.suppress(KeyboardInterrupt):
            while not self._stop_asked.wait(3600):
                pass

    def ask_to_stop(self) -> None:
        """Make `run_forever` return; for other threads."""
        self._stop_asked.set()

    def states(self) -> dict[str, str]:
        """Name of each process → `starting`, `running`, `restarting` or `stopped`."""
        return dict(self._running().states())

    def pids(self) -> dict[str, int]:
        """Name of each process → its process id."""
        return self._running().pids()

    def airflow_api(self) -> AirflowApi:
        """Airflow's REST API, signed in as its administrator."""
        return AirflowApi.of(self._settings, self.addresses["airflow"])

    def _start(self, undo: contextlib.ExitStack) -> None:
        settings = self._settings
        if settings.database_url is None:
            self._progress(_DATABASE, "starting")
            # Registered, so that a command that ends while we run does not stop it under us,
            # and one that still runs when we end keeps it.
            self.database_url = undo.enter_context(server.serving(settings))
            self._progress(_DATABASE, "running")
        else:
            self.database_url = settings.database_url
        self._progress("portal database", "starting")
        migrate(self.database_url)
        self._progress("portal database", "running")
        self._supervisor = Supervisor(
            settings.logs,
            spare=lambda pid: server.is_server_process(pid, settings.home),
            each_poll=self._look_after_database,
            progress=self._progress,
        )
        undo.callback(self._supervisor.stop)
        for service in self._services:
            self._supervisor.start(service)
        if self._airflow:
            self._start_airflow(self._supervisor, undo.enter_context(reserved_port(AIRFLOW_PORT)))
        if self._gateway:
            self._start_gateway(self._supervisor, undo.enter_context(reserved_port(GATEWAY_PORT)))
        if self._desk:
            port = undo.enter_context(reserved_port(DESK_PORT))
            self.addresses["desk"] = f"http://{LOOPBACK}:{port}"
            self._supervisor.start(desk_process.service(settings, port))
        run = Run(os.getpid(), datetime.now(UTC).isoformat(timespec="seconds"), self.addresses)
        write_run(settings, run)
        undo.callback(remove_run, settings)

    def _start_airflow(self, supervisor: Supervisor, port: int) -> None:
        settings = self._settings
        self.addresses["airflow"] = f"http://{LOOPBACK}:{port}"
        self._progress("airflow database", "starting")
        url = airflow_process.write_database_url(settings, self.database_url)
        airflow_process.migrate(settings, url)
        self._progress("airflow database", "running")
        environment = airflow_process.airflow_environment(settings, port=port)
        api = AirflowApi.of(settings, self.addresses["airflow"])
        for component in airflow_process.COMPONENTS:
            supervisor.start(
                Service(
                    name=f"airflow-{component}",
                    command=airflow_process.command_line(component),
                    environment=environment,
                    healthy=functools.partial(api.healthy, component),
                    # longer than any garbage collection or busy minute, shorter than a night
                    hang_seconds=120.0,
                    # the scheduler waits for its running tasks, which may be repeated at any time
                    stop_seconds=4.0,
                )
            )

    def _start_gateway(self, supervisor: Supervisor, port: int) -> None:
        address = f"http://{LOOPBACK}:{port}"
        self.addresses["gateway"] = address
        public_url = self._settings.gateway_url or (address if self._practice else None)
        supervisor.start(gateway_process.service(self._settings, port, public_url=public_url))

    def _look_after_database(self) -> None:
        """Bring the embedded server back if it was killed; everybody else reconnects."""
        settings = self._settings
        if settings.database_url is not None or time.monotonic() < self._database_checked + 1:
            return
        self._database_checked = time.monotonic()
        if server.running(settings.home) is None:
            self._progress(_DATABASE, "restarting")
            with contextlib.suppress(psycopg.OperationalError):
                server.restart(settings.home)
                self._progress(_DATABASE, "running")

    @contextlib.contextmanager
    def _only_one(self) -> Iterator[None]:
        with contextlib.ExitStack() as lock:
            for tries_left in (4, 3, 2, 1, 0):
                try:
                    lock.enter_context(locked(up_lock(self._settings), wait=False))
                    break
                except BlockingIOError:
                    if tries_left == 0:
                        raise AlreadyRunning.of(self._settings) from None
                    time.sleep(0.1)  # somebody who only asks who runs holds it for an instant
            yield

    def _running(self) -> Supervisor:
        if self._supervisor is None:
            raise RuntimeError("the stack is not entered")
        return self._supervisor


def stop_running(settings: Settings, *, seconds: float = 60.0) -> bool:
    """Ask whoever runs this WAYBILL_HOME to stop, and wait for it; False where nobody does.

    An embedded server left behind by a killed `up` is stopped as well.
    Raises WaybillError where it does not end in time.
    """
    run = read_run(settings)
    if run is None:
        return settings.home.exists() and server.stop(settings.home)
    with contextlib.suppress(ProcessLookupError):
        os.kill(run.pid, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while read_run(settings) is not None:
        if time.monotonic() > deadline:
            raise WaybillError(
                f"process {run.pid} did not stop within {seconds:.0f} seconds",
                remedy=f"Its log files are in {settings.logs}.",
            )
        time.sleep(0.1)
    return True


@contextlib.contextmanager
def _signals_raise(stop_asked: threading.Event) -> Iterator[None]:
    """Make SIGTERM and SIGINT end the block like Ctrl-C, once; a second one changes nothing.

    SIGINT as well: a shell starts background commands with it ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if not stop_asked.is_set():
            stop_asked.set()
            raise KeyboardInterrupt

    before = {
        number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
