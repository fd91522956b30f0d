"""Bad input, the whole way: a clear error with its remedy, nothing lost, and a good night heals.

Every case starts from a portal after a good night. The practice ERPs misbehave by themselves;
nothing of the product is touched.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mappings.errors import Misconfigured, NotNow, SourceChanged, Transient, WaybillError
from mappings.private_files import change_connections
from mappings.settings import REPOSITORY, Settings
from portal_db import server
from portal_db.migrate import migrate
from sandbox.sftp import SftpErp
from sandbox.soap import SoapErp
from sync.context import Context
from sync.feed import sync_feed
from tests.flows.practice import GENERATED, PASSWORD, Practice

WRONG = "wr0ng-s3cret"
pytestmark = pytest.mark.timeout(240)


def live(practice: Practice, part: str, erp: str) -> list[tuple[Any, ...]]:
    """What the portal shows of one ERP's part, with the version of each row."""
    return practice.rows(
        f"SELECT xmin::text, t.* FROM portal.{part} t WHERE erp = %s ORDER BY 2, 3, 4", erp
    )


def refused(practice: Practice, kind: type[WaybillError], erp: str, feed: str) -> WaybillError:
    """The error of a feed that cannot run: it says where and what to do, and holds no secret."""
    part = {"stock": "stock", "prices": "price"}[feed]
    before = live(practice, part, erp)
    with pytest.raises(kind) as caught:
        practice.sync(erp, feed)
    error = caught.value
    assert str(error).startswith(f"{erp}/{feed}: ")
    assert error.remedy
    assert error.remedy in str(error)
    kept = practice.rows("SELECT state_reason FROM sync.batch") + practice.rows(
        "SELECT error::text FROM sync.run"
    )
    for said in (str(error), *(text for (text,) in kept if text)):
        assert PASSWORD not in said
        assert WRONG not in said
    assert live(practice, part, erp) == before
    assert practice.one(
        "SELECT state FROM sync.batch WHERE erp = %s AND feed = %s ORDER BY id DESC LIMIT 1",
        erp,
        feed,
    ) in {"abandoned", "landed"}
    return error


def heals(practice: Practice, erp: str, feed: str) -> None:
    """The next good night ends well: all is read, nothing waits for a person any more."""
    outcome = practice.sync(erp, feed)
    assert outcome.state == "done"
    counts = outcome.counts
    assert counts.read == counts.inserted + counts.updated + counts.unchanged
    assert counts.deleted == 0
    open_items = practice.one(
        "SELECT count(*) FROM sync.quarantine WHERE erp = %s AND feed = %s AND state = 'open'",
        erp,
        feed,
    )
    stale = practice.one(
        "SELECT count(*) FROM portal.price WHERE erp = %s AND stale_since IS NOT NULL", erp
    ) + practice.one(
        "SELECT count(*) FROM portal.stock WHERE erp = %s AND stale_since IS NOT NULL", erp
    )
    waiting = practice.one(
        "SELECT count(*) FROM sync.incident WHERE erp = %s AND closed_at IS NULL", erp
    )
    assert (open_items, stale, waiting) == (0, 0, 0)


# a mapping with a typo


@pytest.mark.parametrize(
    ("right", "wrong", "place", "hint"),
    [
        ("      unit_price: {", "      unit_prise: {", "unit_prise", "unit_price"),
        (
            "_FIYAT, through: [decimal_comma]",
            "_FIYAT, through: [decimal_coma]",
            "unit_price",
            "_comma",
        ),
        ("SEVIYE, lookup: seviye}", "SEVIYE, lookup: seviyye}", "level", "seviye"),
        ("    mode: snapshot\n", "    mode: snapshoot\n", "mode", "snapshot"),
    ],
    ids=["field", "step", "lookup", "value"],
)
def test_a_typo_in_a_mapping(
    practice: Practice, right: str, wrong: str, place: str, hint: str
) -> None:
    file = practice.settings.mappings[0] / "cedar.yaml"
    text = file.read_text(encoding="utf-8")
    assert right in text
    file.write_text(text.replace(right, wrong), encoding="utf-8")
    line = text[: text.index(right)].count("\n") + 1
    practice.forget()

    with pytest.raises(Misconfigured) as caught:
        practice.sync("cedar", "prices")
    said = str(caught.value)
    assert f"{file}:{line}:" in said
    assert place in said
    assert hint in said
    # one ERP's mapping is red, the others load; and put right it goes on
    assert practice.sync("birch", "prices").state == "done"
    file.write_text(text, encoding="utf-8")
    practice.forget()
    heals(practice, "cedar", "prices")


# an ERP that does not answer, or does not let us in


