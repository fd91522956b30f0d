"""EDIFACT through the engine: values by table, duplicates, acknowledgements (EDI-8, 10, 11, 13)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from connectors.formats.edifact_acks import Sent, acknowledgements, aperak, contrl, overdue
from connectors.formats.edifact_write import OrderLetter, OrderLine, Partner, orders
from connectors.formats.edifact_write import interchange as written
from mappings.errors import BatchRefused, Misconfigured
from mappings.vocabulary import Field, Type
from tests.conformance.edi import Read, form, interchange, lines, message
from tests.sync.far_side import csv_source, fields_of
from tests.sync.world import World, counted
from transforms.column import column_of
from transforms.registry import StepContext

AT = datetime(2026, 11, 21, 5, 30)  # noqa: DTZ001  as partners write it


def typed(kind: Type, step: str, value: str, code: str | None) -> Any:
    """A value or the code of its rejection."""
    columns = [pa.array([text], pa.string()) for text in (value, code)]
    context = StepContext("Europe/Berlin", ("a", "b"))
    found = column_of(Field("x", kind, "-", "x"), columns, (step,), None, context)
    return found.bad[0][0] if found.bad else found.values[0].as_py()


def test_EDI_13_dates_go_by_their_format_code_and_an_unknown_one_is_an_error() -> None:
    day = date(2026, 1, 31)
    for value, code in (
        ("20260131", "102"), ("202601311200", "203"), ("20260131120005", "204"),
        ("202601311200UTC", "303"),
    ):  # fmt: skip
        assert typed("date", "edifact_date", value, code) == day
    assert typed("date", "edifact_date", "20260131", "203") == "not_a_date"
    assert typed("date", "edifact_date", "20260230", "102") == "not_a_date"
    for code in ("101", "718", "616", "", None):  # a year of two digits, periods, weeks, none
        assert typed("date", "edifact_date", "260131", code) == "unknown_format"

    def instant(value: str, code: str) -> Any:
        found = typed("instant", "edifact_instant", value, code)
        return found if isinstance(found, str) else found.isoformat()

    assert instant("202601311200", "203") == "2026-01-31T11:00:00+00:00"
    assert instant("202607311200", "203") == "2026-07-31T10:00:00+00:00"
    assert instant("20260131120005", "204") == "2026-01-31T11:00:05+00:00"
    assert instant("202601311200UTC", "303") == "2026-01-31T12:00:00+00:00"
    assert instant("202601311200+03", "303") == "2026-01-31T09:00:00+00:00"
    assert instant("20260131", "102") == "2026-01-30T23:00:00+00:00"
    assert instant("202603290230", "203") == "no_such_local_time"
    assert instant("2601311200", "201") == "unknown_format"


def test_EDI_13_units_and_currencies_go_by_table_and_an_unknown_one_is_an_error() -> None:
    codes = pa.array(["PCE", "XYZ"], pa.string())
    unit = {"PCE": "PCE", "KGM": "KGM"}
    found = column_of(Field("uom", "text", "-", "x"), [codes], (), unit, StepContext())
    assert found.values.to_pylist() == ["PCE", None]
    assert [code for code, _ in found.bad] == ["unknown_code"]


def prices_by_edifact(**words: Any) -> dict[str, Any]:
    """Prices out of PRICAT files, a delta of every file there is."""
    mapped = fields_of("price")
    for name, const in (
        ("level", "list"), ("dealer_scope", "all"), ("product_scope", "all"),
        ("currency", "EUR"), ("uom", "PCE"), ("per", "1"), ("min_qty", "1"),
    ):  # fmt: skip
        mapped[name] = {"const": const}
    mapped |= dict.fromkeys(("dealer_key", "product_key", "valid_to"), "absent")
    mapped["header_key"] = {"from": "LIN/3.1"}
    mapped["unit_price"] = {"from": ["PRI/1.2", "UNA/1"], "through": ["decimal_marked"]}
    source = {
        **csv_source("price"),
        "files": "out/*.edi",
        "order": r"(\d+)\.edi$",
        "pick": "all",
        "format": {"kind": "edifact", "message": "PRICAT", "records": "LIN"},
        **words,
    }
    del source["marker"]
    return {
        "mode": "delta",
        "source": source,
        "fields": mapped,
        "guards": {"changed_share": "1", "rejected_share": "1"},
    }


def test_EDI_8_EDI_11_an_interchange_is_read_once_and_its_reference_used_once(world: World) -> None:
    world.map("mill", {"prices": prices_by_edifact()})
    out = world.mill.folder / "out"

    def export(number: int, *messages: str, control: str) -> None:
        data = interchange(*messages, control=control, una="UNA:+,? '")
        (out / f"{number}.edi").write_bytes(data.encode("latin-1"))

    bad = message(2, *lines("9,99"), count=77)
    export(1, message(1, *lines("13,75", "1,5")), bad, control="C1")
    first = world.run("mill", "prices")
    assert counted(first) == {"read": 3, "inserted": 2, "quarantined": 1}
    assert world.rows("price", "unit_price", "header_key")["A1"] == Decimal("13.75")
    # sent again in another file, with a newer interchange behind it
    again = interchange(message(1, *lines("13,75", "1,5")), bad, control="C1", una="UNA:+,? '")
    newer = interchange(message(1, *lines("14,00")), control="C2", una="UNA:+,? '")
    (out / "2.edi").write_bytes((again + newer).encode("latin-1"))
    second = world.run("mill", "prices")
    assert counted(second) == {"read": 1, "updated": 1}
    assert (
        world.one(
            "SELECT says FROM sync.check_result WHERE run_id = %s "
            "AND check_id = 'read:repeated_interchange'",
            second.run_id,
        )
        == "the interchange S R C1 was read before"
    )
    # the same reference with other content: nobody guesses which is right
    export(3, message(1, *lines("99,00")), control="C2")
    third = world.run("mill", "prices")
    assert (third.state, third.stops[0]["guard"]) == ("held", "interchange_reused")
    assert world.rows("price", "unit_price", "header_key")["A1"] == Decimal("14.00")
    assert world.one("SELECT count(*) FROM sync.incident WHERE guard = 'interchange_reused'") == 1


def test_EDI_10_contrl_says_of_each_message_what_becomes_of_it() -> None:
    data = interchange(message(1, *lines("1")), message(2, *lines("2"), count=9)).encode()
    (letter,) = contrl(data, form())
    answer = written(Partner("R"), Partner("S"), "K1", [letter], at=AT)
    assert b"UCI+C1+S:14+R:14+7'UCM+1+PRICAT:D:96A:UN+7'UCM+2+PRICAT:D:96A:UN+4+29'" in answer
    whole = contrl(data.replace(b"UNZ+2", b"UNZ+3"), form())
    assert whole[0].rows == (("UCI", "C1", ("S", "14"), ("R", "14"), "4", "29"),)
    with pytest.raises(BatchRefused):
        contrl(b"<html>", form())
    # and read back, as the partner reads it
    told = acknowledgements(answer, form(message="CONTRL"))
    assert [(one.control, one.message, one.accepted, one.code) for one in told] == [
        ("C1", None, True, None), ("C1", "1", True, None), ("C1", "2", False, "29"),
    ]  # fmt: skip


def test_EDI_10_aperak_says_what_became_of_a_document() -> None:
    letters = [
        aperak("P1", AT, "WB-1"),
        aperak("P2", AT, "WB-2", error="Artikel 4711: unbekannt + gesperrt"),
    ]
    data = written(Partner("R"), Partner("S"), "K2", letters, at=AT)
    told = acknowledgements(data, form(message="APERAK"))
    assert [(one.control, one.accepted, one.says) for one in told] == [
        ("WB-1", True, "accepted"),
        ("WB-2", False, "Artikel 4711: unbekannt + gesperrt"),
    ]


def test_EDI_10_what_is_not_acknowledged_in_its_time_is_told() -> None:
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    sent = [Sent(f"C{n}", now - timedelta(hours=n)) for n in (1, 3, 5, 7)]
    answer = written(
        Partner("R"), Partner("S"), "K", contrl(interchange(control="C5").encode(), form()), at=AT
    )
    known = acknowledgements(answer, form())
    late = overdue(sent, known, now, timedelta(hours=2))
    assert [one.control for one in late] == ["C7", "C3"]


def test_an_order_is_written_so_that_a_partner_reads_it() -> None:
    letter = orders(
        OrderLetter(
            "WB-7'1",
            date(2026, 11, 21),
            buyer="4098765000016",
            supplier="4012345000009",
            currency="EUR",
            customer_ref="K+1",
            deliver_on=date(2026, 12, 1),
            lines=(
                OrderLine(1, Decimal("2.50"), "MTR", ean="4012345678918", seller_no="NW-10028"),
                OrderLine(
                    2, Decimal(10), "PCE", seller_no="NW:1", price=Decimal("149.90"), per=100
                ),
            ),
        )
    )
    data = written(Partner("4098765000016"), Partner("4012345000009"), "O1", [letter], at=AT)
    read = Read(
        data,
        (
            "LIN/1",
            "PIA[2.2=SA]/2.1",
            "QTY[21]/1.2",
            "QTY[21]/1.3",
            "PRI/1.2",
            "PRI/1.5",
            "../BGM/2",
        ),
        message="ORDERS",
    )
    assert read.broken == []
    assert list(read.rows.values()) == [
        ("1", "NW-10028", "2.5", "MTR", None, None, "WB-7'1"),
        ("2", "NW:1", "10", "PCE", "149.9", "100", "WB-7'1"),
    ]
    with pytest.raises(Misconfigured) as charset:
        written(
            Partner("S"),
            Partner("R"),
            "O2",
            [orders(OrderLetter("Ł", date(2026, 1, 1), "b", "s", "EUR"))],
            at=AT,
        )
    assert charset.value.code == "charset"
