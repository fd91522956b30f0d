"""One large file over SFTP: our connector against OpenSSH's own client, from the same sshd.

`python bench/wire_sftp.py --megabytes 300 --rounds 3`. A server of OpenSSH is started on loopback
for this alone; both clients read the file to its end and throw it away, in turns. Says plainly
where OpenSSH is not installed. Must not write anywhere but into its own temporary folder.
"""

from __future__ import annotations

import argparse
import getpass
import hashlib
import json
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from connectors.sftp import SftpConnector
from mappings.connection import Connection
from mappings.sources.sftp import CsvFormat, SftpSource

SSHD = "/usr/sbin/sshd"
SOURCE = SftpSource(
    protocol="sftp", files="out/p_*.bin", marker=".done", format=CsvFormat(kind="csv")
)


def key(path: Path) -> str:
    """A new Ed25519 key; its public line."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(command, check=True)
    return path.with_name(path.name + ".pub").read_text().strip()


@contextmanager
def server(folder: Path) -> Iterator[tuple[int, str]]:
    """An sshd of this user's own: port and host key."""
    host, mine = key(folder / "host"), key(folder / "mine")
    (folder / "authorized").write_text(mine + "\n")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    config = folder / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile {folder}/pid\n"
        f"AuthorizedKeysFile {folder}/authorized\nStrictModes no\nUsePAM no\n"
        "PermitRootLogin prohibit-password\nPasswordAuthentication no\n"
        f"Subsystem sftp internal-sftp -d {folder}/files\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)  # sshd will not start without it
    process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(config)], stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port, " ".join(host.split()[:2])
    finally:
        process.terminate()
        process.wait(10)


def with_openssh(folder: Path, port: int, cipher: str) -> float:
    """Seconds of `sftp get`."""
    command = [
        "sftp", "-q", "-P", str(port), "-i", str(folder / "mine"), "-o", "BatchMode=yes",
        "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={folder}/known",
        "-o", f"Ciphers={cipher}", "-b", "-", f"{getpass.getuser()}@127.0.0.1",
    ]  # fmt: skip
    began = time.monotonic()
    subprocess.run(
        command, input=b"get out/p_1.bin /dev/null\n", check=True, stdout=subprocess.DEVNULL
    )
    return time.monotonic() - began


def with_ours(connection: Connection, sha256: str) -> float:
    """Seconds of the connector, signing in and listing included; every byte is compared."""
    began = time.monotonic()
    digest = hashlib.sha256()
    with SftpConnector(connection, "x") as connector:
        for page in connector.read(SOURCE, None):
            for block in page.content:
                digest.update(block)
    took = time.monotonic() - began
    if digest.hexdigest() != sha256:
        message = "the bytes are not those of the file"
        raise AssertionError(message)
    return took


def _children_seconds() -> float:
    """Processor seconds of the clients that have ended; the server still runs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _highest_mb() -> float:
    """The most memory that this process ever had; getrusage would tell its parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (one for one in status.splitlines() if one.startswith("VmHWM:"))
    return round(int(line.split()[1]) / 1024, 1)


def main() -> int:
    """Measure and print; 3 where OpenSSH is not there."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--megabytes", type=int, default=300)
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--cipher", default="aes128-gcm@openssh.com")
    asked.add_argument("--json", type=Path)
    given = asked.parse_args()
    missing = [name for name in (SSHD, "sftp", "ssh-keygen") if shutil.which(name) is None]
    if missing:
        print(f"not measured: {', '.join(missing)} not installed (openssh-client, openssh-server)")
        return 3
    with tempfile.TemporaryDirectory(prefix="waybill-sftp-") as name:
        folder = Path(name)
        out = folder / "files" / "out"
        out.mkdir(parents=True)
        block = os.urandom(1 << 20)
        digest = hashlib.sha256()
        with (out / "p_1.bin").open("wb") as file:
            for _ in range(given.megabytes):
                file.write(block)
                digest.update(block)
        (out / "p_1.bin.done").touch()
        with server(folder) as (port, host):
            connection = Connection(
                "x",
                "sftp",
                "127.0.0.1",
                port,
                getpass.getuser(),
                extra={"host_key": host, "private_key_file": str(folder / "mine")},
            )
            theirs, ours, cpu, client = [], [], [], []
            children, imported = _children_seconds(), _highest_mb()
            for _ in range(given.rounds):
                theirs.append(with_openssh(folder, port, given.cipher))
                children, spent = _children_seconds(), _children_seconds() - children
                client.append(spent)
                before = time.process_time()
                ours.append(with_ours(connection, digest.hexdigest()))
                cpu.append(time.process_time() - before)
    found = {
        "megabytes": given.megabytes,
        "openssh_seconds": [round(t, 2) for t in theirs],
        "ours_seconds": [round(t, 2) for t in ours],
        "openssh_client_cpu_seconds": [round(t, 2) for t in client],
        "ours_cpu_seconds": [round(t, 2) for t in cpu],
        "imported_mb": imported,
        "peak_mb": _highest_mb(),
        "ratio_of_medians": round(statistics.median(ours) / statistics.median(theirs), 2),
        "ratio_of_fastest": round(min(ours) / min(theirs), 2),
    }
    print(json.dumps(found))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
