"""Row-level security: a dealer sees its own, and without a dealer nobody sees anything (7)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from mappings.feeds import PARTS

Connection = psycopg.Connection[Any]


@pytest.fixture
def admin(database: str) -> Iterator[Connection]:
    """A superuser's connection."""
    with psycopg.connect(database, autocommit=True) as one:
        yield one


@pytest.fixture
def portal(database: str) -> Iterator[Connection]:
    """A connection as the portal has it."""
    with psycopg.connect(database, autocommit=True) as one:
        one.execute("SET ROLE waybill_portal_app")
        yield one


def dealer_owned(admin: Connection) -> set[str]:
    """Tables of schema portal that name a dealer or an account, partitions left out."""
    rows = admin.execute(
        "SELECT DISTINCT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "JOIN pg_attribute a ON a.attrelid = c.oid WHERE n.nspname = 'portal' "
        "AND c.relkind IN ('r', 'p') AND NOT c.relispartition "
        "AND a.attname IN ('dealer_key', 'account_key', 'portal_dealer_id')"
    ).fetchall()
    return {str(name) for (name,) in rows}


UNREADABLE = {"price", "catalogue_grant"}
"""Name dealers in columns of another meaning (groups too); the portal may not read them at all."""


def test_every_dealer_owned_table_has_forced_row_security(admin: Connection) -> None:
    """Enumerated from the catalogue: a new table with a dealer in it cannot be forgotten."""
    forced = {
        str(name)
        for (name,) in admin.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = 'portal' AND c.relrowsecurity AND c.relforcerowsecurity"
        ).fetchall()
    }
    assert dealer_owned(admin) - UNREADABLE <= forced
    assert {p.name for p in PARTS.values() if p.owned} <= forced
    for name in UNREADABLE:
        may = "SELECT has_table_privilege('waybill_portal_app', %s, 'SELECT')"
        assert admin.execute(may, (f"portal.{name}",)).fetchone() == (False,)


