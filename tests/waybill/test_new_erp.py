"""`waybill new-erp`: a mapping that can be read, its guesses marked, its sample masked."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mappings.private_files import change_connections, make_home, read_connections
from mappings.reading import read_mapping
from mappings.settings import REPOSITORY, Settings, child_environment
from mappings.spec import FieldMapping
from sandbox.dataset import load
from sandbox.odata import ODataErp
from sandbox.sftp import SftpErp
from tests.waybill.new_erp_servers import DEALERS, Documents
from tests.waybill.test_cli import Run, waybill
from waybill import cli

__all__ = ["waybill"]


@pytest.fixture
def documents() -> Iterator[Documents]:
    """A server of plain JSON."""
    with Documents() as one:
        yield one


def mapped(settings: Settings, erp: str) -> Any:
    """What was written, read as a mapping."""
    return read_mapping(settings.mappings[0] / f"{erp}.yaml")


def paths(fields: dict[str, Any]) -> dict[str, str]:
    """Field → the path that it comes from."""
    return {
        name: one.paths[0]
        for name, one in fields.items()
        if isinstance(one, FieldMapping) and one.paths
    }


def test_a_wsdl_gives_a_mapping_that_reads_the_erp(
    anvil: Any, waybill: Run, settings: Settings
) -> None:
    own = {"conn_type": "http", **anvil.connection()}
    change_connections(settings, {"acme": own})
    wsdl = anvil.connection()["extra"]["wsdl"]
    code, out, _ = waybill(
        *("new-erp", "acme", "--from", wsdl, "--feed", "stock", "--feed", "products", "--yes"),
        *("--time-zone", "Europe/Berlin"),
    )
    assert code == 0
    assert "waybill check acme products" in out
    erp = mapped(settings, "acme")
    assert erp.time_zone == "Europe/Berlin"
    found = paths(erp.feeds["stock"].fields)
    assert (found["product_key"], found["warehouse_key"], found["on_hand"]) == (
        "MATNR", "WERKS", "LABST",
    )  # fmt: skip
    source = erp.feeds["stock"].source
    assert (source.operation, source.records, source.count) == (
        "GetStockList", "STOCKS/item", "TOTALCOUNT",
    )  # fmt: skip
    assert source.page.request == source.page.response == "NEXT"
    code, out, _ = waybill("check", "acme", "stock", "--json")
    (told,) = json.loads(out)
    assert (code, told["state"]) == (0, "ok")
    assert read_connections(settings)["acme"] == own, "a connection is never changed"
    text = (settings.mappings[0] / "acme.yaml").read_text(encoding="utf-8")
    assert re.search(r"on_hand: .*# guess: 100 %", text)
    assert "# not used: " in text


def test_metadata_gives_children_types_and_codes(waybill: Run, settings: Settings) -> None:
    make_home(settings)
    with ODataErp(load("tiny").of("birch"), client_id="w", client_secret="s") as birch:
        change_connections(settings, {"acme": birch.connection()})
        url = f"{birch.address}/$metadata"
        args = ("new-erp", "acme", "--from", url, "--feed", "customers", "--yes")
        assert waybill(*args)[0] == 0
        feed = mapped(settings, "acme").feeds["customers"]
        assert (feed.mode, feed.source.entity) == ("snapshot", "Customers")
        assert set(feed.source.expand) == {"Groups", "Addresses", "Contacts"}
        assert feed.parts["dealer_address"].records == "Addresses"
        assert feed.fields["status"].lookup == "dealer_status"
        code, out, _ = waybill("check", "acme", "customers", "--json")
        ((source,),) = (one["sources"] for one in json.loads(out))
        assert (code, source["rejected"]) == (0, 0), source["reasons"]
        assert source["read"] > 5
        # what is there is not overwritten
        code, _, err = waybill(*args)
        assert (code, "--force" in err) == (cli.MISCONFIGURED, True)
        assert waybill(*args, "--force")[0] == 0


def test_a_sample_is_masked_and_keeps_its_shape(waybill: Run, settings: Settings) -> None:
    make_home(settings)
    with ODataErp(load("tiny").of("birch"), client_id="w", client_secret="s") as birch:
        change_connections(settings, {"acme": birch.connection()})
        url = f"{birch.address}/$metadata"
        waybill("new-erp", "acme", "--from", url, "--feed", "customers", "--yes")
        (sample,) = (settings.mappings[0] / "samples").rglob("input.dealer.01.json")
        page = json.loads(sample.read_bytes())
        dataset = load("tiny").of("birch")
    there = {row["key"]: row for row in dataset["dealer"].to_pylist()}
    emails = set(dataset["dealer_contact"]["email"].to_pylist()) - {None}
    assert page["value"]
    text = sample.read_text(encoding="utf-8")
    assert not [email for email in emails if email in text]
    for record in page["value"]:
        own = there[record["CustomerNo"]]
        assert record["Name"] != own["name"]
        assert re.sub(r"[^\W\d_]", "a", record["Name"]) == re.sub(r"[^\W\d_]", "a", own["name"])
        assert record["CurrencyCode"] == own["currency"], "nothing else is changed"
    first = sample.read_bytes()
    with ODataErp(load("tiny").of("birch"), client_id="w", client_secret="s") as birch:
        change_connections(settings, {"acme": birch.connection()})
        url = f"{birch.address}/$metadata"
        waybill("new-erp", "acme", "--from", url, "--feed", "customers", "--yes", "--force")
    port = re.compile(rb"127\.0\.0\.1:\d+")
    assert port.sub(b"", sample.read_bytes()) == port.sub(b"", first), "masked the same each time"


def test_a_csv_file_gives_its_form_and_its_steps(
    waybill: Run, settings: Settings, tmp_path: Path
) -> None:
    lines = ["MALZEME;DEPO;MİKTAR;SON_HAREKET", "1;01;1.234,50;31.01.2026 09:00"]
    lines += [f"{n};01;{n},5;01.02.2026 10:00" for n in range(2, 30)]
    sample = tmp_path / "stok_000017.csv"
    sample.write_bytes(("\r\n".join([*lines, "TRL;29"]) + "\r\n").encode("cp1254"))
    flags = ("--feed", "stock", "--yes", "--time-zone", "Europe/Istanbul")
    code, out, err = waybill("new-erp", "kale", "--from", str(sample), *flags)
    assert code == 0, err
    feed = mapped(settings, "kale").feeds["stock"]
    form = feed.source.format
    assert (form.delimiter, form.encoding, form.trailer.starts_with, form.trailer.count) == (
        ";", "cp1254", "TRL", 2,
    )  # fmt: skip
    assert feed.source.files == "out/stok_[0-9]*.csv"
    assert re.search(feed.source.order, "stok_000018.csv")
    assert feed.fields["on_hand"].through == ("decimal_comma",)
    assert feed.fields["changed_at"].through == ("dotted_instant",)
    assert "encoding cp1254 is a guess" in err
    stub = read_connections(settings)["kale"]
    assert isinstance(stub, dict)
    assert (stub["conn_type"], stub.get("password")) == ("sftp", None)
    assert 'connection "kale" was begun' in out


def test_files_over_sftp_are_read_by_the_connection(
    waybill: Run, settings: Settings, tmp_path: Path
) -> None:
    make_home(settings)
    cedar = SftpErp(load("tiny").of("cedar"), user="w", password="s", folder=tmp_path / "files")
    cedar.start()
    try:
        change_connections(settings, {"acme": cedar.connection()})
        files = "sftp:out/stock_[0-9]*.csv"
        zone = ("--yes", "--time-zone", "Europe/Istanbul")
        code, _, err = waybill("new-erp", "acme", "--from", files, *zone)
        assert code == 0, err
        assert waybill("check", "acme", "stock")[0] == 0
    finally:
        cedar.stop()


def test_a_page_of_json_gives_nested_columns_and_children(
    documents: Documents, waybill: Run, settings: Settings
) -> None:
    url = f"{documents.address}/api/dealers"
    code, out, err = waybill("new-erp", "acme", "--from", url, "--yes")
    assert code == 0, err
    feed = mapped(settings, "acme").feeds["customers"]
    found = paths(feed.fields)
    assert (found["key"], found["name"], found["currency"]) == ("id", "companyName", "currency")
    assert feed.source.records == "data"
    assert feed.parts["dealer_address"].records == "addresses"
    code, out, _ = waybill("check", "acme", "customers", "--json")
    assert [one["error"] for one in json.loads(out)] == [None]
    ((source,),) = (one["sources"] for one in json.loads(out))
    unknown = [r for r in source["reasons"] if r["code"] != "unknown_code"]
    assert unknown == [], "only a status that nobody knows is for a person"
    sample = next((settings.mappings[0] / "samples").rglob("input.dealer.*"))
    text = sample.read_text(encoding="utf-8")
    assert not [d for d in DEALERS if str(d["contact"]["email"]) in text]  # type: ignore[index]


def test_an_openapi_document_gives_the_lists_that_it_declares(
    documents: Documents, waybill: Run, settings: Settings
) -> None:
    url = f"{documents.address}/openapi.json"
    code, _, err = waybill("new-erp", "acme", "--from", url, "--yes")
    assert code == 0, err
    feed = mapped(settings, "acme").feeds["customers"]
    source = feed.source.model_dump()
    assert (source.get("path") or source.get("entity"), source["records"]) == ("dealers", "data")
    assert feed.fields["opened_on"].through == ("iso_date",)
    stub = read_connections(settings)["acme"]
    assert isinstance(stub, dict)
    assert stub["extra"] == {"service_root": f"{documents.address}/api"}


def test_an_xml_file_gives_its_records(waybill: Run, settings: Settings, tmp_path: Path) -> None:
    rows = "".join(
        f"<Artikel><Artikelnummer>A{n}</Artikelnummer><Bezeichnung>Teil {n}</Bezeichnung>"
        f"<Einheit>PCE</Einheit><Status>aktiv</Status><Gewicht>{n}.5</Gewicht></Artikel>"
        for n in range(4)
    )
    sample = tmp_path / "artikel.xml"
    sample.write_text(f"<Export><Kopf/><Liste>{rows}</Liste></Export>", encoding="utf-8")
    assert waybill("new-erp", "acme", "--from", str(sample), "--yes")[0] == 0
    feed = mapped(settings, "acme").feeds["products"]
    assert feed.source.format.records == "Liste/Artikel"
    found = paths(feed.fields)
    assert found["key"] == "Artikelnummer"
    assert found["weight_kg"] == "Gewicht"
    assert feed.fields["status"].lookup == "product_status"


def test_what_describes_nothing_is_said(waybill: Run, tmp_path: Path) -> None:
    for name, content in (
        ("empty.csv", ""),
        ("one.csv", "only one column\nand a row\n"),
        ("page.json", "{}"),
        ("torn.json", '{"a": ['),
        ("torn.xml", "<a><b>"),
    ):
        (tmp_path / name).write_text(content, encoding="utf-8")
        code, _, err = waybill("new-erp", "acme", "--from", str(tmp_path / name), "--yes")
        assert (code, err.count("\n")) == (cli.MISCONFIGURED, 1), name
    code, _, err = waybill("new-erp", "acme", "--from", "nowhere.csv", "--yes")
    assert (code, "no file" in err) == (cli.MISCONFIGURED, True)
    assert waybill("new-erp", "acme", "--from", "x", "--feed", "prises")[0] != 0


def test_on_a_terminal_it_asks(documents: Documents, settings: Settings) -> None:
    """Answered line by line, in a terminal of its own."""
    make_home(settings)
    program = "import sys; from waybill import cli; sys.exit(cli.run(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "new-erp", "acme", "--from"]
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*command, f"{documents.address}/api/dealers"],
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=child_environment(settings, PYTHONPATH=str(REPOSITORY)),
    )
    os.close(slave)
    # one question a feed: customers come from the list, the others from nowhere; then the zone
    os.write(master, b"dealers\n-\n-\n-\n-\n-\n-\nEurope/Vienna\n")
    out = process.communicate(timeout=60)[0].decode()
    os.close(master)
    assert process.returncode == 0, out
    assert "customers comes from" in out
    erp = mapped(settings, "acme")
    assert (list(erp.feeds), erp.time_zone) == (["customers"], "Europe/Vienna")
