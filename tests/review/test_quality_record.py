"""Every check's result is kept per run, with the rows that failed and how many there were."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mappings.errors import Misconfigured
from portal_db.check_results import KEPT
from review.data_docs import build
from tests.sync.far_side import dealers, page_feed
from tests.sync.world import World


@pytest.fixture
def judged(world: World) -> tuple[World, int]:
    """A run of 400 dealers, 130 of which have an impossible status."""
    guards = {"rejected_share": "1"}
    world.map("forge", {"customers": page_feed("customers", guards=guards)})
    rows = [{**one, "status": "=odd" if n < KEPT + 30 else "active"}
            for n, one in enumerate(dealers(*range(400)))]  # fmt: skip
    world.forge.put("dealer", rows)
    return world, world.run("forge", "customers").run_id


def test_DQ_2_failing_rows_are_kept_with_run_check_key_and_value_and_the_true_total(
    judged: tuple[World, int],
) -> None:
    world, run_id = judged
    (told,) = world.sql(
        "SELECT check_id, success, evaluated, failed, part FROM sync.check_result "
        "WHERE run_id = %s AND judge = 'mask' AND failed > 0",
        run_id,
    )
    assert told[1:] == (False, 400, KEPT + 30, "dealer")
    kept = world.sql(
        "SELECT n, record_no, key, field, value FROM sync.check_failure "
        "WHERE run_id = %s AND check_id = %s ORDER BY n",
        run_id,
        told[0],
    )
    assert len(kept) == KEPT, "capped; the true total stands with the result"
    assert kept[0] == (1, 1, "D0", "status", "=odd")
    (share,) = world.sql(
        "SELECT value, field FROM sync.check_failure WHERE run_id = %s AND judge = 'batch'", run_id
    )
    assert (float(share[0]), share[1]) == (0.325, "rejected_share")


def test_a_held_batch_keeps_the_rows_that_held_it(world: World) -> None:
    world.map("forge", {"customers": page_feed("customers")})
    world.forge.put("dealer", [{**one, "status": "odd"} for one in dealers(*range(300))])
    held = world.run("forge", "customers")
    assert held.state == "held"
    assert world.one("SELECT count(*) FROM sync.check_failure WHERE judge = 'mask'") == KEPT


def test_rates_per_day_are_those_of_the_results(judged: tuple[World, int]) -> None:
    world, _ = judged
    world.forge.put("dealer", dealers(*range(400)))
    world.run("forge", "customers")
    counted = (
        "count(*) FILTER (WHERE c.success), count(*) FILTER (WHERE NOT c.success), "
        "count(*) FILTER (WHERE c.success IS NULL), sum(c.evaluated), sum(c.failed), max(c.run_id)"
    )
    found = world.sql(
        f"SELECT r.erp, r.feed, c.part, c.check_id, c.judge, {counted} FROM sync.check_result c "
        "JOIN sync.run r ON r.id = c.run_id GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5"
    )
    kept = world.sql(
        "SELECT erp, feed, part, check_id, judge, runs_passed, runs_failed, runs_not_evaluated, "
        "evaluated, failed, last_run FROM sync.check_day ORDER BY 1, 2, 3, 4, 5"
    )
    assert kept == found
    assert any(row[5] and row[6] for row in kept), "one check failed once and passed once"


def test_data_docs_of_a_period_are_great_expectations_own(
    judged: tuple[World, int], tmp_path: Path
) -> None:
    world, run_id = judged
    now = datetime.now(UTC)
    day = timedelta(days=1)
    made = build(world.ctx, now - day, now + day, tmp_path / "docs", actor="aylin")
    assert made.runs == 1
    (page,) = (tmp_path / "docs" / "validations").rglob("*.html")
    text = page.read_text()
    assert f"run-{run_id}" in str(page)
    assert f"{KEPT + 30} of 400 failed" in text
    assert world.one("SELECT count(*) FROM sync.audit WHERE subject = 'data docs'") == 1
    with pytest.raises(Misconfigured, match="not empty"):
        build(world.ctx, now - day, now + day, tmp_path / "docs", actor="aylin")
