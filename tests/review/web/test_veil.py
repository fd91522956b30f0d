"""Personal values by role: by declared fields, one pseudonym a person, bytes but for the rest."""

from __future__ import annotations

import re

import pytest

from review.veil import Veil
from sync.people import Columns
from tests.review.web.office import Office
from tests.sync.far_side import dealer, dealers

pytestmark = pytest.mark.timeout(300)
NAME, MAIL = "Ayşe Yılmaz", "ayse.yilmaz@b.test"


@pytest.fixture(scope="module")
def one_person(office: Office) -> int:
    """A dealer who is one person, let in once and refused the night after; the item's id."""
    whose = {"name": NAME, "sales_rep_email": MAIL}
    for status in ("active", "odd"):
        rows = [*dealers(*range(20), sales_rep_email=""), dealer("P1", status=status, **whose)]
        office.world.mill.put("dealer", rows)
        office.world.run("mill", "customers")
    return office.world.items()["P1"]["id"]


def test_DLQ_11_a_person_has_one_pseudonym_on_every_page(office: Office, one_person: int) -> None:
    veil = Veil(office.world.settings, clear=False)
    item = f"/items/{one_person}"
    for path in (item, "/explain?table=dealer&key=mill+P1"):
        page = office.anna.see(path)
        assert NAME not in page, path
        assert MAIL not in page, path
        assert veil.value("dealer", "name", NAME) in page, path
        assert veil.value("dealer", "sales_rep_email", MAIL) in page, path
        seen = office.olga.see(path)
        assert NAME in seen
        assert MAIL in seen
    assert "<mark>odd</mark>" in office.anna.see(item), "what is wrong speaks about nobody"


def test_DLQ_11_of_bytes_only_what_is_nobodys_is_shown(office: Office) -> None:
    veil = Veil(office.world.settings, clear=False)
    cases = {
        f"P1;{NAME};odd;+90 532 111;12,50;1": ["P1", "odd", "12,50"],
        f'<D id="P1"><N>{NAME}</N><!-- {NAME} --><S>odd</S><T a="{NAME}">12,50</T></D>': [
            "P1", "odd", "12,50",
        ],
        f'{{"id": "P1", "name": "{NAME}", "phone": 90532111, "s": ["odd"]}}': ["P1", "odd"],
    }  # fmt: skip
    for text, known in cases.items():
        shown = veil.content(text, known)
        assert len(shown) == len(text)
        assert "Ay" not in shown, shown
        assert "532" not in shown
        for word in (*known, "<D id=", "<N>", '"name"', '"phone"'):
            assert (word in shown) == (word in text), (word, shown)
    assert re.fullmatch(r"P1;\w{4} \w{6};\w+", veil.content(f"P1;{NAME};x1", ["P1"]))
    assert veil.value("dealer", "name", NAME) in veil.content(f"P1;{NAME};x1", ["P1"])


def test_DLQ_11_a_mapped_column_is_what_its_field_is_declared(office: Office) -> None:
    mapping = office.world.ctx.erp("mill")
    columns = Columns.of(mapping, "customers", "dealer")
    assert columns.personal("name")
    assert columns.personal("sales_rep_email")
    assert not columns.personal("status")
    assert columns.personal("PHONE_2"), "nothing declares it: its name decides"
    assert not columns.personal("WERKS")


def test_DLQ_11_a_correction_of_a_personal_value_is_read_by_nobody_else(
    office: Office, one_person: int
) -> None:
    item = office.world.items()["P1"]
    edit = {"text.status": "active", "text.name": f"{NAME} AG"}
    office.olga.see(f"/items/{one_person}")
    office.olga.do(
        f"/items/{one_person}/do",
        {**edit, "do": "correct", "seen": item["version"], "reason": "her new name"},
    )
    office.work()
    number = office.world.one("SELECT max(id) FROM sync.fix_job")
    assert office.world.rows("dealer", "name")["P1"] == f"{NAME} AG"
    for path in (f"/jobs/{number}", "/audit", f"/items/{one_person}",
                 "/explain?table=dealer&key=mill+P1", "/audit?as=csv"):  # fmt: skip
        assert NAME not in office.anna.see(path), path
    assert f"{NAME} AG" in office.olga.see(f"/jobs/{number}")
    assert NAME not in str(office.world.sql("SELECT detail FROM sync.audit"))
