"""Supervision, seen from outside: a process that runs a Stack without Airflow, and is killed at."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from mappings.errors import WaybillError
from mappings.settings import REPOSITORY, Settings, child_environment
from portal_db import server
from waybill.ports import LOOPBACK, free_port, reserved_port
from waybill.run_file import read_run
from waybill.stack import stop_running
from waybill.supervisor import Service, Supervisor

RUN_STACK = REPOSITORY / "tests" / "waybill" / "run_stack.py"
PYTHON = sys.executable
# leaves a child in a session of its own, as a task of Airflow is, and waits
PARENT = (
    "import subprocess, sys, time; "
    "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(100)'], "
    "start_new_session=True); open(sys.argv[1], 'w').write(str(p.pid)); time.sleep(100)"
)


class Up:
    """A running `run_stack.py` and what it says."""

    def __init__(self, settings: Settings, *arguments: str) -> None:
        self.settings = settings
        self.process = subprocess.Popen(
            [PYTHON, str(RUN_STACK), *arguments],
            env=child_environment(settings),
            stdout=subprocess.PIPE,
            text=True,
        )

    def until(self, says: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            heard = json.loads(line)
            if says(heard):
                return heard
        raise AssertionError("it ended without saying so")

    def ready(self) -> dict[str, Any]:
        heard = self.until(lambda heard: "ready" in heard or "error" in heard)
        assert "ready" in heard, heard
        return heard

    def end(self) -> int:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture
def up(settings: Settings) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def start(*arguments: str, settings: Settings = settings) -> Up:
        started.append(Up(settings, *arguments))
        return started[-1]

    yield start
    for one in started:
        one.end()


def eventually(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def test_a_killed_process_comes_back_and_what_it_left_is_ended(
    up: Callable[..., Up], tmp_path: Path
) -> None:
    file = tmp_path / "orphan"
    stack = up("plain", PYTHON, "-c", PARENT, str(file))
    pid = stack.ready()["pids"]["probe"]
    eventually(lambda: file.exists() and file.read_text() != "")
    orphan = psutil.Process(int(file.read_text()))
    os.kill(pid, signal.SIGKILL)
    stack.until(lambda heard: heard.get("state") == "restarting")
    stack.until(lambda heard: heard.get("state") == "running")
    assert not orphan.is_running()
    assert psutil.pid_exists(stack.process.pid)


def test_the_end_leaves_nothing_behind(up: Callable[..., Up], tmp_path: Path) -> None:
    file = tmp_path / "orphan"
    stack = up("plain", PYTHON, "-c", PARENT, str(file))
    pid = stack.ready()["pids"]["probe"]
    eventually(lambda: file.exists() and file.read_text() != "")
    everything = [psutil.Process(pid), psutil.Process(int(file.read_text()))]
    assert read_run(stack.settings) is not None
    assert stop_running(stack.settings) is True
    assert stack.process.wait(10) == 0
    assert [process for process in everything if process.is_running()] == []
    assert read_run(stack.settings) is None
    assert not stack.settings.run_file.exists()
    assert stop_running(stack.settings) is False


def test_a_process_that_ignores_sigterm_is_killed(up: Callable[..., Up]) -> None:
    stubborn = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); "
        "print(1, flush=True); time.sleep(100)"
    )
    stack = up("plain", PYTHON, "-c", stubborn)
    process = psutil.Process(stack.ready()["pids"]["probe"])
    log = stack.settings.logs / "probe.log"
    eventually(lambda: log.read_text() == "1\n")
    assert stack.end() == 0
    assert not process.is_running()


def test_children_end_when_their_supervisor_is_killed(up: Callable[..., Up]) -> None:
    stack = up("plain", PYTHON, "-c", "import time; time.sleep(100)")
    process = psutil.Process(stack.ready()["pids"]["probe"])
    stack.process.kill()
    stack.process.wait()
    eventually(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
    assert read_run(stack.settings) is None


def test_a_second_one_says_who_runs(up: Callable[..., Up]) -> None:
    first = up("plain", "sleep", "100")
    first.ready()
    second = up("plain", "sleep", "100")
    heard = second.until(lambda heard: "error" in heard)
    assert heard["error"] == "already_running"
    assert f"process {first.process.pid}" in heard["says"]
    assert second.process.wait(10) == 3


def test_a_process_that_cannot_start_is_named_with_its_log(
    settings: Settings, tmp_path: Path
) -> None:
    said: list[str] = []
    supervisor = Supervisor(tmp_path, progress=lambda _name, state: said.append(state))
    try:
        environment = child_environment(settings)
        supervisor.start(Service("broken", (PYTHON, "-c", "raise SystemExit('no')"), environment))
        eventually(lambda: "restarting" in said)
        with pytest.raises(WaybillError, match=r"broken\.log"):
            supervisor.wait_until_healthy(0.1)
    finally:
        supervisor.stop()
    assert (tmp_path / "broken.log").read_text().startswith("no")


def test_the_embedded_database_is_brought_back(up: Callable[..., Up], server_home: Path) -> None:
    settings = Settings.read({}, home=server_home)
    stack = up("plain", "sleep", "100", settings=settings)
    stack.ready()
    running = server.running(settings.home)
    assert running is not None
    os.kill(running.pid, signal.SIGKILL)
    stack.until(lambda heard: heard == {**heard, "name": "postgresql", "state": "restarting"})
    stack.until(lambda heard: heard == {**heard, "name": "postgresql", "state": "running"})
    assert server.running(settings.home) is not None
    assert stack.end() == 0
    assert server.running(settings.home) is None


def test_two_installations_that_start_at_once_get_different_ports() -> None:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        wanted = probe.getsockname()[1]
    with reserved_port(wanted) as one, reserved_port(wanted) as two:
        assert one != two
    with reserved_port(one) as again:
        assert again == one


def test_a_busy_port_gives_the_next() -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) > port
        assert free_port(port, taken=[port + 1]) > port + 1
