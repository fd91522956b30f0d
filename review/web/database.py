"""A request's connection: read-only, narrowed to what its reader may see.

Must not write, save the line that says that audit data was read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import psycopg
from starlette.requests import Request

from portal_db import audit
from review.web.desk import desk_of
from review.web.gate import user_of
from sync.context import Context

Reader = Literal["review", "auditor"]


@contextmanager
def reading(request: Request, role: Reader | None = None) -> Iterator[psycopg.Connection[Any]]:
    """A read-only connection in one snapshot, with a bounded time for each statement.

    As `waybill_review` for an operator and `waybill_auditor` for an auditor, unless `role` says.
    """
    with desk_of(request).reading(role or _role(request)) as connection:
        yield connection


def reader(request: Request) -> Context:
    """The engine's context for verbs that only look, with the same role as `reading`."""
    return desk_of(request).reader(_role(request))


def _role(request: Request) -> Reader:
    return "review" if user_of(request).operates else "auditor"


def note_reading(request: Request, subject: str, **detail: object) -> None:
    """Put on record that this person looked at audit data, before it is shown."""
    with desk_of(request).noting("auditor") as connection:
        audit.note_reading(connection, user_of(request).name, subject, detail)
