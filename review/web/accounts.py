"""People who may sign in at the desk where it runs alone: a file only its owner may read.

A password is kept as scrypt's answer with a salt of its own. Must not log or show one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from mappings.errors import Misconfigured
from mappings.private_files import locked, write_private
from mappings.settings import Settings
from review.web.gate import Role

SHORTEST, LONGEST = 12, 128
_N, _R, _P = 2**15, 8, 1  # 32 MiB and some 80 ms a try
_MEMORY = 64 * 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


@dataclass(frozen=True, slots=True)
class Account:
    """One person. `stamp` changes with the password: sessions from before are then over."""

    name: str
    role: Role
    salt: bytes
    digest: bytes

    @property
    def stamp(self) -> str:
        """What a session of this account carries."""
        return hashlib.sha256(self.salt + self.digest + self.role.encode()).hexdigest()[:24]


def accounts_file(settings: Settings) -> Path:
    """JSON object: name → role, salt, digest; mode 0600."""
    return settings.secrets / "desk_users.json"


def read_accounts(settings: Settings) -> dict[str, Account]:
    """Name → account; none where nobody was added."""
    try:
        found = json.loads(accounts_file(settings).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return {
        name: Account(
            name, one["role"], base64.b64decode(one["salt"]), base64.b64decode(one["digest"])
        )
        for name, one in found.items()
    }


def set_account(settings: Settings, name: str, role: Role, password: str) -> bool:
    """Add a person, or give one another role and password; True where the name is new.

    Raises Misconfigured where the name or the password will not do.
    """
    if not _NAME.fullmatch(name):
        raise Misconfigured(
            f"{name!r} is no name for an account",
            code="account",
            remedy="Letters, digits and . _ @ - , 64 at the most.",
        )
    if not SHORTEST <= len(password) <= LONGEST:
        raise Misconfigured(
            f"a password has {SHORTEST} to {LONGEST} characters",
            code="password",
            remedy="A few words together are long, and easy to keep in mind.",
        )
    salt = secrets.token_bytes(16)
    one = {
        "role": role,
        "salt": base64.b64encode(salt).decode(),
        "digest": base64.b64encode(_digest(password, salt)).decode(),
    }
    return _change(settings, name, one)


def remove_account(settings: Settings, name: str) -> None:
    """Take a person away; their sessions end at once. Raises Misconfigured for an unknown one."""
    if _change(settings, name, None):
        raise Misconfigured(f"there is no account {name!r}", code="account")


def signed_in(settings: Settings, name: str, password: str) -> Account | None:
    """The account whose password this is; takes as long for a name that does not exist."""
    known = read_accounts(settings).get(name)
    salt = known.salt if known else b"nobody has this."
    digest = _digest(password[:LONGEST], salt)
    if known is None or not hmac.compare_digest(digest, known.digest):
        return None
    return known


def _change(settings: Settings, name: str, one: dict[str, str] | None) -> bool:
    path = accounts_file(settings)
    with locked(settings.secrets / ".lock"):
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        new = name not in found
        if one is None:
            found.pop(name, None)
        else:
            found[name] = one
        write_private(path, json.dumps(found, indent=2, sort_keys=True) + "\n")
    return new


def _digest(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=_N, r=_R, p=_P, maxmem=_MEMORY, dklen=32)
