"""XML-1..9: files as an ERP leaves them on its server, through the engine to the portal."""

from __future__ import annotations

import contextlib
import io
import locale
import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any, BinaryIO, cast

import psutil
import pyarrow as pa
import pytest

from connectors.formats import read_page
from connectors.formats.raw import LIST_SEPARATOR, RawChunk, ReadPlan
from mappings.feeds import FEEDS
from mappings.sources import SftpSource
from sync.load import Outcome
from tests.sync.far_side import fields_of
from tests.sync.world import World, counted

XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
GOOD = ("D1", "D2", "D3")
FIELDS: dict[str, object] = {
    "min_order_amount": {"from": "least", "through": ["decimal_point"]},
    "opened_on": {"from": "opened", "through": ["iso_date"]},
}


def dealer(key: str, *more: str) -> str:
    """A dealer's record; `more` elements replace those of their name."""
    own = {
        "key": f"<key>{key}</key>",
        "name": f"<name>Dealer {key}</name>",
        "status": "<status>active</status>",
        "account_key": f"<account_key>{key}</account_key>",
        "order_block": "<order_block>false</order_block>",
        "currency": "<currency>EUR</currency>",
    }
    for element in more:
        own[element[1:].split(">")[0].split(" ")[0].split("/")[0]] = element
    return f"<I>{''.join(own.values())}</I>"


def document(*records: str, root: str = "L", declared: str = "UTF-8") -> str:
    """A file of records."""
    name = root.split(" ", maxsplit=1)[0]
    listed = "\n".join(records)
    return f'<?xml version="1.0" encoding="{declared}"?>\n<{root}>{listed}</{name}>'


def put(world: World, content: str | bytes) -> None:
    """Leave a file and its marker, newer than the last."""
    folder = world.mill.folder / "out"
    path = folder / f"dealer_{len(list(folder.iterdir())):06}.xml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.with_name(path.name + ".done").touch()


@pytest.fixture
def xml(world: World) -> World:
    """Dealers out of XML files; three are there already."""
    main = FEEDS["customers"].main
    source: dict[str, Any] = {
        "protocol": "sftp",
        "files": "out/dealer_[0-9]*.xml",
        "order": r"dealer_(\d+)\.xml$",
        "marker": ".done",
        "format": {"kind": "xml", "records": "I"},
    }
    feed = {
        "mode": "snapshot",
        "source": source,
        "fields": fields_of(main) | FIELDS,
        "parts": {p.name: "absent" for p in FEEDS["customers"].parts if p.name != main},
    }
    world.map("mill", {"customers": feed})
    put(world, document(*(dealer(key) for key in GOOD)))
    assert counted(world.run("mill", "customers")) == {"read": 3, "inserted": 3}
    return world


def held(world: World, content: str | bytes, code: str) -> Outcome:
    """The file is held with this code and the portal keeps what it had."""
    put(world, content)
    outcome = world.run("mill", "customers")
    assert outcome.state == "held"
    assert world.batch_state(outcome.batch_id) == "held"
    assert world.keys("dealer") == set(GOOD)
    assert [stop["guard"] for stop in outcome.stops] == [code]
    return outcome


def test_XML_1_bytes_that_are_not_in_the_declared_encoding_hold_the_file(xml: World) -> None:
    text = document(dealer("D1", "<name>Çağlar</name>"), dealer("D2"), dealer("D3"))
    held(xml, text.encode("cp1254"), "encoding")
    put(xml, text.replace("UTF-8", "windows-1254").encode("cp1254"))
    assert xml.run("mill", "customers").state == "done"
    assert xml.rows("dealer", "name")["D1"] == "Çağlar"


@pytest.mark.parametrize(
    "doctype",
    [
        "<!DOCTYPE L>",
        '<!DOCTYPE L SYSTEM "file:///etc/hostname">',
        '<!DOCTYPE L [<!ENTITY a SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE L [<!ENTITY a "ha"><!ENTITY b "&a;&a;"><!ENTITY c "&b;&b;">]>',
        "<!DOCTYPE L ["
        '<!ENTITY e0 "hahahahaha">'
        + "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(12))
        + "]>",
    ],
)
def test_XML_2_a_doctype_an_entity_a_bomb_hold_the_file(xml: World, doctype: str) -> None:
    declared = re.findall(r"<!ENTITY (\w+)", doctype)
    used = f"&{declared[-1]};" if declared else "x"
    text = document(dealer("D1", f"<name>{used}</name>"), dealer("D2"))
    held(xml, text.replace("\n<L>", f"\n{doctype}<L>"), "doctype")


