"""Files of a folder of this machine: chosen as over SFTP, read whole, never left."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors import open_connector
from connectors.folder import FolderConnector
from connectors.protocol import End
from mappings.connection import Connection
from mappings.errors import Misconfigured, NotNow, Refused, Transient
from mappings.sources import SftpSource
from mappings.sources.sftp import CsvFormat

CSV = CsvFormat(kind="csv")


def source(**words: object) -> SftpSource:
    return SftpSource(protocol="files", files="out/prices_*.csv", format=CSV, **words)  # pyright: ignore[reportArgumentType]


def connector(folder: Path) -> FolderConnector:
    (folder / "out").mkdir(exist_ok=True)
    return FolderConnector(
        Connection("x", "fs", "", extra={"path": str(folder)}), "x", poll_seconds=0.05
    )


def taken(one: FolderConnector, wanted: SftpSource) -> tuple[dict[str, bytes], End]:
    pages = one.read(wanted, None)
    found: dict[str, bytes] = {}
    while True:
        try:
            page = next(pages)
        except StopIteration as stop:
            return found, stop.value
        found[page.name] = b"".join(page.content)


def test_the_latest_file_with_its_marker_is_read_to_its_end(tmp_path: Path) -> None:
    there = connector(tmp_path)
    for number in (2, 10):
        (tmp_path / "out" / f"prices_{number}.csv").write_bytes(b"a;b\n" * number)
        (tmp_path / "out" / f"prices_{number}.csv.done").touch()
    (tmp_path / "out" / "prices_11.csv").write_bytes(b"half")
    files, end = taken(there, source(marker=".done", pick="all"))
    assert files == {"prices_2.csv": b"a;b\n" * 2, "prices_10.csv": b"a;b\n" * 10}
    assert not end.complete
    (tmp_path / "out" / "prices_11.csv").unlink()
    files, end = taken(there, source(marker=".done"))
    assert list(files) == ["prices_10.csv"]
    assert end.complete
    assert "files in it" in there.check()


def test_a_file_that_grows_is_left_for_the_next_time(tmp_path: Path) -> None:
    there = connector(tmp_path)
    path = tmp_path / "out" / "prices_1.csv"
    path.write_bytes(b"x" * 3_000_000)
    pages = there.read(source(marker=None), None)
    content = iter(next(pages).content)
    next(content)
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(Transient) as raised:
        list(content)
    assert raised.value.code == "changed"


def test_no_file_and_no_folder_are_two_things(tmp_path: Path) -> None:
    there = connector(tmp_path)
    with pytest.raises(NotNow):
        taken(there, source())
    (tmp_path / "out").rmdir()
    with pytest.raises(Misconfigured) as raised:
        taken(there, source())
    assert raised.value.code == "path"
    with pytest.raises(Misconfigured):
        FolderConnector(Connection("x", "fs", ""), "x")


def test_links_and_paths_do_not_lead_out(tmp_path: Path) -> None:
    """A link to a file elsewhere is no file of the folder."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    top = tmp_path / "top"
    top.mkdir()
    there = connector(top)
    (top / "out" / "prices_1.csv").symlink_to(secret)
    (top / "link").symlink_to(secret)
    with pytest.raises(NotNow):
        taken(there, source())
    for location in ("../secret", "/etc/passwd", "link"):
        with pytest.raises(Refused):
            list(there.fetch(location))


def test_it_is_opened_by_the_protocol_files(tmp_path: Path) -> None:
    connection = Connection("x", "fs", "", extra={"path": str(tmp_path)})
    with open_connector(connection, "files", "x") as one:
        assert str(tmp_path) in one.check()
