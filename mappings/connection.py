"""Where an ERP is and how to sign in, once resolved. `sync/connection.py` resolves it.

Must not read files or the environment, and must never show a secret: `repr` hides them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_SECRET = ("secret", "pass", "key", "token")
_NO_SECRET = (
    *("_url", "_file", "_header", "_element", "_elements", "_query", "_interval", "_form"),
    *("login_password", "login_token"),
)
"""Ends of names that say where something is, not what it is."""


def _is_secret(name: str) -> bool:
    return any(word in name for word in _SECRET) and not name.endswith(_NO_SECRET)


@dataclass(frozen=True, slots=True)
class Connection:
    """One account at one ERP, as Airflow's connections hold it.

    `extra` holds what the protocol needs (`token_url`, `client_secret`, `host_key`,
    `private_key_file`, `wsdl` …) and may hold secrets: both it and `password` stay out of `repr`.
    """

    id: str
    type: str
    host: str
    port: int | None = None
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    schema: str | None = None
    extra: dict[str, str] = field(default_factory=dict, repr=False)
    token_file: Path | None = None
    """Where a sign-in keeps what it must not forget (tokens, open sessions), for all processes of
    this installation; None: each process for itself."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text that must never be shown, for redaction."""
        hidden = [
            self.password,
            *(v for k, v in self.extra.items() if _is_secret(k)),
            *(v for text in self.extra.values() if text.startswith("{") for v in _inside(text)),
        ]
        return tuple(v for v in hidden if v)


def _inside(text: str) -> Iterator[str]:
    """Secrets in an extra that is itself a JSON object (fields of a log-in)."""
    try:
        found = json.loads(text)
    except ValueError:
        return
    waiting = [found]
    while waiting:
        for name, value in waiting.pop().items():
            if isinstance(value, dict):
                waiting.append(value)
            elif isinstance(value, str) and _is_secret(str(name).lower()):
                yield value