def test_XML_2_an_xinclude_is_an_element_that_nobody_asked_for(xml: World) -> None:
    include = '<x:include xmlns:x="http://www.w3.org/2001/XInclude" href="file:///etc/hostname"/>'
    name = f"<name>D{include}</name>"
    put(xml, document(dealer("D1", name), dealer("D2"), dealer("D3"), include))
    assert xml.run("mill", "customers").state == "done"
    assert xml.rows("dealer", "name")["D1"] == "D"


@pytest.mark.parametrize(
    ("root", "prefix"),
    [('q:L xmlns:q="urn:x"', "q:"), ('L xmlns="urn:x"', ""), ('zz:L xmlns:zz="urn:x"', "zz:")],
)
def test_XML_3_another_prefix_or_a_default_namespace_changes_nothing(
    xml: World, root: str, prefix: str
) -> None:
    before = xml.versions("dealer")
    text = document(*(dealer(key) for key in GOOD))
    for name in ("I", "key", "name", "status", "account_key", "order_block", "currency"):
        text = text.replace(f"<{name}>", f"<{prefix}{name}>").replace(
            f"</{name}>", f"</{prefix}{name}>"
        )
    text = text.replace("<L>", f"<{root}>").replace("</L>", f"</{prefix}L>")
    put(xml, text)
    outcome = xml.run("mill", "customers")
    assert counted(outcome) == {"read": 3, "unchanged": 3}
    assert xml.versions("dealer") == before


