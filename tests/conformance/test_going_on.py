"""A read that was interrupted goes on behind the page it had (CUR-8): plain REST and SFTP.

OData's pages stand in test_cursors_kept.py. A SOAP search lives in its ERP's session: it begins
anew (SOAP-11).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from connectors.protocol import End, Page
from mappings.errors import Misconfigured, SourceChanged, Transient
from sandbox.rest import RestErp
from tests.conformance.practice_rest import connection, drain, items, keys, question, rest
from tests.conformance.sftp_server import Folder, served, source
from tests.conformance.test_rest_paging import STYLES
from tests.sync.far_side import csv_feed
from tests.sync.world import World

ALL = [f"A{n:05}" for n in range(1, 46)]


@pytest.fixture(scope="module")
def server() -> Iterator[RestErp]:
    with RestErp() as one:
        yield one


@pytest.fixture
def erp(server: RestErp) -> RestErp:
    server.reset({"prices": items(45)})
    return server


@pytest.mark.parametrize(("style", "words"), STYLES[:-1])
def test_CUR_8_every_kind_of_paging_goes_on_behind_a_page(
    erp: RestErp, style: str, words: dict[str, Any]
) -> None:
    asked = question(f"{style}/prices", cursor="changed", **words)
    with rest(erp) as connector:
        whole, end = drain(connector.read(asked, None))
    for count in range(1, len(whole)):
        after = whole[count - 1].after
        assert after is not None
        erp.requests.clear()
        with rest(erp) as connector:
            others, same_end = drain(connector.resume(asked, None, after))
        assert keys([*whole[:count], *others], asked.records) == ALL
        assert [page.name for page in others] == [page.name for page in whole[count:]]
        assert same_end == End(
            end.complete, end.reason, end.cursor, end.declared, same_end.server_at
        )
        assert len(erp.requests) == len(whole) - count
    assert whole[-1].after is None


def test_CUR_8_periods_go_on_at_the_next_one_and_a_closed_one_begins_anew(erp: RestErp) -> None:
    erp.records["prices"] = [{**one, "period": str(2025 + n % 2)} for n, one in enumerate(items(6))]
    values = [{"value": "2025", "ends": "2026-03-31"}, {"value": "2026"}]
    asked = question("whole/prices", each={"parameter": "period", "values": values})

    def read(today: date, after: str | None = None) -> list[Page]:
        with rest(erp, today=lambda: today) as connector:
            if after is None:
                return drain(connector.read(asked, None))[0]
            return drain(connector.resume(asked, None, after))[0]

    first, second = read(date(2026, 3, 31))
    assert (second.after, first.after is None) == (None, False)
    assert keys(read(date(2026, 4, 1), first.after)) == keys([second])  # 2026 is read as before
    erp.faults.arm("maintenance", where="period=2026", times=9)
    early = question(
        "page/prices",
        page={"by": "page", "page": "page", "limit": "limit", "size": 2},
        each={"parameter": "period", "values": values},
    )
    with rest(erp, today=lambda: date(2026, 3, 31)) as connector:
        inside = next(connector.read(early, None))
    with rest(erp, today=lambda: date(2026, 4, 1)) as connector, pytest.raises(Misconfigured) as no:
        drain(connector.resume(early, None, str(inside.after)))
    assert no.value.code == "place"  # the engine then reads it from its beginning


def test_CUR_8_a_place_that_would_hold_a_secret_is_none(erp: RestErp) -> None:
    erp.doors.way = "none"
    where = connection(erp, sign_in="api_key", api_key="token-7777", api_key_query="key")
    asked = question("link/prices", page={"by": "link"}, records=".")
    with rest(where) as connector:
        pages, _ = drain(connector.read(asked, None))
    assert len(pages) > 1
    assert all(page.after is None for page in pages)  # the ERP repeats the key in its links


# --- files ----------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    with served(tmp_path / "far") as found:
        yield found


def test_CUR_8_files_that_had_landed_are_not_fetched_again(world: World, folder: Folder) -> None:
    for number in range(1, 131):
        folder.put(f"p_{number:03}.csv", b"key;price\nA;1.00\n", age=60)
    feed = csv_feed("prices", ())
    feed["source"] |= {"files": "out/p_*.csv", "order": r"p_(\d+)", "pick": "all"}
    feed["source"].pop("marker")
    feed["source"]["format"].pop("trailer")
    world.map("shelf", {"prices": feed})
    where = folder.connection()
    entry = {"conn_type": "sftp", "host": where.host, "port": where.port, "login": where.login}
    world.connect("shelf", {**entry, "password": where.password, "extra": dict(where.extra)})
    folder.faults.arm("hang", where="p_120", times=None, seconds=0.01)
    with pytest.raises(Transient):
        world.pull("shelf", "prices")
    ((noted, places),) = world.sql(
        "SELECT count(*), count(*) FILTER (WHERE going_on ? 'after') FROM sync.batch_page"
    )
    assert (noted, places) == (100, 1)  # one place for a hundred files, each with its hash

    folder.faults.disarm()
    batch_id = world.pull("shelf", "prices")
    assert world.sql("SELECT id, state, pages FROM sync.batch") == [(batch_id, "landed", 130)]
    manifest = world.ctx.landing.read_manifest(f"shelf/prices/{batch_id}")
    assert [page["name"] for page in manifest["pages"]] == [f"p_{n:03}.csv" for n in range(1, 131)]


def test_CUR_8_files_that_became_others_are_all_read_again(folder: Folder) -> None:
    for number in range(1, 104):
        folder.put(f"p_{number:03}.csv", age=60)
    asked = source(pick="all", order=r"p_(\d+)")
    with folder.connector() as connector:
        pages: list[Page] = []
        walk = connector.read(asked, None)
        while not pages or pages[-1].after is None:
            pages.append(next(walk))
        walk.close()
    assert len(pages) == 100
    after = str(pages[-1].after)
    with folder.connector() as connector:
        others, end = drain(connector.resume(asked, None, after))
    assert [page.name for page in others] == ["p_101.csv", "p_102.csv", "p_103.csv"]
    assert (end.complete, end.cursor) == (True, "p_103.csv")
    folder.put("p_007.csv", b"A\n1\n2\n", age=60)
    with folder.connector() as connector, pytest.raises(SourceChanged) as changed:
        drain(connector.resume(asked, None, after))
    assert changed.value.code == "place"
