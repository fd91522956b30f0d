"""400 days of 300 check results a day: the pages open from our own store, a record costs little."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from mappings.private_files import make_home
from mappings.settings import Settings
from portal_db import check_results
from review.web.app import make_app
from tests.review.web.browser import Browser, StandInGate

RUNS, CHECKS = 400 * 30, 10


@pytest.fixture
def year(settings: Settings) -> Iterator[psycopg.Connection]:
    """120,000 results of 12,000 runs, ending today."""
    assert settings.database_url is not None
    with psycopg.connect(settings.database_url, autocommit=True) as admin:
        admin.execute(
            "INSERT INTO sync.run (id, batch_id, erp, feed, state, started_at, mapping_sha256, "
            "fingerprint) SELECT n, n, 'acme', 'feed' || n %% 6, 'done', "
            "now() - make_interval(days => 399) + n * interval '399 days' / %s, 'x', 'f' "
            "FROM generate_series(1, %s) n",
            (RUNS, RUNS),
        )
        admin.execute(
            "INSERT INTO sync.check_result (run_id, part, check_id, judge, success, evaluated, "
            "failed, population, says) SELECT r.id, 'part', 'check_' || c, 'mask', r.id %% 20 > 0, "
            "1000, CASE WHEN r.id %% 20 = 0 THEN 7 ELSE 0 END, 'batch 1000', 'must be known' "
            "FROM sync.run r, generate_series(1, %s) c",
            (CHECKS,),
        )
        admin.execute("ANALYZE sync.run, sync.check_result, sync.check_day")
        yield admin


def seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def test_DQ_1_a_year_of_results_opens_in_two_seconds_and_a_check_adds_less_than_one(
    year: psycopg.Connection, settings: Settings
) -> None:
    make_home(settings)
    app = make_app(settings, StandInGate())
    auditor = Browser(app, "aylin:auditor")
    for path, text in (
        ("/quality?days=400", "acme / feed5"),
        ("/quality/acme/feed1?days=400", "check_10"),
        ("/quality/acme/feed2/check?part=part&check=check_3&judge=mask&days=400", "7"),
    ):
        auditor.see(path)
        assert min(seconds(lambda path=path: auditor.see(path)) for _ in range(3)) < 2, path
        assert text in auditor.see(path)
    judged = year.execute("SELECT sum(evaluated) FROM sync.check_day").fetchone()
    assert judged == (120_000_000,), "every result is in a day's sum"
    app.state.desk.close()
    results = [
        check_results.Result("part", f"new_{n}", "mask", True, 9, 0, "batch", "")
        for n in range(300)
    ]
    with year.transaction(force_rollback=True):
        spent = seconds(lambda: check_results.put(year, RUNS, results, []))
    assert spent < 1, "300 results together, not one of them"
