"""Keeps processes running: starts them, looks after their health, restarts what dies, ends all.

Knows nothing of what it runs; `stack.py` says that. Every process has a session of its own, so
that Ctrl-C reaches the supervisor alone, and its output goes to `<logs>/<name>.log`.
This process adopts orphans (child subreaper): what a killed scheduler leaves behind becomes ours
and is ended before it is started again. A process may hold one Supervisor at a time, and while it
does, every child that appears in it counts as left behind, save those that `spare` claims and
those that were there before.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import psutil

from mappings.errors import Transient

_PR_SET_CHILD_SUBREAPER = 36
_POLL_SECONDS = 0.25
_HEALTH_SECONDS = {"starting": 1.0, "running": 5.0}
_LARGEST_LOG = 10_000_000
_LONGEST_PAUSE = 30.0
_STEADY_SECONDS = 60.0
_CHILD = Path(__file__).with_name("child.py")

log = logging.getLogger(__name__)
State = Literal["starting", "running", "restarting", "stopped"]
Progress = Callable[[str, State], None]


@dataclass(frozen=True, slots=True)
class Service:
    """One process to keep running.

    `healthy` is asked every second until it says yes and every five after, and told when the
    process started (a heartbeat may be its predecessor's); without it, alive is healthy. One that
    was healthy and then is not for `hang_seconds` is ended and started again (None: never).
    `stop_seconds` is what it gets between SIGTERM and SIGKILL.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    healthy: Callable[[datetime], bool] | None = None
    hang_seconds: float | None = None
    stop_seconds: float = 5.0


@dataclass(slots=True)
class _Child:
    service: Service
    process: subprocess.Popen[bytes]
    started: float
    born: datetime
    state: State = "starting"
    failures: int = 0
    start_again: float | None = None
    asked: float = 0.0
    last_healthy: float | None = None


class Supervisor:
    """Runs services until `stop`. Methods may be called from any thread.

    `logs` is the folder of their output; `spare(pid)` says which of our children are not ours to
    end; `each_poll` is called by the watching thread at every round, for what the caller watches
    itself; `progress` is told each change of state.
    """

    def __init__(
        self,
        logs: Path,
        *,
        spare: Callable[[int], bool] = lambda _pid: False,
        each_poll: Callable[[], None] = lambda: None,
        progress: Progress = lambda _name, _state: None,
    ) -> None:
        self._logs = logs
        self._spare = spare
        self._each_poll = each_poll
        self._progress = progress
        self._children: dict[str, _Child] = {}
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._before = {child.pid for child in psutil.Process().children()}
        self._zombies: set[int] = set()
        _adopt_orphans(on=True)
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._watcher.start()

    def start(self, service: Service) -> None:
        """Start a service and keep it running. Its name must be new."""
        with self._lock:
            if service.name in self._children:
                raise ValueError(f"there is a service {service.name!r} already")
            self._children[service.name] = _Child(
                service, self._launch(service), time.monotonic(), datetime.now(UTC)
            )
        self._progress(service.name, "starting")

    def states(self) -> dict[str, State]:
        """Name of each service → what it is doing."""
        with self._lock:
            return {name: child.state for name, child in self._children.items()}

    def pids(self) -> dict[str, int]:
        """Name of each service → its process id."""
        with self._lock:
            return {name: child.process.pid for name, child in self._children.items()}

    def wait_until_healthy(self, seconds: float) -> None:
        """Return when every service is running.

        Raises Transient (code `not_healthy`), naming those that are not and their log files.
        """
        deadline = time.monotonic() + seconds
        while waiting := [name for name, state in self.states().items() if state != "running"]:
            if time.monotonic() > deadline or self._stopping.is_set():
                files = ", ".join(str(self._logs / f"{name}.log") for name in waiting)
                raise Transient(
                    f"not running after {seconds:.0f} seconds: {', '.join(waiting)}",
                    code="not_healthy",
                    remedy=f"The reason stands at the end of {files}.",
                )
            time.sleep(_POLL_SECONDS / 2)

    def stop(self) -> None:
        """End every service and everything they left behind. Again: nothing more happens."""
        self._stopping.set()
        if threading.current_thread() is not self._watcher:
            self._watcher.join()
        with self._lock:
            children = list(self._children.values())
        for child in children:
            _signal(child.process, psutil.Process.terminate)
        patience = time.monotonic()
        for child in children:
            remaining = patience + child.service.stop_seconds - time.monotonic()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(max(remaining, 0.05))
        self._end_leftovers(seconds=1.0)
        for child in children:
            child.process.wait()
            if child.state != "stopped":
                child.state = "stopped"
                self._progress(child.service.name, "stopped")
        _adopt_orphans(on=False)

    def _launch(self, service: Service) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-IS", str(_CHILD), str(psutil.Process().pid), *service.command]
        path = self._logs / f"{service.name}.log"
        if path.exists() and path.stat().st_size > _LARGEST_LOG:
            path.replace(path.with_suffix(".log.1"))
        with path.open("ab") as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(service.environment),
                start_new_session=True,
            )

    def _watch(self) -> None:
        while not self._stopping.wait(_POLL_SECONDS):
            try:
                self._each_poll()
                with self._lock:
                    children = list(self._children.values())
                for child in children:
                    self._look_after(child)
                self._reap()
            except Exception:
                # The watcher must outlive whatever it watches: the next round may do better.
                log.exception("a round of supervision failed")

    def _look_after(self, child: _Child) -> None:
        now, service = time.monotonic(), child.service
        if child.start_again is not None:
            if now >= child.start_again:
                self._start_again(child)
        elif child.process.poll() is not None:
            if now - child.started > _STEADY_SECONDS:
                child.failures = 0
            pause = min(2.0**child.failures, _LONGEST_PAUSE)
            child.failures += 1
            child.start_again = now + pause
            log.warning(
                "%s ended with %s, starts again in %.0f s",
                *(service.name, child.process.returncode, pause),
            )
            self._change(child, "restarting")
        elif now - child.asked >= _HEALTH_SECONDS.get(child.state, 1.0):
            child.asked = now
            if service.healthy is None or service.healthy(child.born):
                child.last_healthy = now
                self._change(child, "running")
            elif (
                service.hang_seconds is not None
                and child.last_healthy is not None
                and now - child.last_healthy > service.hang_seconds
            ):
                log.warning("%s does not answer: it is ended", service.name)
                _signal(child.process, psutil.Process.kill)

    def _start_again(self, child: _Child) -> None:
        # What the dead process left would work beside the new one, or keep its port.
        self._end_leftovers(seconds=1.0, keep={c.process.pid for c in self._children.values()})
        child.process = self._launch(child.service)
        child.started, child.born = time.monotonic(), datetime.now(UTC)
        child.start_again, child.last_healthy = None, None
        self._change(child, "starting")

    def _change(self, child: _Child, state: State) -> None:
        if child.state != state:
            child.state = state
            self._progress(child.service.name, state)

    def _end_leftovers(self, seconds: float, keep: Iterable[int] = ()) -> None:
        """End adopted orphans and their descendants: first asked, then killed."""
        kept = set(keep)
        for rounds in range(20):  # a dying process may hand us more
            found: list[psutil.Process] = []
            for orphan in psutil.Process().children():
                if orphan.pid not in kept and self._is_leftover(orphan):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        found += [orphan, *orphan.children(recursive=True)]
            if not found:
                return
            for process in found:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.terminate() if rounds == 0 else process.kill()
            psutil.wait_procs(found, timeout=seconds)

    def _is_leftover(self, process: psutil.Process) -> bool:
        return process.pid not in self._before and not self._spare(process.pid)

    def _reap(self) -> None:
        """Take the exit codes of adopted orphans, which nobody else will ask for."""
        known = {child.process.pid for child in self._children.values()}
        dead = set[int]()
        for process in psutil.Process().children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.pid not in known and process.status() == psutil.STATUS_ZOMBIE:
                    dead.add(process.pid)
        for pid in dead & self._zombies:  # whoever waits for a child of its own has had a round
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(pid).wait(0)
        self._zombies = dead


def _signal(process: subprocess.Popen[bytes], send: Callable[[psutil.Process], None]) -> None:
    if process.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):
            send(psutil.Process(process.pid))


def _adopt_orphans(*, on: bool) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "this system cannot adopt orphaned processes")