@pytest.mark.parametrize("erp", GENERATED)
def test_an_erp_that_is_down(practice: Practice, erp: str) -> None:
    there = practice.servers[erp].connection()
    extra = there["extra"]
    assert isinstance(extra, dict)
    moved = {name: re.sub(r":\d+/", ":1/", str(value)) for name, value in extra.items()}
    practice.connect(erp, port=1, extra=moved)
    error = refused(practice, Transient, erp, "stock")
    assert "127.0.0.1:1" in str(error)
    practice.connect(erp)
    heals(practice, erp, "stock")


@pytest.mark.parametrize("erp", GENERATED)
def test_a_wrong_password_is_tried_once(practice: Practice, erp: str) -> None:
    extra = practice.servers[erp].connection()["extra"]
    assert isinstance(extra, dict)
    if erp == "birch":
        practice.connect(erp, extra={**extra, "client_secret": WRONG})
    else:
        practice.connect(erp, password=WRONG)
    before = tries(practice, erp)
    error = refused(practice, Misconfigured, erp, "stock")
    assert error.code == "auth"
    assert f'connection "{erp}"' in str(error)
    assert tries(practice, erp) == before + 1
    practice.connect(erp)
    heals(practice, erp, "stock")


def tries(practice: Practice, erp: str) -> int:
    """How often someone asked to be let in."""
    if erp == "anvil":
        return sum(name != "wsdl" for name in practice.soap.requests)
    if erp == "birch":
        return practice.odata.sign_ins
    return practice.sftp.sign_ins


def test_a_changed_host_key(practice: Practice, tmp_path: Path) -> None:
    extra = practice.sftp.connection()["extra"]
    assert isinstance(extra, dict)
    before = tries(practice, "cedar")
    other = SftpErp(
        practice.sftp.dataset, user="x", password="x", folder=tmp_path / "other"
    )  # never started: only its key is wanted
    practice.connect("cedar", extra={**extra, "host_key": other.host_key_line})
    error = refused(practice, Misconfigured, "cedar", "stock")
    assert error.code == "security"
    assert "host key" in str(error)
    assert tries(practice, "cedar") == before  # a stranger is told no password
    practice.connect("cedar")
    heals(practice, "cedar", "stock")


# what does not come whole


@pytest.mark.parametrize("erp", ["anvil", "birch"])
@pytest.mark.parametrize("fault", ["truncated", "drop"])
def test_an_answer_that_is_cut_off(practice: Practice, erp: str, fault: str) -> None:
    where = {"anvil": "GetConditionList", "birch": "SalesPrices"}[erp]
    practice.servers[erp].faults.arm(fault, times=None, where=where)
    error = refused(practice, Transient, erp, "prices")
    assert where in str(error)
    practice.servers[erp].faults.disarm()
    heals(practice, erp, "prices")


@pytest.mark.parametrize(
    ("fault", "guard", "says"),
    [
        ("truncated", "truncated", "ends in the middle"),
        ("bad_trailer", "trailer", "the trailer declares 91 records, 90 came"),
        ("empty", "empty", "The extract is empty"),
    ],
)
def test_a_file_that_contradicts_itself_is_held(
    practice: Practice, fault: str, guard: str, says: str
) -> None:
    before = live(practice, "price", "cedar")
    practice.sftp.faults.arm(fault, times=None)
    next_file(practice)
    outcome = practice.sync("cedar", "prices")
    assert outcome.state == "held"
    (stop,) = outcome.stops
    assert stop["guard"] == guard
    assert says in stop["says"]
    assert live(practice, "price", "cedar") == before
    (state, landing) = practice.rows(
        "SELECT state, landing FROM sync.batch WHERE id = %s", outcome.batch_id
    )[0]
    assert state == "held"
    assert list((Path(practice.settings.landing) / landing).iterdir())  # the evidence is kept
    practice.sftp.faults.disarm()
    heals(practice, "cedar", "prices")
    assert practice.one("SELECT state FROM sync.batch WHERE id = %s", outcome.batch_id) == (
        "superseded"
    )


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [("growing", Transient, "changed"), ("no_marker", NotNow, "no_marker")],
)
def test_a_file_that_is_still_being_written(
    practice: Practice, fault: str, kind: type[WaybillError], code: str
) -> None:
    next_file(practice)
    practice.sftp.faults.arm(fault, times=None)
    error = refused(practice, kind, "cedar", "prices")
    assert error.code == code
    assert "prices_2026" in str(error)
    practice.sftp.faults.disarm()
    heals(practice, "cedar", "prices")


