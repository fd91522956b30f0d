"""The audit on the database's side: one line per action, and the sealing of lines into the chain.

A line is written in the transaction of what it tells, so that neither exists without the other;
hashing costs microseconds there, chaining happens elsewhere. Must not read or judge the chain:
`review/chain.py` does, without this database's word.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row, dict_row

_SEALED_AT_ONCE = 5_000


def record(
    connection: psycopg.Connection[Any],
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, object] | None = None,
) -> None:
    """One line of the audit, in the caller's transaction. `detail` holds no secret."""
    connection.execute(
        "INSERT INTO sync.audit (actor, action, subject, detail) VALUES (%s, %s, %s, %s)",
        (actor, action, subject, None if detail is None else json.dumps(detail, default=str)),
    )


def note_reading(
    connection: psycopg.Connection[Any], actor: str, subject: str, detail: Mapping[str, object]
) -> None:
    """That somebody read audit data; possible for roles that may only read."""
    connection.execute(
        "SELECT sync.note_reading(%s, %s, %s)", (actor, subject, json.dumps(detail, default=str))
    )


def seal(connection: psycopg.Connection[Any], *, everything: bool = False) -> int:
    """Take all committed lines into the chain; returns how many were new.

    In steps with a commit each, on a connection in autocommit. One writer at a time: a second
    waits. `everything` also looks for lines whose transaction took extraordinarily long.
    """
    total = 0
    while True:
        row = connection.execute(
            "SELECT sync.seal_audit(%s, %s)", (_SEALED_AT_ONCE, everything)
        ).fetchone()
        sealed = int(row[0]) if row else 0
        total += sealed
        if sealed < _SEALED_AT_ONCE:
            return total


@dataclass(frozen=True, slots=True)
class Head:
    """The newest link of the chain."""

    position: int
    chain_sha256: bytes
    sealed_at: datetime


def head(connection: psycopg.Connection[Any]) -> Head | None:
    """The newest link, or None before anything was sealed."""
    with connection.cursor(row_factory=class_row(Head)) as cursor:
        return cursor.execute(
            "SELECT position, chain_sha256, sealed_at FROM sync.audit_link "
            "ORDER BY position DESC LIMIT 1"
        ).fetchone()


def note_anchor(connection: psycopg.Connection[Any], anchored: Head, place: str) -> None:
    """That the head was written down at `place`, outside."""
    connection.execute(
        "INSERT INTO sync.audit_anchor (position, chain_sha256, place) VALUES (%s, %s, %s)",
        (anchored.position, anchored.chain_sha256, place),
    )


@dataclass(frozen=True, slots=True)
class Sealed:
    """One link with the line it covers as they stand in the tables; None where one is missing."""

    position: int
    audit_id: int
    link_content_sha256: bytes
    chain_sha256: bytes
    id: int | None
    at: datetime | None
    actor: str | None
    action: str | None
    subject: str | None
    detail: Any
    db_user: str | None
    content: str | None
    content_sha256: bytes | None


_SEALED = """
SELECT l.position, l.audit_id, l.content_sha256 AS link_content_sha256, l.chain_sha256,
       a.id, a.at, a.actor, a.action, a.subject, a.detail, a.db_user, a.content, a.content_sha256
FROM sync.audit_link l LEFT JOIN sync.audit a ON a.id = l.audit_id
WHERE l.position BETWEEN %s AND %s ORDER BY l.position
"""


def sealed_rows(
    connection: psycopg.Connection[Any], first: int = 1, last: int = 2**62
) -> Iterator[Sealed]:
    """Links with their lines in the order of the chain, streamed; needs a transaction."""
    with connection.cursor("sealed", row_factory=class_row(Sealed)) as cursor:
        cursor.itersize = 10_000
        cursor.execute(_SEALED, (first, last))
        yield from cursor


def unsealed(connection: psycopg.Connection[Any]) -> int:
    """How many committed lines are not in the chain yet."""
    row = connection.execute(
        "SELECT count(*) FROM sync.audit a "
        "WHERE NOT EXISTS (SELECT FROM sync.audit_link l WHERE l.audit_id = a.id)"
    ).fetchone()
    return int(row[0]) if row else 0


def lines(
    connection: psycopg.Connection[Any], *, subject: str | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Lines, newest first, with their position in the chain (None: not sealed yet)."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT a.id, a.at, a.actor, a.action, a.subject, a.detail, a.db_user, l.position "
            "FROM sync.audit a LEFT JOIN sync.audit_link l ON l.audit_id = a.id "
            "WHERE %(subject)s::text IS NULL OR a.subject = %(subject)s "
            "ORDER BY a.id DESC LIMIT %(limit)s",
            {"subject": subject, "limit": limit},
        ).fetchall()
