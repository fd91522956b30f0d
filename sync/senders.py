"""What one delivering thread keeps open: a sender for each kind of message, and a connection.

Must not claim or record anything, and must not know what an error means.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Self

import psycopg

from connectors import open_sender
from connectors.budget import Budget
from connectors.protocol import Sender
from mappings.errors import WaybillError
from mappings.outbound import Outbound
from mappings.spec import ErpMapping
from portal_db import outbox
from sync.connection import resolve
from sync.context import Context


class Senders:
    """What one thread keeps open: a sender for each kind of message, and a connection."""

    def __init__(self, ctx: Context, mapping: ErpMapping, budget: Budget) -> None:
        self._ctx = ctx
        self._mapping = mapping
        self._budget = budget
        self._stack = ExitStack()
        self._open: dict[str, Sender] = {}
        self._last: Sender | None = None
        self._database: outbox.Connection | None = None
        self._held = ExitStack()
        self.prepared = False
        self.asked = False
        """Has the sender been called for the message at hand?"""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._held.close()
        self._stack.close()

    @contextmanager
    def database(self) -> Iterator[outbox.Connection]:
        """The thread's own connection, in autocommit: held, but never in a transaction while an
        ERP is asked. One that is lost is opened anew.
        """
        if self._database is None or self._database.closed:
            self._held.close()
            self._database = self._held.enter_context(self._ctx.connection())
        try:
            yield self._database
        except psycopg.OperationalError:
            self._database.close()
            raise

    @property
    def exchange(self) -> Any:  # noqa: ANN401
        """What went over the wire last."""
        return self._last.exchange if self._last is not None and self.asked else None

    def prepare(self) -> None:
        """Open what orders need before one is held: its lease is for sending, not for this.

        What fails here is met again, and recorded, with the first message.
        """
        self.prepared = True
        how = self._mapping.outbound("order")
        if how is not None:
            with suppress(WaybillError):
                self.of("order", how).ready()

    def of(self, kind: str, how: Outbound) -> Sender:
        """The sender for a kind of message, opened when first used."""
        if kind not in self._open:
            connection = resolve(self._ctx.settings, self._mapping.connection)
            sender = open_sender(
                connection,
                how.target.protocol,
                self._mapping.erp,
                how.target,
                cache=self._ctx.settings.cache,
                budget=self._budget,
            )
            self._open[kind] = self._stack.enter_context(sender)
        self._last = self._open[kind]
        return self._last
