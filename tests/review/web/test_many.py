"""Pages cost the same however many items there are, and an outage is one row."""

from __future__ import annotations

import psycopg
import pytest

from portal_db import desk, desk_matters
from tests.review.web.browser import Browser
from tests.review.web.office import Office

ITEMS = 20_000
FILL = """
INSERT INTO sync.quarantine (erp, feed, part, key, batch_id, run_id, record_no, reasons, code, raw,
  raw_hash, fingerprint, shape, dealer, amount, currency)
SELECT 'erp1', 'invoices', 'invoice', 'I' || n, 1, 1, n, jsonb_build_array(
  jsonb_build_object('field', 'gross', 'says', 'is not a number', 'raw', '1O,' || n)),
  'not_a_number', '{}', n, 'f', md5((CASE WHEN n %% 2 = 0 THEN 0 ELSE n %% 100 END)::text),
  'D' || n %% 50, 2, 'EUR' FROM generate_series(1, %s) n
"""


@pytest.fixture(scope="module")
def crowd(module_database: str) -> str:
    """Many items, half of them of one group."""
    with psycopg.connect(module_database, autocommit=True) as connection:
        connection.execute(FILL, (ITEMS,))
        connection.execute("ANALYZE")
    return module_database


def test_DLQ_12_a_page_reads_what_it_shows_and_not_what_there_is(crowd: str) -> None:
    shape = "cfcd208495d565ef66e7dff9f98764da"  # of the large group: md5 of 0
    with psycopg.connect(crowd) as connection:
        found = desk.groups(connection, erp="erp1", sort="items", text="number", limit=20)
        assert found[0]["open_items"] == ITEMS // 2
        assert found[0]["dealers"] == 25
        assert found[0]["money"] == [(ITEMS, "EUR")]
        assert sum(found[0]["days"]) == ITEMS // 2
        first = desk.items(connection, shape, limit=50)
        deep = desk.items(connection, shape, after=first[-1]["id"] - 15_000, limit=50)
        assert [len(first), len(deep)] == [50, 50]
        assert desk.by_key(connection, "I777")[0]["key"].startswith("I777")
        assert desk_matters.counts(connection, [])["records"] == ITEMS
        row = connection.execute(
            "SELECT seq_scan, idx_tup_fetch FROM pg_stat_xact_user_tables "
            "WHERE schemaname = 'sync' AND relname = 'quarantine'"
        ).fetchone()
    assert row is not None
    assert row[0] == 0, "no page looks at every item"
    assert row[1] < 700


def test_DLQ_12_the_groups_say_what_the_items_say_through_every_change(crowd: str) -> None:
    """The counts are kept, not computed: so they are held against the items after each change."""
    changes = (
        "UPDATE sync.quarantine SET state = 'discarded' WHERE id %% 7 = 0",
        "UPDATE sync.quarantine SET retry_until = now() WHERE id %% 11 = 0",
        "UPDATE sync.quarantine SET shape = md5('moved'), attempts = 2 WHERE id %% 13 = 0",
        "UPDATE sync.quarantine SET amount = 5, dealer = 'D1' WHERE id %% 17 = 0",
        "UPDATE sync.quarantine SET state = 'open', retry_until = NULL WHERE id %% 7 = 0",
        "UPDATE sync.quarantine SET state = 'released' WHERE shape = md5('moved')",
        "DELETE FROM sync.quarantine WHERE id %% 5 = 0",
    )
    with psycopg.connect(crowd) as connection:
        for change in changes:
            connection.execute(change, ())  # type: ignore[arg-type]
            wrong = connection.execute(
                "SELECT count(*) FROM (SELECT shape, count(*) FILTER (WHERE retry_until IS NULL) "
                "AS o, count(*) FILTER (WHERE retry_until IS NOT NULL) AS w FROM sync.quarantine "
                "WHERE state = 'open' GROUP BY 1) q FULL JOIN (SELECT * FROM sync.quarantine_group "
                "WHERE open_items + waiting_items > 0) g USING (shape) WHERE q.o IS DISTINCT FROM "
                "g.open_items OR q.w IS DISTINCT FROM g.waiting_items"
            ).fetchone()
            assert wrong == (0,), change
            money = connection.execute(
                "SELECT (SELECT sum(amount) FROM sync.quarantine WHERE state = 'open'), "
                "(SELECT sum(amount) FROM sync.quarantine_dealer), "
                "(SELECT sum(open_items) FROM sync.quarantine_dealer), "
                "(SELECT count(*) FROM sync.quarantine WHERE state = 'open')"
            ).fetchone()
            assert money is not None
            assert money[0] == money[1], change
            assert money[2] == money[3], change
        state = connection.execute(
            "SELECT state FROM sync.quarantine_group WHERE shape = md5('moved')"
        ).fetchone()
        assert state == ("resolved",)
        connection.rollback()


def test_DLQ_10_an_outage_is_one_row_with_its_count(office: Office) -> None:
    world = office.world
    world.sql(
        "INSERT INTO sync.circuit (erp, state, says, openings) "
        "VALUES ('mill', 'open', 'does not answer', 1)"
    )
    world.sql(
        "INSERT INTO sync.outbox (kind, erp, reference, subject, lane, portal_dealer_id) "
        "SELECT 'order', 'mill', 'WB-' || translate(rpad(n::text, 26, 'A'), '0189', 'BCDE'), "
        "'s', 'l', 1 FROM generate_series(1, 40) n"
    )
    page = Browser(office.app, "olga:operator").see("/", kind="lanes")
    assert page.count("does not answer") == 1
    assert ">40</td>" in page
    assert "<b>1</b>paused lanes" in page
    world.sql("UPDATE sync.circuit SET state = 'closed'")
    assert "<b>0</b>paused lanes" in office.olga.see("/")
