"""The auditor's pages: each shows what the engine kept, masks people by role, and is on record."""

from __future__ import annotations

import csv
import io
import threading
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from mappings.private_files import make_home
from review.spreadsheet import cell
from review.veil import Veil
from review.web.app import make_app
from review.web.explained import marked
from review.web.render import counted, exact, key_text, number
from sync.anchoring import seal_and_anchor
from tests.review.web.browser import Browser, StandInGate
from tests.sync.conftest import world
from tests.sync.far_side import dealer, dealers, page_feed
from tests.sync.world import World

__all__ = ["world"]
PERSON = "Ayşe Yılmaz"


@pytest.fixture
def desk(world: World) -> Iterator[tuple[World, Browser, Browser]]:
    """Two runs with a bad dealer in the first; an auditor's and an operator's browser."""
    world.map("forge", {"customers": page_feed("customers")})
    for rows in ([*dealers(*range(9)), dealer("=X", status="=odd")], [*dealers(*range(10))]):
        world.forge.put("dealer", rows)
        world.sync("forge", "customers")
    make_home(world.settings)
    app = make_app(world.settings, StandInGate())
    yield world, Browser(app, "aylin:auditor"), Browser(app, "olga:operator")
    app.state.desk.close()


def test_AUD_3_every_page_is_there_for_an_auditor_and_each_look_is_on_record(
    desk: tuple[World, Browser, Browser],
) -> None:
    world, auditor, _ = desk
    run_id = world.one("SELECT min(id) FROM sync.run")
    check = {"part": "dealer", "check": "status_unknown", "judge": "mask"}
    (check["check"],) = next(
        iter(world.sql("SELECT check_id FROM sync.check_failure WHERE judge = 'mask'"))
    )
    pages = {
        "/quality": "forge / customers",
        "/quality/forge/customers?days=400": check["check"],
        "/quality/forge/customers/check?part=dealer&judge=mask&check=" + check["check"]: "10",
        f"/failing-rows/{run_id}": "=odd",
        "/reconciliation": f"{run_id} forge / customers",
        f"/reconciliation/{run_id}": "Control totals",
        "/parity": "Parity",
        "/explain?table=dealer&key=forge+D1": "SHA-256 verified",
        "/explain?table=dealer&key=forge+NONE": "",
        "/audit": "Is it untouched?",
        "/audit/export": "Signed pack",
        "/figures": "Figures",
    }
    for path, text in pages.items():
        answer = auditor.get(path)
        assert answer.status_code == (404 if "NONE" in path else 200), (path, answer.text[:800])
        assert text in answer.text, path
    assert auditor.get("/reconciliation/999").status_code == 404
    looked = [s for (s,) in world.sql("SELECT subject FROM sync.audit WHERE actor = 'aylin'")]
    for subject in ("quality", "quality forge/customers", f"run {run_id}", "reconciliation",
                    "parity", "explain dealer", "audit", "figures"):  # fmt: skip
        assert subject in looked, subject


def test_AUD_3_what_is_kept_as_a_file_starts_no_formula_and_is_on_record(
    desk: tuple[World, Browser, Browser],
) -> None:
    world, auditor, _ = desk
    run_id = world.one("SELECT min(id) FROM sync.run")
    for path in ("/quality", "/quality/forge/customers", f"/failing-rows/{run_id}",
                 "/reconciliation", f"/reconciliation/{run_id}", "/audit", "/figures"):  # fmt: skip
        before = world.one("SELECT count(*) FROM sync.audit")
        answer = auditor.get(path, **{"as": "csv"})
        assert answer.headers["content-type"].startswith("text/csv"), path
        for row in csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))):
            for value in row:
                assert not value.startswith(("=", "@", "|", "\t")), (path, value)
        assert world.one("SELECT count(*) FROM sync.audit") == before + 1, path