def fill(admin: Connection, table: str, values: dict[str, object]) -> None:
    """One row; what is required and not given gets something of its type."""
    columns = admin.execute(
        "SELECT column_name, data_type, is_nullable = 'NO' AND column_default IS NULL "
        "AND is_identity = 'NO' FROM information_schema.columns WHERE table_schema = 'portal' "
        "AND table_name = %s",
        (table,),
    ).fetchall()
    given = dict(values)
    samples: dict[str, object] = {
        "text": "x", "bigint": 1, "numeric": 1, "date": "2026-01-01", "boolean": False,
        "timestamp with time zone": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    for name, kind, needed in columns:
        if needed and name not in given:
            given[name] = samples[kind]
    if table == "document":
        given["state"] = "present"
    known = {name for name, _, _ in columns}
    given = {name: value for name, value in given.items() if name in known}
    admin.execute(
        sql.SQL("INSERT INTO portal.{} ({}) VALUES ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, given)),
            sql.SQL(", ").join([sql.Placeholder()] * len(given)),
        ),
        list(given.values()),
    )


@pytest.fixture
def two_dealers(admin: Connection) -> dict[str, int]:
    """D1 of mill, who pays for itself, and D2 of mill; a row of each in every owned table.

    D1 also owns F1 of forge. Returns dealer → portal dealer.
    """
    ids = {"D1": 101, "D2": 102}
    owned = [
        ("mill", "D1", 101), ("forge", "F1", 101), ("mill", "D2", 102),
    ]  # fmt: skip
    for erp, key, portal_id in owned:
        admin.execute(
            "INSERT INTO portal.dealer_account (erp, dealer_key, portal_dealer_id) "
            "VALUES (%s, %s, %s)",
            (erp, key, portal_id),
        )
        fill(admin, "dealer", {"erp": erp, "key": key, "account_key": key})
        for part in PARTS.values():
            if not part.owned or part.name == "dealer":
                continue
            row: dict[str, object] = dict.fromkeys(part.key, f"{part.name}-{key}")
            for name in part.key:
                if part.field(name).type in {"date", "int"}:
                    row.pop(name)
            row |= {"erp": erp, "dealer_erp": erp, "dealer_key": key, "account_key": key}
            fill(admin, part.name, row)
    return ids


def seen(portal: Connection, table: str) -> int:
    """How many rows of a table this connection sees."""
    query = sql.SQL("SELECT count(*) FROM portal.{}").format(sql.Identifier(table))
    row = portal.execute(query).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.usefixtures("two_dealers")
def test_without_a_dealer_nothing_is_seen(portal: Connection) -> None:
    """Fails closed: no setting, an empty one, one that is nobody."""
    names = [p.name for p in PARTS.values() if p.owned] + ["dealer_account"]
    assert {name: seen(portal, name) for name in names} == dict.fromkeys(names, 0)
    for setting in ("", "999"):
        portal.execute("SELECT set_config('app.dealer', %s, false)", (setting,))
        assert {name: seen(portal, name) for name in names} == dict.fromkeys(names, 0)


def test_a_dealer_sees_exactly_its_own(portal: Connection, two_dealers: dict[str, int]) -> None:
    """Of every ERP whose account it owns, and of nobody else."""
    names = [p.name for p in PARTS.values() if p.owned] + ["dealer_account"]
    for dealer, rows in (("D1", 2), ("D2", 1)):
        portal.execute("SELECT set_config('app.dealer', %s, false)", (str(two_dealers[dealer]),))
        assert {name: seen(portal, name) for name in names} == dict.fromkeys(names, rows)
        keys = portal.execute("SELECT dealer_key FROM portal.sales_order ORDER BY 1").fetchall()
        assert keys == ([("D1",), ("F1",)] if dealer == "D1" else [("D2",)])


def test_the_same_key_in_another_erp_is_another_dealer(
    admin: Connection, portal: Connection, two_dealers: dict[str, int]
) -> None:
    """Equal text never merges two ERPs' records."""
    fill(admin, "invoice", {"erp": "forge", "key": "I9", "dealer_erp": "forge", "account_key": "D1",
                            "dealer_key": "D1"})  # fmt: skip
    portal.execute("SELECT set_config('app.dealer', %s, false)", (str(two_dealers["D1"]),))
    assert seen(portal, "invoice") == 2


def test_the_setting_ends_with_its_transaction(
    portal: Connection, two_dealers: dict[str, int]
) -> None:
    """Set local, as the portal does: the next request of the pool starts with nobody."""
    with portal.transaction():
        portal.execute("SELECT set_config('app.dealer', %s, true)", (str(two_dealers["D2"]),))
        assert seen(portal, "dealer") == 1
    assert seen(portal, "dealer") == 0


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM portal.price",
        "SELECT * FROM portal.catalogue_grant",
        "SELECT * FROM sync.quarantine",
        "SELECT * FROM sync.batch",
        "UPDATE portal.invoice SET open_amount = 0",
        "DELETE FROM portal.invoice",
        "INSERT INTO portal.dealer_account (erp, dealer_key) VALUES ('a', 'b')",
        "UPDATE portal.dealer_account SET portal_dealer_id = 1",
        "CREATE TABLE portal.mine (a int)",
        "SELECT portal.ensure_price_partition('mill')",
        "ALTER TABLE portal.invoice DISABLE ROW LEVEL SECURITY",
    ],
)
def test_the_portal_may_not(portal: Connection, statement: str) -> None:
    """What is not granted is not allowed: prices, the engine's tables, writing."""
    with pytest.raises(InsufficientPrivilege):
        portal.execute(statement)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE sync.change SET op = 'insert'",
        "DELETE FROM sync.change",
        "UPDATE sync.attempt SET outcome = 'x'",
        "DELETE FROM sync.attempt",
        "UPDATE sync.audit SET actor = 'x'",
        "DELETE FROM sync.audit",
        "DELETE FROM sync.quarantine",
        "DELETE FROM sync.run",
        "DELETE FROM portal.invoice",
        "TRUNCATE portal.invoice",
    ],
)
def test_not_even_the_engine_may_rewrite_history(database: str, statement: str) -> None:
    """Append-only tables, and rows that are soft-deleted only."""
    with psycopg.connect(database, autocommit=True) as one:
        one.execute("SET ROLE waybill_sync")
        with pytest.raises(InsufficientPrivilege):
            one.execute(statement)  # type: ignore[arg-type]


def test_price_partitions_are_as_closed_as_their_parent(
    admin: Connection, portal: Connection
) -> None:
    """A partition made at run time gives nobody a way around."""
    admin.execute("SET ROLE waybill_sync")
    admin.execute("SELECT portal.ensure_price_partition('mill')")
    admin.execute("SELECT portal.ensure_price_partition('mill')")
    with pytest.raises(psycopg.errors.RaiseException):
        admin.execute("SELECT portal.ensure_price_partition('mill; DROP TABLE x')")
    admin.execute("RESET ROLE")
    with pytest.raises(InsufficientPrivilege):
        portal.execute("SELECT * FROM portal.price_mill")
