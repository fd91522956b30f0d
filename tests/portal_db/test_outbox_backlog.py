"""What it costs to take the next message, when very many wait."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from portal_db import outbox

WAITING = 4000
FREE = "WB-" + "Z" * 26


@pytest.fixture
def busy(database: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """Three dealers with a long backlog, the first message of each on its way."""
    with psycopg.connect(database, autocommit=True) as db:
        db.execute(
            "SELECT sync.write_message('order', 'till', ref, ref, 'till/D' || n %% 3, 1, '{}', "
            "'test') FROM (SELECT n, 'WB-' || translate(lpad(n::text, 26, '0'), '0189', 'ABCD') "
            "AS ref FROM generate_series(1, %s) n) AS them",
            (WAITING,),
        )
        for _ in range(3):
            assert claim(db) is not None
        yield db


def claim(db: psycopg.Connection[tuple[object, ...]], **more: bool) -> outbox.Claim | None:
    """The next message of the till."""
    return outbox.claim(db, "till", worker="w", lease=60, mapping_sha256="x", **more)


def pages(db: psycopg.Connection[tuple[object, ...]]) -> int:
    """Buffers that this connection has touched so far, in the outbox and its indexes."""
    db.execute("SELECT pg_stat_force_next_flush()")
    row = db.execute(
        "SELECT sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read)::bigint "
        "FROM pg_statio_all_tables WHERE schemaname = 'sync' AND relname = 'outbox'"
    ).fetchone()
    assert row is not None
    return int(str(row[0]))


def test_a_worker_that_finds_every_dealer_busy_reads_each_waiting_message_once(
    busy: psycopg.Connection[tuple[object, ...]],
) -> None:
    before = pages(busy)
    assert claim(busy) is None
    assert pages(busy) - before < WAITING / 2


def test_a_free_dealer_is_found_without_reading_who_waits_behind_him(
    busy: psycopg.Connection[tuple[object, ...]],
) -> None:
    busy.execute(
        "SELECT sync.write_message('order', 'till', %(it)s, %(it)s, 'till/F', 1, '{}', 'test')",
        {"it": FREE},
    )
    before = pages(busy)
    found = claim(busy)
    assert found is not None
    assert found.reference == FREE
    assert pages(busy) - before < WAITING / 2
