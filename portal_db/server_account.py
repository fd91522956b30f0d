"""The operating-system account that the embedded PostgreSQL runs as.

PostgreSQL refuses to run as root. As any other user the server runs as that user and nothing
here does anything; as root it runs as the owner of the data folder, else `postgres`, else an
account made for it. Must not: open a folder for reading to anybody (only for passing through).
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mappings.errors import Misconfigured

ACCOUNT_TO_MAKE = "waybill-postgres"


@dataclass(frozen=True, slots=True)
class ServerAccount:
    """Numeric user and group of the server; `switch` where we are root and they are not ours."""

    uid: int
    gid: int
    switch: bool

    @classmethod
    def choose(cls, data: Path) -> ServerAccount:
        """The account for the data folder `data`, which need not exist yet.

        Raises Misconfigured where we are root and no other account exists or can be made, or
        where the folder belongs to somebody else.
        """
        owner = data.stat() if data.exists() else None
        if os.geteuid() != 0:
            if owner is not None and owner.st_uid != os.geteuid():
                raise Misconfigured(
                    f"{data} belongs to another user (number {owner.st_uid})",
                    remedy="Run as that user or as root, or choose another WAYBILL_HOME.",
                )
            return cls(os.geteuid(), os.getegid(), switch=False)
        if owner is not None and owner.st_uid != 0:
            return cls(owner.st_uid, owner.st_gid, switch=True)
        entry = _entry("postgres") or _entry(ACCOUNT_TO_MAKE) or _make_account()
        return cls(entry.pw_uid, entry.pw_gid, switch=True)

    def run(self, command: list[Path | str], output: IO[bytes] | int) -> int:
        """Run a program of PostgreSQL as the account; returns its exit code.

        `output` takes what it and whatever it leaves running write. The variables of libpq in
        our own environment (PGDATA, PGHOST …) do not reach it.
        """
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        finished = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={**environment, "LC_ALL": "C"},
            check=False,
            user=self.uid if self.switch else None,
            group=self.gid if self.switch else None,
            extra_groups=[] if self.switch else None,
            umask=0o077,
        )
        return finished.returncode

    def own(self, path: Path) -> None:
        """Hand `path` to the account."""
        if self.switch:
            os.chown(path, self.uid, self.gid)

    def write(self, path: Path, text: str) -> None:
        """Replace the file `path` of the account by `text`."""
        new = path.with_name(f"{path.name}.new")
        new.write_text(text, encoding="utf-8")
        new.chmod(0o600)
        self.own(new)
        new.replace(path)

    def make_private_folder(self, folder: Path) -> None:
        """Make `folder` 0700 for the account; refuses one that somebody else put there first."""
        try:
            folder.mkdir(mode=0o700)
            self.own(folder)
        except FileExistsError:
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (self.uid, os.geteuid()):
                raise Misconfigured(
                    f"{folder} is not ours", remedy="Remove it, or choose a shorter WAYBILL_HOME."
                ) from None
            self.own(folder)
            folder.chmod(0o700)

    def let_reach(self, home: Path, programs: Path) -> None:
        """As root: let the account pass through the folders above its data and its programs.

        Adds the search bit and no other, and only where it is missing: names can be reached, not
        listed. The programs themselves must be readable, which an install under umask 077 is not.
        """
        if not self.switch:
            return
        for folder in (home, *home.resolve().parents, *programs.resolve().parents):
            mode = folder.stat().st_mode
            if not mode & stat.S_IXOTH:
                folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
        if programs.stat().st_mode & stat.S_IROTH:
            return
        for path in (programs.parent, *programs.parent.rglob("*")):
            if not path.is_symlink():
                mode = stat.S_IMODE(path.stat().st_mode)
                search = stat.S_IXOTH if mode & stat.S_IXUSR else 0
                path.chmod(mode | stat.S_IROTH | search)


def _entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _make_account() -> pwd.struct_passwd:
    program = shutil.which("useradd") or shutil.which("useradd", path="/usr/sbin:/sbin")
    if program is not None:
        options = ["--system", "--user-group", "--no-create-home", "--shell", "/bin/false"]
        subprocess.run([program, *options, ACCOUNT_TO_MAKE], check=False, capture_output=True)
    entry = _entry(ACCOUNT_TO_MAKE)
    if entry is None:
        raise Misconfigured(
            "PostgreSQL cannot run as root, and there is no other account for it",
            remedy=f"Make one (adduser -S {ACCOUNT_TO_MAKE}), or run as another user than root.",
        )
    return entry