class Endless(io.RawIOBase):
    """A file of records of so many bytes, made while it is read."""

    def __init__(self, record: bytes, size: int) -> None:
        self._pieces = self._made(record, size)
        self.given = 0

    def _made(self, record: bytes, size: int) -> Iterator[bytes]:
        yield b"<L>"
        block = record * (65536 // len(record))
        for _ in range(size // len(block)):
            yield block
        yield b"</L>"

    def read(self, size: int = -1) -> bytes:
        """The next piece, whatever its size."""
        del size
        piece = next(self._pieces, b"")
        self.given += len(piece)
        return piece


@pytest.mark.parametrize(
    ("record", "size"),
    [
        (b"<I><a>1</a><b>some text of a common length</b></I>", 48 * 1024 * 1024),
        (b"<I><a>1</a><ls><l><a>2</a></l><l><a>3</a></l></ls></I>", 12 * 1024 * 1024),
    ],
)
def test_XML_4_a_large_file_is_read_in_constant_memory(record: bytes, size: int) -> None:
    told = {"protocol": "sftp", "files": "x.xml", "format": {"kind": "xml", "records": "I"}}
    plan = ReadPlan("thing", SftpSource.model_validate(told), ("a", "b"))
    process = psutil.Process()

    def read(size: int) -> tuple[int, int, int]:
        page = Endless(record, size)
        rows = largest = 0
        for chunk in read_page(cast("BinaryIO", page), plan, 1, {}):
            assert isinstance(chunk, RawChunk)
            rows += chunk.columns.num_rows
            largest = max(largest, process.memory_info().rss)
        return rows, page.given, largest

    _, _, small = read(size // 8)
    rows, given, large = read(size)
    assert given >= size - 2 * 65536
    assert rows == (given - 7) // len(record)
    # the whole file is in no memory: eight times the size costs nothing
    assert large - small < size // 4


def test_XML_5_a_file_cut_anywhere_brings_nothing_at_all(xml: World) -> None:
    text = document(dealer("D1", "<name>new</name>"), dealer("D4"), dealer("D5"))
    for share in (0.3, 0.9, 0.999):
        held(xml, text[: int(len(text) * share)], "truncated")
    assert "new" not in xml.rows("dealer", "name").values()


@pytest.mark.parametrize("bad", ["&#x1F;", "A & B", "A&nbsp;B", "<b>"])
def test_XML_6_what_is_not_well_formed_holds_the_file_with_line_and_column(
    xml: World, bad: str
) -> None:
    lines = [dealer(key) for key in GOOD] * 3
    outcome = held(xml, document(*lines, dealer("D4", f"<name>{bad}</name>")), "malformed")
    (stop,) = outcome.stops
    # the file's first line is its declaration, then one record a line
    assert re.search(r"line 11, column \d+", stop["says"])


def test_XML_7_nil_empty_and_absent_are_three_things_and_no_zero() -> None:
    told = {
        "protocol": "sftp",
        "files": "x.xml",
        "format": {
            "kind": "xml",
            "records": "I",
            "namespaces": {"xsi": "http://www.w3.org/2001/XMLSchema-instance"},
        },
    }
    plan = ReadPlan("thing", SftpSource.model_validate(told), ("a", "a/@xsi:nil"))
    text = f'<L {XSI}><I><a xsi:nil="true"/></I><I><a/></I><I/><I><a>0</a></I></L>'
    (chunk,) = read_page(io.BytesIO(text.encode()), plan, 1, {})
    assert isinstance(chunk, RawChunk)
    assert [tuple(row.values()) for row in chunk.columns.to_pylist()] == [
        (None, "true"),
        ("", None),
        (None, None),
        ("0", None),
    ]


def test_XML_7_none_of_the_three_becomes_a_number_in_the_portal(xml: World) -> None:
    least = ('<least xsi:nil="true"/>', "<least/>", "", "<least>0</least>")
    keys = [f"D{n}" for n in range(1, 5)]
    records = [dealer(key, *([one] if one else [])) for key, one in zip(keys, least, strict=True)]
    put(xml, document(*records, root=f"L {XSI}"))
    assert xml.run("mill", "customers").state == "done"
    assert xml.rows("dealer", "min_order_amount") == {
        "D1": None,
        "D2": None,
        "D3": None,
        "D4": Decimal(0),
    }


def test_XML_8_numbers_and_dates_are_read_by_the_mapping_not_by_the_hosts_locale(
    xml: World,
) -> None:
    before = locale.setlocale(locale.LC_ALL)
    for name in ("de_DE.UTF-8", "tr_TR.UTF-8", "fr_FR.UTF-8", "C.UTF-8"):
        with contextlib.suppress(locale.Error):
            locale.setlocale(locale.LC_ALL, name)
            break
    try:
        right = ("<least>1234.50</least>", "<opened>2026-03-04</opened>")
        comma = ("<least>1234,50</least>", "<opened>2026-03-04</opened>")
        spoken = ("<least>1234.50</least>", "<opened>04.03.2026</opened>")
        put(xml, document(dealer("D1", *right), dealer("D2", *comma), dealer("D3", *spoken)))
        outcome = xml.run("mill", "customers")
    finally:
        locale.setlocale(locale.LC_ALL, before)
    assert counted(outcome)["quarantined"] == 2
    assert set(xml.items()) == {"D2", "D3"}
    assert xml.rows("dealer", "min_order_amount")["D1"] == Decimal("1234.50")
    assert xml.rows("dealer", "opened_on")["D1"] == date(2026, 3, 4)


def test_XML_9_an_element_that_is_repeated_later_changes_no_type() -> None:
    told = {"protocol": "sftp", "files": "x.xml", "format": {"kind": "xml", "records": "I"}}
    plan = ReadPlan("thing", SftpSource.model_validate(told), ("ean[]", "ean"))

    def read(*records: str) -> tuple[list[dict[str, str | None]], pa.Schema]:
        (chunk,) = read_page(io.BytesIO(document(*records).encode()), plan, 1, {})
        assert isinstance(chunk, RawChunk)
        return chunk.columns.to_pylist(), chunk.columns.schema

    one, first = read(*["<I><ean>1</ean></I>"] * 9)
    many, later = read(*["<I><ean>1</ean></I>"] * 9, "<I><ean>1</ean><ean>2</ean></I>", "<I/>")
    assert first == later
    assert one == many[:9] == [{"ean[]": "1", "ean": "1"}] * 9
    assert many[9:] == [
        {"ean[]": f"1{LIST_SEPARATOR}2", "ean": "1"},
        {"ean[]": None, "ean": None},
    ]
