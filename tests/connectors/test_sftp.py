"""The SFTP connector against a real server: sign-in, choosing, whole files, failures."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors import open_connector
from connectors.protocol import End, Page
from connectors.sftp import SftpConnector
from mappings.connection import Connection
from mappings.errors import (
    BatchRefused,
    Misconfigured,
    NotNow,
    RateLimited,
    Refused,
    Transient,
    WaybillError,
)
from mappings.sources.sftp import CsvFormat, SftpSource, XmlFormat
from sandbox.dataset import load
from sandbox.faults import Faults
from sandbox.sftp import SftpErp
from sandbox.sftp.server import Account, SftpServer, new_key, read_key

CSV = CsvFormat(kind="csv")
PRICES = SftpSource(protocol="sftp", files="out/prices_*.csv", format=CSV, marker=".done")
FREE = SftpSource(protocol="sftp", files="out/prices_*.csv", format=CSV)
INVOICES = SftpSource(
    protocol="sftp", files="invoices/*.xml", pick="all", format=XmlFormat(kind="xml", records=".")
)
PASSWORD = "Cedar-1, çok gizli"


@pytest.fixture(scope="module")
def erp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpErp]:
    found = SftpErp(
        load("tiny").of("cedar"),
        user="waybill",
        password=PASSWORD,
        folder=tmp_path_factory.mktemp("cedar"),
    )
    found.start()
    yield found
    found.stop()


@pytest.fixture(autouse=True)
def _behaved(erp: SftpErp) -> Iterator[None]:
    yield
    erp.faults.disarm()


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[SftpServer]:
    """A server over an empty folder of its own."""
    server = SftpServer(Account("u", "p", tmp_path, Faults()), read_key(new_key()))
    (tmp_path / "out").mkdir()
    server.start()
    yield server
    server.stop()


def connection(erp: SftpErp, **changed: Any) -> Connection:
    told: dict[str, Any] = erp.connection() | changed
    return Connection(
        "cedar",
        "sftp",
        told["host"],
        told["port"],
        told["login"],
        told["password"],
        extra=told["extra"],
    )


def to(erp: SftpErp, **settings: Any) -> SftpConnector:
    return SftpConnector(connection(erp), "cedar", poll_seconds=0.05, **settings)


def to_bare(server: SftpServer, **settings: Any) -> SftpConnector:
    key = server.host_key
    extra = {"host_key": f"{key.get_name()} {key.get_base64()}"}
    there = Connection("x", "sftp", "127.0.0.1", server.port, "u", "p", extra=extra)
    return SftpConnector(there, "x", poll_seconds=0.05, **settings)


def taken(connector: SftpConnector, source: SftpSource) -> tuple[dict[str, bytes], End]:
    pages = connector.read(source, None)
    found: dict[str, bytes] = {}
    while True:
        try:
            page: Page = next(pages)
        except StopIteration as stop:
            return found, stop.value
        found[page.name] = b"".join(page.content)


def latest_prices(erp: SftpErp) -> Path:
    return max((erp.folder / "out").glob("prices_*.csv"))


# signing in


def test_password_and_the_word_of_the_server(erp: SftpErp) -> None:
    with open_connector(connection(erp), "sftp", "cedar") as connector:
        assert connector.check().startswith("SSH-2.0-")


def test_private_key_signs_in_without_a_password(erp: SftpErp, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(erp.private_key_text)
    pinned = erp.connection()["extra"]
    for extra in ({"private_key": erp.private_key_text}, {"private_key_file": str(file)}):
        there = connection(erp, password=None, extra=pinned | extra)  # pyright: ignore[reportOperatorIssue]  object: a dict
        with SftpConnector(there, "cedar") as connector:
            assert taken(connector, PRICES)[1].complete


def refused(there: Connection) -> Misconfigured:
    with pytest.raises(Misconfigured) as error, SftpConnector(there, "cedar") as connector:
        connector.check()
    text = f"{error.value} {error.value!r} {error.value.__cause__!r}"
    assert error.value.remedy
    assert PASSWORD not in text
    assert "falsch" not in text
    assert "PRIVATE KEY" not in text
    return error.value


def test_wrong_password_is_tried_once(erp: SftpErp) -> None:
    started = time.monotonic()
    assert refused(connection(erp, password="falsch")).code == "auth"
    assert time.monotonic() - started < 10
    erp.faults.arm("wrong_password", times=None)
    before = len(erp.faults.taken)
    assert refused(connection(erp)).code == "auth"
    assert erp.faults.taken[before:] == ["wrong_password"]


def test_wrong_key_unreadable_key_and_no_secret_at_all(erp: SftpErp) -> None:
    pinned: Any = erp.connection()["extra"]
    for text in (new_key(), "falsch", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA"):
        assert (
            refused(connection(erp, password=None, extra=pinned | {"private_key": text})).code
            == "auth"
        )
    absent = {"private_key_file": "/nowhere/key"}
    assert refused(connection(erp, password=None, extra=pinned | absent)).code == "auth"
    assert refused(connection(erp, password=None)).code == "auth"


def test_changed_host_key_stops_before_the_password_is_sent_SFTP_7(erp: SftpErp) -> None:
    erp.faults.arm("changed_host_key")
    error = refused(connection(erp))
    assert error.code == "security"
    assert "SHA256:" in error.what
    with to(erp) as connector:
        assert connector.check()


@pytest.mark.parametrize(
    "extra", [{}, {"host_key": "ssh-ed25519"}, {"host_key": "ssh-ed25519 ???"}]
)
def test_a_host_key_must_be_pinned(erp: SftpErp, extra: dict[str, str]) -> None:
    assert refused(connection(erp, extra=extra)).code == "security"


def test_nobody_there_and_somebody_else_there(bare: SftpServer) -> None:
    port = bare.port
    bare.stop()
    key = {"host_key": f"{bare.host_key.get_name()} {bare.host_key.get_base64()}"}
    nobody = Connection("x", "sftp", "127.0.0.1", port, "u", "p", extra=key)
    with pytest.raises(Transient), SftpConnector(nobody, "x", tries=1) as connector:
        connector.check()


# choosing files


def put(server: SftpServer, name: str, content: bytes = b"A\n1\n", age: float = 0) -> Path:
    path = server.account.folder / "out" / name
    path.write_bytes(content)
    then = time.time() - age
    os.utime(path, (then, then))
    return path


def source(**changed: Any) -> SftpSource:
    words: dict[str, Any] = {"files": "out/p_*.csv"} | changed
    return SftpSource(protocol="sftp", format=CSV, **words)


def names(server: SftpServer, of: SftpSource) -> list[str]:
    with to_bare(server) as connector:
        return list(taken(connector, of)[0])


def not_now(server: SftpServer, of: SftpSource) -> str:
    with pytest.raises(NotNow) as error:
        names(server, of)
    assert error.value.remedy
    assert error.value.code
    return error.value.code


def test_the_latest_by_number_not_by_listing_or_time_SFTP_9_SFTP_16(bare: SftpServer) -> None:
    for name, age in (("p_9.csv", 0), ("p_10.csv", 500), ("p_2.csv", 100), ("q_99.csv", 0)):
        put(bare, name, age=age)
    assert names(bare, source()) == ["p_10.csv"]


def test_order_is_the_first_group(bare: SftpServer) -> None:
    for name in ("p_a_20260102.csv", "p_b_20260101.csv", "p_z_.csv"):
        put(bare, name)
    of = source(order=r"_(\d{8})\.csv$")
    assert names(bare, of) == ["p_a_20260102.csv"]
    with to_bare(bare) as connector:
        found, end = taken(connector, source(order=r"_(\d{8})\.csv$", pick="all"))
    assert list(found) == ["p_b_20260101.csv", "p_a_20260102.csv"]
    assert "p_z_.csv" in end.notes[0]
    assert not end.complete


@pytest.mark.parametrize("order", ["(", "p_"])
def test_an_order_that_orders_nothing_is_misconfigured(bare: SftpServer, order: str) -> None:
    put(bare, "p_1.csv")
    with pytest.raises(Misconfigured):
        names(bare, source(order=order))


def test_all_matches_in_order_SFTP_10(bare: SftpServer) -> None:
    for number in (10, 9, 1, 11):
        put(bare, f"p_{number}.csv")
    assert names(bare, source(pick="all")) == ["p_1.csv", "p_9.csv", "p_10.csv", "p_11.csv"]


def test_marker_missing_late_or_alone_are_three_things_SFTP_2(bare: SftpServer) -> None:
    of = source(marker=".done")
    assert not_now(bare, of) == "no_file"
    put(bare, "p_1.csv", age=100)
    assert not_now(bare, of) == "no_marker"
    marker = put(bare, "p_1.csv.done", b"", age=90)
    assert names(bare, of) == ["p_1.csv"]
    os.utime(marker, (1, 1))
    assert not_now(bare, of) == "stale_marker"
    put(bare, "p_1.csv.done", b"")
    put(bare, "p_2.csv.done", b"")
    assert not_now(bare, of) == "marker_without_file"


def test_all_leaves_unmarked_files_out_and_is_not_complete(bare: SftpServer) -> None:
    for name in ("p_1.csv", "p_1.csv.done", "p_2.csv"):
        put(bare, name)
    with to_bare(bare) as connector:
        found, end = taken(connector, source(pick="all", marker=".done"))
    assert list(found) == ["p_1.csv"]
    assert not end.complete
    assert "p_2.csv" in end.notes[0]


def test_no_file_at_all_proves_nothing(bare: SftpServer) -> None:
    with to_bare(bare) as connector:
        found, end = taken(connector, source(pick="all"))
    assert not found
    assert not end.complete


def test_folder_missing_and_paths_that_climb(bare: SftpServer, erp: SftpErp) -> None:
    for files in ("nowhere/*.csv", "../*.csv", "out/../../*.csv"):
        with pytest.raises(Misconfigured) as error:
            names(bare, source(files=files))
        assert error.value.code == "path"
    with to(erp) as connector:
        for location in ("../secret", "/etc/passwd", "out/../../x", "", "a\0b"):
            with pytest.raises(Refused) as no:
                list(connector.fetch(location))
            assert no.value.code == "path"


def test_names_with_spaces_and_turkish_letters_SFTP_14(bare: SftpServer) -> None:
    put(bare, "p_Şubat İlk 1.csv")
    assert names(bare, source()) == ["p_Şubat İlk 1.csv"]


def test_nothing_on_the_server_is_moved_SFTP_12(erp: SftpErp) -> None:
    before = sorted((p, p.stat().st_mtime_ns) for p in erp.folder.rglob("*"))
    with to(erp) as connector:
        first = taken(connector, PRICES)[0]
        assert taken(connector, PRICES)[0] == first
    assert sorted((p, p.stat().st_mtime_ns) for p in erp.folder.rglob("*")) == before


# whole files


def test_bytes_as_the_server_has_them(erp: SftpErp) -> None:
    with to(erp) as connector:
        found, end = taken(connector, PRICES)
        path = latest_prices(erp)
        assert found == {path.name: path.read_bytes()}
        assert end.complete
        files, end = taken(connector, INVOICES)
        assert files == {
            p.name: p.read_bytes() for p in sorted((erp.folder / "invoices").glob("*.xml"))
        }
        assert end.complete


def test_large_files_and_empty_ones(bare: SftpServer) -> None:
    large = os.urandom(3 * 1024 * 1024 + 17)
    put(bare, "p_1.csv", large)
    put(bare, "p_2.csv", b"")
    put(bare, "p_3.csv", b"x" * 32 * 1024)
    with to_bare(bare) as connector:
        found, _ = taken(connector, source(pick="all"))
        assert found == {"p_1.csv": large, "p_2.csv": b"", "p_3.csv": b"x" * 32 * 1024}


def test_a_growing_file_without_marker_is_not_read_SFTP_1(erp: SftpErp) -> None:
    erp.faults.arm("growing")
    with to(erp) as connector, pytest.raises(NotNow) as error:
        taken(connector, FREE)
    assert error.value.code == "growing"


def test_a_marked_file_that_changes_while_it_is_read_is_not_whole(erp: SftpErp) -> None:
    erp.faults.arm("growing")
    with to(erp) as connector, pytest.raises(Transient) as error:
        taken(connector, PRICES)
    assert error.value.code == "changed"


def test_missing_marker_says_so(erp: SftpErp) -> None:
    erp.faults.arm("no_marker")
    with to(erp) as connector, pytest.raises(NotNow) as error:
        taken(connector, PRICES)
    assert error.value.code == "no_marker"


@pytest.mark.parametrize(
    "name", ["truncated", "schema_changed", "bad_rows", "empty", "bad_trailer"]
)
def test_spoiled_content_is_a_whole_file_to_the_wire(erp: SftpErp, name: str) -> None:
    erp.faults.arm(name)
    with to(erp) as connector:
        ((_, spoiled),) = taken(connector, PRICES)[0].items()
        assert spoiled != latest_prices(erp).read_bytes()
        ((_, sound),) = taken(connector, PRICES)[0].items()
    assert sound == latest_prices(erp).read_bytes()


# the connection


def test_dropped_connection_is_taken_up_where_it_broke_SFTP_6(bare: SftpServer) -> None:
    large = os.urandom(2 * 1024 * 1024)
    put(bare, "p_1.csv", large)
    bare.account.faults.arm("drop")
    with to_bare(bare) as connector:
        assert taken(connector, source())[0] == {"p_1.csv": large}
    assert bare.account.faults.taken == ["drop"]


def test_a_connection_that_always_drops_gives_up(erp: SftpErp) -> None:
    erp.faults.arm("drop", times=None, where="prices")
    with to(erp, tries=2) as connector, pytest.raises(Transient) as error:
        taken(connector, PRICES)
    assert error.value.code == "connection"


def test_a_drop_among_many_small_files_loses_none(erp: SftpErp) -> None:
    erp.faults.arm("drop", where=".xml", after=3, times=2)
    with to(erp) as connector:
        files, end = taken(connector, INVOICES)
    assert len(files) == len(list((erp.folder / "invoices").glob("*.xml")))
    assert end.complete


def test_maintenance_and_refused_sessions_pass_by_themselves(erp: SftpErp) -> None:
    for name in ("maintenance", "rate_limit"):
        erp.faults.arm(name)
        with to(erp) as connector:
            assert taken(connector, PRICES)[1].complete


def test_refused_sessions_that_stay_are_rate_limited(erp: SftpErp) -> None:
    erp.faults.arm("rate_limit", times=None)
    with to(erp, tries=2) as connector, pytest.raises(RateLimited):
        taken(connector, PRICES)


def test_a_server_with_one_session_only_still_gives_all_files(erp: SftpErp) -> None:
    erp.faults.arm("rate_limit", times=None, after=2)
    with to(erp) as connector:
        assert taken(connector, INVOICES)[1].complete


def test_a_server_that_hangs_ends_in_time(erp: SftpErp) -> None:
    erp.faults.arm("hang", times=None, seconds=1.0)
    with to(erp, request_seconds=0.2, tries=2) as connector, pytest.raises(Transient):
        taken(connector, PRICES)


def test_a_read_has_a_deadline(erp: SftpErp) -> None:
    with to(erp, deadline_seconds=0.0) as connector, pytest.raises(Transient) as error:
        taken(connector, PRICES)
    assert error.value.code == "deadline"


# documents


def test_documents_by_path(erp: SftpErp) -> None:
    location = erp.dataset["document"]["location"][0].as_py()
    with to(erp) as connector:
        content = b"".join(connector.fetch(location))
        assert content == (erp.folder / location).read_bytes()
        assert content.startswith(b"%PDF-")
        with pytest.raises(Refused) as missing:
            list(connector.fetch("invoices/none.pdf"))
        assert missing.value.code == "not_found"


def test_errors_travel_between_processes() -> None:
    error: WaybillError = BatchRefused("x", code="trailer", remedy="y")
    assert pickle.loads(pickle.dumps(error)).code == "trailer"  # noqa: S301  pickled one line above
