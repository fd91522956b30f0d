"""Files that only their owner may read: generated keys, and the file of connections.

Each write is atomic (a reader sees the old text or the new one, never half of it) and each
change of a shared file is made under a lock. Must not: log or print a value.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mappings.errors import Misconfigured
from mappings.settings import Settings

FERNET_KEY = "fernet_key"
JWT_SECRET = "jwt_secret"  # noqa: S105 - a file's name
API_SECRET_KEY = "api_secret_key"  # noqa: S105 - as above
PASSWORDS_FILE = "passwords.json"
GATEWAY_TOKENS = "gateway_tokens.json"
GATEWAY_ROLES = ("portal", "metrics")
WEBHOOK_KEY = "webhook_key"
DESK_KEY = "desk_key"
AIRFLOW_USERS = ("admin", "ops", "auditor")
CONNECTION_FIELDS = frozenset(
    {"conn_type", "description", "host", "login", "password", "port", "schema", "extra"}
)


@contextmanager
def locked(path: Path, *, shared: bool = False, wait: bool = True) -> Iterator[int]:
    """Hold a lock on the file `path` (made if absent); the kernel drops it if we are killed.

    Yields the file descriptor. Raises BlockingIOError where `wait` is False and it is taken.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(descriptor, kind if wait else kind | fcntl.LOCK_NB)
        yield descriptor
    finally:
        os.close(descriptor)


def write_private(path: Path, text: str) -> None:
    """Replace `path` by `text` in one step, readable by its owner alone (0600)."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600 already
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def make_home(settings: Settings) -> None:
    """Make `home`, `logs` and `secrets`, and every generated key that is not there yet.

    A key that exists is never changed: what it signed or encrypted stays readable.
    """
    settings.home.parent.mkdir(parents=True, exist_ok=True)
    # 0700 from its first instant; as root the database's account is later let through (0711),
    # which is why the folders inside are closed as well
    for folder in (settings.home, settings.logs, settings.secrets):
        folder.mkdir(mode=0o700, exist_ok=True)
    if settings.landing == str(settings.home / "landing"):
        (settings.home / "landing").mkdir(mode=0o700, exist_ok=True)
    makers: dict[str, Callable[[], str]] = {
        FERNET_KEY: lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode("ascii"),
        JWT_SECRET: lambda: secrets.token_urlsafe(96),
        API_SECRET_KEY: lambda: secrets.token_urlsafe(48),
        PASSWORDS_FILE: lambda: json.dumps(
            {user: secrets.token_urlsafe(15) for user in AIRFLOW_USERS}
        ),
    }
    makers[GATEWAY_TOKENS] = lambda: json.dumps(
        {role: secrets.token_urlsafe(32) for role in GATEWAY_ROLES}
    )
    makers[WEBHOOK_KEY] = lambda: secrets.token_urlsafe(48)
    makers[DESK_KEY] = lambda: secrets.token_urlsafe(48)
    with locked(settings.secrets / ".lock"):
        for name, make in makers.items():
            path = settings.secrets / name
            if not path.exists():
                write_private(path, make() + "\n")
    if not settings.connections_file.exists():
        change_connections(settings, {})  # Airflow wants the file to exist


def airflow_password(settings: Settings, user: str = "admin") -> str:
    """The generated password of one of `AIRFLOW_USERS` (SimpleAuthManager's users)."""
    try:
        return json.loads(settings.secret(PASSWORDS_FILE))[user]
    except KeyError:
        raise Misconfigured(
            f"Airflow has no user {user!r}", remedy=f"Its users are {', '.join(AIRFLOW_USERS)}."
        ) from None


def gateway_tokens(settings: Settings) -> dict[str, str]:
    """Role (`portal`, `metrics`) → its token for the gateway."""
    found: dict[str, str] = json.loads(settings.secret(GATEWAY_TOKENS))
    return found


def read_connections(settings: Settings) -> dict[str, dict[str, Any] | str]:
    """Connection id → its fields (or its URI), as Airflow's LocalFilesystemBackend reads them.

    No file is no connection. Raises Misconfigured where the file is not such an object.
    """
    path = settings.connections_file
    try:
        found = json.loads(path.read_text(encoding="utf-8") or "{}")
    except FileNotFoundError:
        return {}
    except json.JSONDecodeError as error:
        raise Misconfigured(
            f"{path} is not JSON: {error.msg} in line {error.lineno}",
            remedy="Correct the file, or delete it: connections to the practice ERPs come back.",
        ) from None
    if not isinstance(found, dict) or not all(isinstance(v, dict | str) for v in found.values()):
        raise Misconfigured(
            f"{path} must be an object of objects: connection id to its fields",
            remedy='Write it as {"acme": {"conn_type": "http", "host": "…", "password": "…"}}.',
        )
    return found


def change_connections(
    settings: Settings, changes: Mapping[str, Mapping[str, Any] | None]
) -> dict[str, dict[str, Any] | str]:
    """Set the given connections, remove those given as None, keep all others. Returns them all.

    Safe with several writers at once; the file keeps mode 0600.
    """
    for connection_id, fields in changes.items():
        unknown = set(fields or ()) - CONNECTION_FIELDS
        if unknown:
            # Airflow would then refuse the whole file, with every other connection in it
            raise Misconfigured(
                f"connection {connection_id!r} has a field {min(unknown)!r}",
                code="connection",
                remedy=f"Its fields are {', '.join(sorted(CONNECTION_FIELDS))}; "
                "what a protocol needs beside them goes into extra.",
            )
    with locked(settings.secrets / ".lock"):
        merged = read_connections(settings)
        for connection_id, fields in changes.items():
            if fields is None:
                merged.pop(connection_id, None)
            else:
                merged[connection_id] = dict(fields)
        write_private(
            settings.connections_file, json.dumps(merged, indent=2, sort_keys=True) + "\n"
        )
    return merged