def test_DLQ_11_an_auditor_sees_people_masked_an_operator_does_not(
    desk: tuple[World, Browser, Browser],
) -> None:
    world, auditor, operator = desk
    world.admin.execute(
        "INSERT INTO portal.dealer_contact (erp, dealer_key, key, name, email, batch_id, "
        "record_no, row_hash, as_of) SELECT erp, key, 'C1', %s, 'a@b.test', batch_id, record_no, "
        "row_hash, as_of FROM portal.dealer WHERE key = 'D1'",
        (PERSON,),
    )
    path = "/explain?table=dealer_contact&key=forge+D1+C1"
    seen, masked = operator.see(path), auditor.see(path)
    assert PERSON in seen
    assert PERSON not in masked
    assert "a@b.test" not in masked
    veil = Veil(world.settings, clear=False)
    one, again = (veil.value("dealer_contact", "name", PERSON) for _ in range(2))
    assert one == again != PERSON, "equal stays equal"
    assert veil.value("price", "unit_price", 12) == 12


def test_AUD_1_a_changed_line_shows_on_the_page(desk: tuple[World, Browser, Browser]) -> None:
    world, auditor, _ = desk
    auditor.see("/audit")
    assert "Nothing is sealed yet" in auditor.post("/audit/verify").text
    seal_and_anchor(world.ctx, everything=True)
    answer = auditor.post("/audit/verify")
    assert "Untouched" in answer.text
    world.admin.execute("ALTER TABLE sync.audit DISABLE TRIGGER ALL")
    world.admin.execute("UPDATE sync.audit SET actor = 'nobody' WHERE id = "
                        "(SELECT min(id) FROM sync.audit)")  # fmt: skip
    world.admin.execute("ALTER TABLE sync.audit ENABLE TRIGGER ALL")
    assert "NOT PROVEN" in auditor.post("/audit/verify").text


def test_a_pack_is_made_listed_and_taken(desk: tuple[World, Browser, Browser]) -> None:
    world, auditor, _ = desk
    auditor.see("/audit/export")
    today = datetime.now(UTC).date().isoformat()
    auditor.do("/audit/export", {"from": today, "to": today})
    for thread in threading.enumerate():
        if thread.name == "audit-pack":
            thread.join(60)
    compact = today.replace("-", "")
    listed = auditor.see("/audit/export")
    (name,) = {p.name for p in (world.settings.home / "packs").iterdir()}
    assert name.startswith(f"waybill-audit-{compact}-")
    assert name in listed
    taken = auditor.get(f"/audit/export/{name}")
    with zipfile.ZipFile(io.BytesIO(taken.content)) as archive:
        assert "verify.py" in archive.namelist()
    assert auditor.get("/audit/export/..%2Fsecrets").status_code == 404
    assert auditor.post("/audit/export", {"from": today, "to": "x"}).status_code == 409
    told = [d for (d,) in world.sql("SELECT detail FROM sync.audit WHERE subject = 'audit export'")]
    assert any("downloaded" in one for one in told)


def test_numbers_are_exact_and_end_where_they_end() -> None:
    shown = {"12.500000": "12.5", "1234.000000": "1,234", "0.000001": "0.000001", "-3.10": "-3.1"}
    assert {text: number(Decimal(text)) for text in shown} == shown
    amounts = {"12.5000": "12.50", "1234": "1,234.00", "0.0001": "0.0001", "-7.00": "-7.00"}
    assert {text: exact(Decimal(text), 2) for text in amounts} == amounts
    assert [counted(n, "record") for n in (0, 1, 2000)] == [
        "0 records",
        "1 record",
        "2,000 records",
    ]
    assert [key_text(one) for one in ("A|1.5", r"A\|B|C", "unreadable:7", None)] == [
        "A 1.5", "A|B C", "without a readable key", "without a readable key",
    ]  # fmt: skip


def test_a_value_is_marked_where_it_stands_alone() -> None:
    text = "12;ab12;0012;12;x"
    assert marked(text, ["12"]) == [("", False), ("12", True), (";ab12;0012;12;x", False)]
    assert "".join(t for t, _ in marked("<a>A1</a>", ["A1", "A"])) == "<a>A1</a>"
    assert cell("=1") == "'=1"
