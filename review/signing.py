"""The key that signs audit exports: made once, kept beside the other secrets, shown by its public
half. Must not print or log the private one.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mappings.private_files import locked, write_private
from mappings.settings import Settings

_NAME = "audit_signing_key"


def signing_key(settings: Settings) -> Ed25519PrivateKey:
    """The installation's key; made at its first use (0600), never changed afterwards."""
    with locked(settings.secrets / ".lock"):
        path = settings.secrets / _NAME
        if not path.exists():
            write_private(path, Ed25519PrivateKey.generate().private_bytes_raw().hex() + "\n")
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(settings.secret(_NAME)))


def public_key(settings: Settings) -> str:
    """The public half as 64 hexadecimal digits: what an auditor is given by another way."""
    return signing_key(settings).public_key().public_bytes_raw().hex()
