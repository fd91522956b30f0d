"""What a sign-in must remember beyond one process: tokens, open sessions. A locked file of ours.

It lies with the other secrets, readable by its owner alone (0600), and not in the database, whose
backups and readers are many. The lock is held while a token is fetched, so that all processes of
an installation fetch one. Must not know what it keeps.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mappings.private_files import locked, write_private


class TokenStore:
    """One connection's memory. Without a path it lasts as long as this object."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._memory: dict[str, Any] = {}
        self._lock = threading.RLock()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else, in this process or another, reads or writes inside the block."""
        with self._lock:
            if self._path is None:
                yield
                return
            with locked(self._path.with_suffix(".lock")):
                yield

    def read(self) -> dict[str, Any]:
        """What was written last; {} where nothing was, or where it cannot be read."""
        if self._path is None:
            return dict(self._memory)
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}  # a token can always be fetched anew
        return found if isinstance(found, dict) else {}

    def write(self, known: dict[str, Any]) -> None:
        """Replace it; on disk before this returns."""
        if self._path is None:
            self._memory = dict(known)
        else:
            write_private(self._path, json.dumps(known))