def test_a_column_of_another_name(practice: Practice) -> None:
    next_file(practice)
    practice.sftp.faults.arm("schema_changed", times=None)
    before = live(practice, "price", "cedar")
    with pytest.raises(SourceChanged) as caught:
        practice.sync("cedar", "prices")
    assert "BIRIM_FIYAT" in str(caught.value)
    assert "YENI_BIRIM_FIYAT" in str(caught.value)  # the closest word
    assert live(practice, "price", "cedar") == before
    practice.sftp.faults.disarm()
    next_file(practice)
    heals(practice, "cedar", "prices")


def next_file(practice: Practice) -> None:
    """The file ERP exports anew: files of the next day, the same data."""
    practice.sftp.dataset = practice.sftp.dataset


# bad records


@pytest.mark.parametrize("erp", GENERATED)
def test_bad_records_are_quarantined_alone(practice: Practice, erp: str) -> None:
    where = {"anvil": "GetConditionList", "birch": "SalesPrices", "cedar": "prices_"}[erp]
    practice.servers[erp].faults.arm("bad_rows", times=None, where=where)
    before = practice.one("SELECT count(*) FROM portal.price WHERE erp = %s", erp)
    if erp == "cedar":
        next_file(practice)
        without_total(practice)
    outcome = practice.sync(erp, "prices")
    counts = outcome.counts
    assert outcome.state == "done"
    assert counts.read == before
    assert counts.read == counts.unchanged + counts.quarantined
    items = practice.rows(
        "SELECT key, code, reasons->0->>'field', reasons->0->>'raw', raw FROM sync.quarantine "
        "WHERE erp = %s AND state = 'open'",
        erp,
    )
    assert len(items) == counts.quarantined
    # a row with a missing key, a bad number, an impossible date: each with what came
    assert {"header_key_missing", "not_a_number", "not_a_date"} <= {code for _, code, *_ in items}
    for key, code, field, raw, record in items:
        assert record
        if code in {"not_a_number", "not_a_date"}:
            assert field
            assert raw
            assert raw in record
        if code == "header_key_missing":
            assert key.startswith("unreadable:")
    # nothing vanished; the rows whose newer version is bad say that they are old
    assert counts.deleted == 0
    assert (
        practice.one("SELECT count(*) FROM portal.price WHERE erp = %s AND deleted_at IS NULL", erp)
        == before
    )
    stale = {
        key
        for (key,) in practice.rows(
            "SELECT header_key || '|' || min_qty FROM portal.price "
            "WHERE erp = %s AND stale_since IS NOT NULL",
            erp,
        )
    }
    assert stale == {key for key, *_ in items if not key.startswith("unreadable:")}
    practice.servers[erp].faults.disarm()
    if erp == "cedar":
        next_file(practice)
    heals(practice, erp, "prices")


def without_total(practice: Practice) -> None:
    """A row without a readable amount leaves the control total unproven: the file is held, and the
    reason names the row. Whoever wants the rest of it has to give the total up.
    """
    outcome = practice.sync("cedar", "prices")
    assert (outcome.state, outcome.stops[0]["guard"]) == ("held", "trailer")
    assert "cannot be proven: record 2 cannot be read" in outcome.stops[0]["says"]
    mapping = practice.settings.mappings[0] / "cedar.yaml"
    text = mapping.read_text(encoding="utf-8")
    assert "total: 3, total_of: BIRIM_FIYAT, " in text
    mapping.write_text(text.replace("total: 3, total_of: BIRIM_FIYAT, ", ""), encoding="utf-8")
    practice.forget()
    next_file(practice)


def test_a_duplicate_key_in_one_batch(practice: Practice) -> None:
    """Twice the same record: one counts as superseded. Twice the key with two prices: neither."""
    price = practice.sftp.dataset["price"]
    amounts = pc.is_valid(price["unit_price"])
    two = price.filter(amounts).slice(0, 2)
    keys = two["header_key"].to_pylist(), two["min_qty"].to_pylist()
    dearer = two.slice(1, 1).set_column(
        two.schema.get_field_index("unit_price"),
        two.schema.field("unit_price"),
        pa.array([two["unit_price"][1].as_py() + Decimal("0.01")], pa.decimal128(18, 6)),
    )
    good = practice.sftp.dataset
    practice.sftp.dataset = good.replace(price=pa.concat_tables([price, two.slice(0, 1), dearer]))
    before = live(practice, "price", "cedar")
    outcome = practice.sync("cedar", "prices")
    assert outcome.state == "done"
    assert outcome.counts.read == price.num_rows + 2
    assert (outcome.counts.superseded, outcome.counts.quarantined) == (1, 2)
    assert outcome.counts.deleted == 0
    (item,) = practice.rows(
        "SELECT code, key FROM sync.quarantine WHERE erp = 'cedar' AND state = 'open'"
    )
    assert item[0] == "duplicate_key"
    assert item[1].startswith(f"{keys[0][1]}|")
    # the price that two versions claim stays what it was, marked old
    stale = practice.rows(
        "SELECT header_key, unit_price FROM portal.price WHERE stale_since IS NOT NULL"
    )
    assert stale == [(keys[0][1], two["unit_price"][1].as_py())]
    assert len(live(practice, "price", "cedar")) == len(before)
    practice.sftp.dataset = good
    heals(practice, "cedar", "prices")


