"""SFTP: the bytes of a file over a server that misbehaves, host keys, old servers (SFTP-4 to 8)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from connectors.sftp import SftpConnector
from connectors.sftp_client import Channel, RemoteFile
from connectors.sftp_entries import Entry
from connectors.sftp_reading import Manner, blocks
from connectors.sftp_session import open_session
from mappings.connection import Connection
from mappings.errors import Misconfigured, Transient
from tests.conformance.sftp_server import Folder, Taken, served, source

old = pytest.importorskip("sandbox.sftp.old")
# paramiko asks ahead in a thread of its own, which dies of a connection that is cut
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
LARGE = os.urandom(2 * 1024 * 1024 + 17)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Folder]:
    with served(tmp_path) as found:
        yield found


@pytest.mark.parametrize("fault", ["wrong_size", "no_size"])
def test_SFTP_4_sizes_that_are_not_true_never_hang_and_never_cut(
    server: Folder, fault: str
) -> None:
    server.put("p_1.csv", LARGE)
    server.faults.arm(fault, times=None)
    began = time.monotonic()
    if fault == "no_size":
        assert server.read(source()).files == {"p_1.csv": LARGE}
    else:
        # half as much again is asked for; what came is not what was listed: nothing is believed
        with pytest.raises(Transient) as error:
            server.read(source(), request_seconds=5.0)
        assert error.value.code in {"changed", "connection"}
        found = server.read(source(), extra={"file_sizes": "unknown"})
        assert found.files == {"p_1.csv": LARGE}
    assert time.monotonic() - began < 30


def test_SFTP_4_a_size_that_is_too_small_does_not_cut_the_file(server: Folder) -> None:
    path = server.put("p_1.csv", LARGE)
    with server.connector() as connector:
        pages = connector.read(source(), None)
        page = next(pages)  # listed; not a byte has been read
        with path.open("ab") as more:
            more.write(b"one line more\n")
        with pytest.raises(Transient) as error:
            b"".join(page.content)
        assert error.value.code == "changed"


def test_SFTP_4_a_whole_transfer_has_a_deadline(server: Folder) -> None:
    server.put("p_1.csv", LARGE)
    server.faults.arm("hang", times=None, seconds=0.5)
    began = time.monotonic()
    with pytest.raises(Transient):
        server.read(source(), request_seconds=0.2, tries=2)
    server.faults.disarm()
    with pytest.raises(Transient) as late:
        server.read(source(), deadline_seconds=0.0)
    assert late.value.code == "deadline"
    assert time.monotonic() - began < 20


def test_SFTP_5_no_more_than_a_window_is_asked_ahead(server: Folder) -> None:
    """What was asked for waits in memory: a file larger than that must not."""
    server.put("p_1.csv", LARGE)
    session = open_session(server.connection(), connect_seconds=5, request_seconds=20)
    windows: list[int] = []

    class Watched(Channel):
        def reading(self, path: bytes) -> RemoteFile:
            file = session.sftp.reading(path)
            ask, at = file.prefetch, 0

            def prefetch(size: int, requests: int | None) -> None:
                nonlocal at
                windows.append(size - at)
                at = size
                ask(size, requests)

            file.prefetch = prefetch  # type: ignore[method-assign]
            return file

        def listing(self, folder: bytes, names: str | None) -> Iterator[Entry]:
            return session.sftp.listing(folder, names)

        def close(self) -> None:
            session.sftp.close()

    until = time.monotonic() + 60
    window = Manner(window=600_000)
    found = blocks(session, Watched(), b"out/p_1.csv", len(LARGE), 0, until, window)
    assert b"".join(found) == LARGE
    session.close()
    assert windows == [600_000, 600_000, 600_000, len(LARGE) - 1_800_000]


def test_SFTP_5_a_server_that_bears_few_requests_is_asked_gently(server: Folder) -> None:
    server.put("p_1.csv", LARGE)
    server.faults.arm("few_requests", times=None)
    assert server.read(source()).files == {"p_1.csv": LARGE}
    assert server.faults.taken.count("few_requests") <= 3
    server.faults.disarm()
    for number in range(2, 5):
        server.put(f"p_{number}.csv", LARGE[: 512 * 1024])
    server.faults.arm("few_requests", times=None)
    found = server.read(source(pick="all", files="out/p_[2-4].csv"))
    assert set(found.files.values()) == {LARGE[: 512 * 1024]}


def test_SFTP_6_a_drop_at_sixty_percent_is_taken_up_and_shows_nothing_half(server: Folder) -> None:
    server.put("p_1.csv", LARGE)
    server.faults.arm("drop")
    assert server.read(source()).files == {"p_1.csv": LARGE}
    assert server.faults.taken == ["drop"]
    server.faults.arm("drop", times=None)
    before = len(server.faults.taken)
    with pytest.raises(Transient) as error:
        server.read(source(), tries=3)
    assert error.value.code == "connection"
    assert len(server.faults.taken) - before == 3  # as often as it may, no more


def test_SFTP_7_another_host_key_stops_before_the_password_leaves(server: Folder) -> None:
    server.put("p_1.csv")
    server.faults.arm("changed_host_key")
    with pytest.raises(Misconfigured) as error:
        server.read(source())
    assert error.value.code == "security"
    assert "SHA256:" in error.value.what
    assert server._server.account.sign_ins == 0
    unpinned = Connection("x", "sftp", "127.0.0.1", 1, "u", "p")
    with pytest.raises(Misconfigured) as none, SftpConnector(unpinned, "x") as connector:
        connector.check()
    assert none.value.code == "security"  # no key is ever accepted by itself


def reach(port: int, host_key: str, **extra: str) -> Connection:
    pinned = {"host_key": host_key}
    return Connection("old", "sftp", "127.0.0.1", port, "waybill", "right", extra=pinned | extra)


def test_SFTP_8_an_old_server_is_refused_by_name_and_read_only_where_asked(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "p_1.csv").write_bytes(LARGE)
    server = old.OldServer(tmp_path)
    server.start()
    try:
        strict = reach(server.port, server.host_key_line)
        with pytest.raises(Misconfigured) as refused, SftpConnector(strict, "x") as connector:
            connector.check()
        assert refused.value.code == "unsupported_algorithm"
        told = str(refused.value)
        for offered in ("diffie-hellman-group14-sha1", "ssh-rsa", "aes128-cbc", "hmac-sha1"):
            assert offered in told
        assert '"legacy"' in told
        side = reach(server.port, server.host_key_line, legacy="true")
        with SftpConnector(side, "x", poll_seconds=0.02) as connector:
            assert "WARNING" in connector.check()
            found = Taken(connector, source())
        assert found.files == {"p_1.csv": LARGE}
        assert "SHA-1" in found.end.notes[0]
    finally:
        server.stop()


def test_SFTP_8_the_side_path_pins_the_host_key_and_signs_in_once(tmp_path: Path) -> None:
    server = old.OldServer(tmp_path)
    other = old.OldServer(tmp_path)
    server.start()
    try:
        for there, code in (
            (reach(server.port, other.host_key_line, legacy="true"), "security"),
            (
                Connection(
                    "old",
                    "sftp",
                    "127.0.0.1",
                    server.port,
                    "waybill",
                    "wr0ng",
                    extra={"host_key": server.host_key_line, "legacy": "true"},
                ),
                "auth",
            ),
        ):
            with pytest.raises(Misconfigured) as error, SftpConnector(there, "x") as connector:
                connector.check()
            assert error.value.code == code
            assert "wr0ng" not in str(error.value)
    finally:
        server.stop()


def test_a_certificate_of_the_partners_authority_signs_in(tmp_path: Path) -> None:
    import asyncssh  # noqa: PLC0415  skipped above where it is not installed

    authority = asyncssh.generate_private_key("ssh-ed25519")
    key = asyncssh.generate_private_key("ssh-ed25519")
    certificate = authority.generate_user_certificate(key, "waybill", principals=["waybill"])
    server = old.OldServer(
        tmp_path,
        legacy=False,
        authority=authority.export_public_key().decode().strip(),
    )
    server.start()
    (tmp_path / "out").mkdir()
    secret = key.export_private_key().decode()
    extra = {
        "host_key": server.host_key_line,
        "private_key": secret,
        "certificate": certificate.export_certificate().decode(),
    }
    try:
        there = Connection("x", "sftp", "127.0.0.1", server.port, "waybill", extra=extra)
        with SftpConnector(there, "x") as connector:
            assert "signed in" in connector.check()
        alone = {name: text for name, text in extra.items() if name != "certificate"}
        bare = Connection("x", "sftp", "127.0.0.1", server.port, "waybill", extra=alone)
        with pytest.raises(Misconfigured) as error, SftpConnector(bare, "x") as connector:
            connector.check()
        assert error.value.code == "auth"
        wrong = extra | {"private_key": new_secret()}
        mixed = Connection("x", "sftp", "127.0.0.1", server.port, "waybill", extra=wrong)
        with pytest.raises(Misconfigured), SftpConnector(mixed, "x") as connector:
            connector.check()
    finally:
        server.stop()


def new_secret() -> str:
    from sandbox.sftp.server import new_key  # noqa: PLC0415

    return new_key()


def test_the_fast_cipher_is_asked_for_first(server: Folder) -> None:
    with server.connector() as connector:
        connector.check()
        transport = connector._session()._transport
        assert isinstance(transport, paramiko.Transport)
        assert transport.local_cipher.endswith("gcm@openssh.com")
