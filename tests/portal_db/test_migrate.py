"""Migrations: what a database gets is what the metadata says, once and only once."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from psycopg import sql
from sqlalchemy import create_engine

from mappings.settings import REPOSITORY
from portal_db import server
from portal_db.databases import with_database
from portal_db.engine import driver_url
from portal_db.engine_tables import metadata
from portal_db.migrate import migrate


@pytest.fixture
def empty(postgres: str) -> Iterator[list[str]]:
    """URLs of two empty databases."""
    names = [f"empty_{uuid.uuid4().hex[:12]}" for _ in range(2)]
    with psycopg.connect(postgres, autocommit=True) as connection:
        for name in names:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield [with_database(postgres, name) for name in names]
        for name in names:
            drop = "DROP DATABASE {} WITH (FORCE)"
            connection.execute(sql.SQL(drop).format(sql.Identifier(name)))


def shape(url: str) -> list[tuple[object, ...]]:
    """Every table, column, constraint, index, policy and function of ours, by catalogue id."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT c.oid, c.relname, c.relkind, a.attname, a.atttypid, c.xmin::text "
            "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
            "JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname IN ('portal', 'sync', 'staging') ORDER BY 1, a.attnum"
        ).fetchall()


def test_migrations_give_what_the_metadata_says(database: str) -> None:
    """The migrations are what a database really gets; the metadata is what the code believes."""
    engine = create_engine(driver_url(database))
    with engine.connect() as connection:

        def ours(name: str | None, kind: str, parents: object) -> bool:
            del parents
            return kind != "schema" or name in {"portal", "sync", "staging"}

        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "include_name": ours,
                "compare_type": True,
                "compare_server_default": False,
                "version_table_schema": "sync",
            },
        )
        found = compare_metadata(context, metadata)
    engine.dispose()
    assert found == []


def test_check_constraints_are_those_of_the_metadata(database: str) -> None:
    """Autogenerate does not look at them, so they are compared by name and table."""
    declared = {
        (table.schema, table.name, str(constraint.name))
        for table in metadata.tables.values()
        for constraint in table.constraints
        if type(constraint).__name__ == "CheckConstraint"
    }
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT n.nspname, c.relname, k.conname FROM pg_constraint k "
            "JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE k.contype = 'c' AND n.nspname IN ('portal', 'sync') AND NOT c.relispartition"
        ).fetchall()
    names = {str(name) for _, _, name in rows}
    missing = [d for d in declared if d[2] not in names and f"{d[1]}_{d[2]}" not in names]
    assert missing == []


def test_migrating_twice_changes_nothing(database: str) -> None:
    """Does nothing when the database is up to date."""
    before = shape(database)
    migrate(database)
    assert shape(database) == before


def test_two_migrations_of_one_database_at_once(empty: list[str]) -> None:
    """One at a time by advisory lock; the second finds everything done."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(migrate, [empty[0], empty[0]]))
    assert shape(empty[0])


def test_two_databases_of_one_server_may_be_migrated_at_once(server_home: Path) -> None:
    """Roles belong to the server: two first migrations must not trip over each other's."""
    first = server.start(server_home, fsync=False)
    urls = [first, with_database(first, "second")]
    with psycopg.connect(first, autocommit=True) as connection:
        connection.execute("CREATE DATABASE second")
    command = "import sys; from portal_db.migrate import migrate; migrate(sys.argv[1])"
    both = [subprocess.Popen([sys.executable, "-c", command, url], cwd=REPOSITORY) for url in urls]
    assert [one.wait(60) for one in both] == [0, 0]
    assert [len(shape(url)) > 100 for url in urls] == [True, True]


def test_the_key_of_prices_that_are_there_is_turned_round(database: str) -> None:
    """Their rows stay, and so does the table of their ERP (migration 0016)."""
    folder = REPOSITORY / "portal_db" / "migrations" / "versions"
    turned = (folder / "v0016_price_key_order.sql").read_text(encoding="utf-8")
    key = (
        "SELECT pg_get_indexdef(indexrelid) FROM pg_index "
        "WHERE indrelid = 'portal.price_mill'::regclass AND indisprimary"
    )
    with psycopg.connect(database) as connection:
        run = connection.execute
        run("ALTER TABLE portal.price DROP CONSTRAINT price_pkey")
        run("ALTER TABLE portal.price ADD PRIMARY KEY (erp, header_key, min_qty)")
        run("SELECT portal.ensure_price_partition('mill')")
        run(
            "INSERT INTO portal.price (erp, header_key, level, dealer_scope, product_scope, "
            "currency, per, min_qty, valid_from, dealer_erp, product_erp, batch_id, record_no, "
            "row_hash, as_of) SELECT 'mill', 'H' || n, 'list', 'all', 'all', 'EUR', 1, 1, "
            "'2026-01-01', 'mill', 'mill', 1, n, n, now() FROM generate_series(1, 3) n"
        )
        assert "(erp, header_key, min_qty)" in str(run(key).fetchone())
        run(turned)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  a file of ours
        assert "(header_key, min_qty, erp)" in str(run(key).fetchone())
        assert run("SELECT count(*) FROM portal.price WHERE erp = 'mill'").fetchone() == (3,)
