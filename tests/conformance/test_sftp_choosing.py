"""SFTP: which files are read and when they are whole (SFTP-1, 2, 9 to 12, 14, 16)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mappings.errors import BatchRefused, Misconfigured, NotNow, Refused, Transient
from tests.conformance.sftp_server import Folder, served, source


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Folder]:
    with served(tmp_path) as found:
        yield found


NUMBERED = source(order=r"p_(\d+)", pick="all")


def test_SFTP_1_a_file_that_grows_is_not_read_with_or_without_a_marker(server: Folder) -> None:
    server.put("p_1.csv", b"A\n1\n2\n")
    server.faults.arm("growing")
    with pytest.raises(NotNow) as growing:
        server.read(source())
    assert growing.value.code == "growing"
    # a marker that was written too early: what is read is compared with what was listed
    server.faults.disarm()
    server.put("p_1.csv.done", b"")
    server.faults.arm("growing")
    with pytest.raises(Transient) as changed:
        server.read(source(marker=".done"))
    assert changed.value.code == "changed"
    # a temporary name does not match the pattern; renaming it is what makes it a file
    server.faults.disarm()
    beside = server.put(".p_2.csv.part")
    assert list(server.read(source()).files) == ["p_1.csv"]
    beside.rename(server.out / "p_2.csv")
    assert list(server.read(source()).files) == ["p_2.csv"]


def test_SFTP_2_markers_missing_alone_or_old_are_three_alerts_once_they_are_late(
    server: Folder,
) -> None:
    of = source(marker=".done", marker_minutes=30)

    def said() -> tuple[type[Exception], str | None]:
        with pytest.raises((NotNow, Misconfigured)) as error:
            server.read(of)
        assert error.value.remedy
        return type(error.value), error.value.code

    young, late = 60.0, 3_600.0
    for age, kind in ((young, NotNow), (late, Misconfigured)):
        server.put("p_1.csv", age=age)
        assert said() == (kind, "no_marker")
    server.put("p_1.csv.done", b"", age=young)
    assert list(server.read(of).files) == ["p_1.csv"]
    for age, kind in ((young, NotNow), (late, Misconfigured)):
        server.put("p_1.csv", age=age)
        server.put("p_1.csv.done", b"", age=age + 1_000)
        assert said() == (kind, "stale_marker")
    server.put("p_1.csv.done", b"")
    for age, kind in ((young, NotNow), (late, Misconfigured)):
        server.put("p_2.csv.done", b"", age=age)
        assert said() == (kind, "marker_without_file")


def test_SFTP_9_ten_thousand_files_are_listed_streaming_and_ordered_by_number(
    server: Folder,
) -> None:
    for number in range(10_000):
        (server.out / f"q_{number}.txt").touch()
    for name, age in (("p_10.csv", 900), ("p_9.csv", 0), ("p_2.csv", 50), ("p_9b.csv", 500)):
        server.put(name, age=age)
    began = time.monotonic()
    found = server.read(NUMBERED)
    # two of number 9: the older first
    assert list(found.files) == ["p_2.csv", "p_9b.csv", "p_9.csv", "p_10.csv"]
    assert time.monotonic() - began < 30
    with server.connector() as connector:
        entries = connector._list("out")
        assert next(entries).name  # the first is there before the last was asked for
        entries.close()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  a generator


def test_SFTP_10_all_matches_come_and_later_all_that_are_new(server: Folder) -> None:
    for number in (11, 9, 10):
        server.put(f"p_{number}.csv")
    first = server.read(NUMBERED)
    assert list(first.files) == ["p_9.csv", "p_10.csv", "p_11.csv"]
    assert first.end.cursor == "p_11.csv"
    for number in (13, 12):
        server.put(f"p_{number}.csv")
    assert list(server.read(NUMBERED, first.end.cursor).files) == ["p_12.csv", "p_13.csv"]
    again = source(order=r"p_(\d+)", pick="all", again=1)
    assert list(server.read(again, "p_12.csv").files) == ["p_12.csv", "p_13.csv"]
    nothing = server.read(NUMBERED, "p_13.csv")
    assert (nothing.files, nothing.end.cursor, nothing.end.complete) == ({}, None, False)


def test_SFTP_10_a_file_without_marker_holds_back_those_behind_it(server: Folder) -> None:
    of = source(order=r"p_(\d+)", pick="all", marker=".done")
    for name in ("p_1.csv", "p_1.csv.done", "p_2.csv", "p_3.csv", "p_3.csv.done"):
        server.put(name)
    first = server.read(of)
    assert (list(first.files), first.end.cursor) == (["p_1.csv"], "p_1.csv")
    server.put("p_2.csv.done")
    assert list(server.read(of, first.end.cursor).files) == ["p_2.csv", "p_3.csv"]


def test_SFTP_11_a_missing_number_stops_a_feed_that_is_declared_gapless(server: Folder) -> None:
    gapless = source(order=r"p_(\d+)", pick="all", gapless=True)
    for number in ("040", "041", "043"):
        server.put(f"p_{number}.csv")
    assert len(server.read(NUMBERED).files) == 3  # not declared: nobody minds
    for since in (None, "p_040.csv", "p_041.csv"):
        with pytest.raises(BatchRefused) as gap:
            server.read(gapless, since)
        assert gap.value.code == "gap"
        assert "42" in gap.value.what
    server.put("p_042.csv")
    assert list(server.read(gapless, "p_041.csv").files) == ["p_042.csv", "p_043.csv"]
    # the last file read may be gone from the folder: its number still counts
    for number in ("040", "041", "042", "043"):
        (server.out / f"p_{number}.csv").unlink()
    server.put("p_045.csv")
    with pytest.raises(BatchRefused):
        server.read(gapless, "p_043.csv")
    with pytest.raises(Misconfigured):
        server.read(source(gapless=True))


def test_SFTP_12_nothing_on_the_server_is_moved_or_needs_to_be(server: Folder) -> None:
    for number in (1, 2):
        server.put(f"p_{number}.csv")
    server.out.chmod(0o555)
    before = sorted((p, p.stat().st_mtime_ns) for p in server.out.iterdir())
    first = server.read(NUMBERED)
    assert list(server.read(NUMBERED, first.end.cursor).files) == []
    assert sorted((p, p.stat().st_mtime_ns) for p in server.out.iterdir()) == before
    server.out.chmod(0o755)


def test_SFTP_14_names_of_any_bytes_are_read_and_paths_that_climb_refused(tmp_path: Path) -> None:
    old = pytest.importorskip("sandbox.sftp.old")
    out = tmp_path / "out"
    out.mkdir()
    turkish = "p_Şubat 1.csv".encode("cp1254")
    for name in (turkish, b"p_plain 2.csv", "other_ğ.txt".encode("cp1254")):
        (out / os.fsdecode(name)).write_bytes(b"A\n1\n")
    server = old.OldServer(tmp_path, legacy=False)
    server.start()
    try:
        for names, shown in ((None, "p_\\xdeubat 1.csv"), ("cp1254", "p_Şubat 1.csv")):
            with served(tmp_path / f"unused{names}") as unused:
                there = unused.connection(host_key=server.host_key_line)
            extra = there.extra | ({} if names is None else {"file_names": names})
            found = _read_from(server.port, extra)
            assert found == {"p_plain 2.csv": b"A\n1\n", shown: b"A\n1\n"}
    finally:
        server.stop()


def _read_from(port: int, extra: dict[str, str]) -> dict[str, bytes]:
    from connectors.sftp import SftpConnector  # noqa: PLC0415
    from mappings.connection import Connection  # noqa: PLC0415
    from tests.conformance.sftp_server import Taken  # noqa: PLC0415

    there = Connection("x", "sftp", "127.0.0.1", port, "waybill", "right", extra=extra)
    with SftpConnector(there, "x", poll_seconds=0.02) as connector:
        return Taken(connector, source(pick="all")).files


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "out/../../x", "", "a\0b"])
def test_SFTP_14_a_document_whose_path_climbs_is_refused(server: Folder, location: str) -> None:
    with server.connector() as connector:
        with pytest.raises(Refused) as no:
            list(connector.fetch(location))
        assert no.value.code == "path"
    with pytest.raises(Misconfigured):
        server.read(source(files="../*.csv"))


def test_SFTP_16_times_of_a_server_in_another_zone_do_not_decide(server: Folder) -> None:
    # the newest number has the oldest time, as after a clock change or a restored backup
    for number, age in ((1, -3 * 3_600), (2, 0), (3, 10 * 3_600)):
        server.put(f"p_{number}.csv", age=age)
    assert list(server.read(source()).files) == ["p_3.csv"]
    assert list(server.read(NUMBERED, "p_1.csv").files) == ["p_2.csv", "p_3.csv"]
    os.utime(server.out / "p_3.csv", (0, 0))
    assert list(server.read(source()).files) == ["p_3.csv"]