# our own side fails


_SYNC = """
import resource, sys
from mappings.errors import WaybillError
from mappings.settings import Settings
from sync.context import Context
from sync.feed import sync_feed
import json
resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))  # no file may grow: as on a full disk
settings = Settings.read(json.loads(sys.argv[1]))
with Context.open(settings) as ctx:
    try:
        sync_feed(ctx, "cedar", "prices")
    except WaybillError as error:
        sys.stdout.write(json.dumps([type(error).__name__, error.code, str(error)]))
"""


def test_a_full_disk_at_the_landing_store(practice: Practice) -> None:
    before = live(practice, "price", "cedar")
    next_file(practice)
    own = practice.settings
    environment = {
        "WAYBILL_HOME": str(own.home),
        "WAYBILL_DATABASE_URL": own.database_url,
        "WAYBILL_MAPPINGS": str(own.mappings[0]),
    }
    done = subprocess.run(
        [sys.executable, "-B", "-c", _SYNC, json.dumps(environment)],
        capture_output=True,
        cwd=REPOSITORY,
        text=True,
        timeout=60,
        check=False,
    )
    kind, code, said = json.loads(done.stdout or done.stderr)
    assert (kind, code) == ("Misconfigured", "disk_full")
    assert said.startswith("cedar/prices: the landing store ")
    assert own.landing in said
    assert "is full. Free space" in said
    assert live(practice, "price", "cedar") == before
    (state, landing, batch) = practice.rows(
        "SELECT state, landing, id FROM sync.batch WHERE erp = 'cedar' AND feed = 'prices' "
        "ORDER BY id DESC LIMIT 1"
    )[0]
    assert (state, landing) == ("abandoned", None)
    folder = Path(own.landing) / "cedar" / "prices" / str(batch)
    assert not folder.exists()  # what it could write is not left lying about
    heals(practice, "cedar", "prices")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "crash"), [("pull", False), ("read", True), ("compare", True), ("apply", False)]
)
def test_a_database_that_restarts_in_the_middle(
    server_home: Path, tiny: Any, step: str, *, crash: bool
) -> None:
    """Shut down and started, or killed and recovered: then the staging tables are empty."""
    url = server.start(server_home)
    migrate(url)
    settings = Settings.read({}, home=server_home, mappings=(REPOSITORY / "mappings" / "erps",))
    erp = SoapErp(tiny, user="waybill", password=PASSWORD)
    erp.start()
    change_connections(settings, {"anvil": erp.connection()})
    restarts = []

    restart_at = step

    def restart(step: str, done: int, total: int | None) -> None:
        del done, total
        if step == restart_at and not restarts:
            restarts.append(step)
            there = server.running(server_home)
            assert there is not None
            if crash:
                os.kill(there.pid, signal.SIGKILL)
            else:
                server.stop(server_home)
            server.start(server_home)

    try:
        with Context.open(settings) as ctx:
            with pytest.raises(Transient) as caught:
                sync_feed(ctx, "anvil", "customers", progress=restart)
            assert str(caught.value).startswith("anvil/customers: ")
            assert "database" in str(caught.value)
            assert caught.value.remedy
            with ctx.connection() as connection:
                assert connection.execute("SELECT count(*) FROM portal.dealer").fetchone() == (0,)
            # the same process goes on: the next try finds everything as it must be
            outcome = sync_feed(ctx, "anvil", "customers")
            assert outcome is not None
            assert outcome.state == "done"
            assert outcome.counts.inserted == outcome.counts.read
            with ctx.connection() as connection:
                dealers = connection.execute("SELECT count(*) FROM portal.dealer").fetchone()
                assert dealers == (tiny["dealer"].num_rows,)
                left = connection.execute(
                    "SELECT count(*) FROM pg_tables WHERE schemaname = 'staging'"
                ).fetchone()
                assert left == (0,)
                running = connection.execute(
                    "SELECT count(*) FROM sync.run WHERE state = 'running'"
                ).fetchone()
                assert running == (0,)
    finally:
        erp.stop()
