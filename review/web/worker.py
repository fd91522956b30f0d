"""Carries fix jobs on in the desk's own process, at once; Airflow's sweep is the net below it.

One thread; a job that fails is its own matter. Must not answer requests.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from mappings.errors import WaybillError
from sync.context import Context
from sync.fix_work import carry_on

log = logging.getLogger(__name__)


class Worker:
    """From `start` to `stop`; `context` gives the engine's context with the mappings of now."""

    def __init__(self, context: Callable[[], Context], *, each: float = 1.0) -> None:
        self._context = context
        self._each = each
        self._over = threading.Event()
        self._name = f"desk {socket.gethostname()} {os.getpid()} {uuid.uuid4().hex[:8]}"
        self._thread = threading.Thread(target=self._run, name="fix-jobs", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the piece at hand; the lease frees what is killed instead."""
        self._over.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._over.wait(self._each):
            try:
                carry_on(self._context(), worker=self._name, stop=self._over.is_set)
            except (WaybillError, psycopg.Error, SQLAlchemyError) as error:
                log.warning("fix jobs wait: %s", error)
            except Exception:
                log.exception("fix jobs failed")
