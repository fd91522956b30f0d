"""Keys of an SFTP connection: the pinned host key, the private key, its certificate.

Must not open a connection, and must never show a secret.
"""

from __future__ import annotations

import base64
import binascii
import io
from pathlib import Path

import paramiko

from mappings.connection import Connection
from mappings.errors import Misconfigured


def pinned_key(connection: Connection) -> tuple[str, bytes]:
    """(type, bytes) of the host key that the connection pins."""
    words = connection.extra.get("host_key", "").split()
    try:
        kind, raw = words[0], base64.b64decode(words[1], validate=True)
    except (IndexError, binascii.Error) as error:
        raise Misconfigured(
            "no host key is pinned, so the server cannot be told from another",
            code="security",
            remedy="Ask the ERP's owner for the server's public key and put it, as "
            f'"ssh-ed25519 AAAA…", into `host_key` of the extra of connection "{connection.id}".',
        ) from error
    return kind, raw


def key_text(connection: Connection, word: str = "private_key") -> str | None:
    """The text of a key or certificate that the connection holds, or names a file of; else None."""
    text = connection.extra.get(word)
    file = connection.extra.get(f"{word}_file")
    if text is not None or file is None:
        return text
    try:
        return Path(file).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(
            f"the {word.replace('_', ' ')} file cannot be read ({type(error).__name__})",
            code="auth",
            remedy=f'Correct `{word}_file` of connection "{connection.id}".',
        ) from error


def private_key(connection: Connection) -> paramiko.PKey | None:
    """The private key of the connection, of whatever type it is, with the certificate that its
    owner's authority gave for it; None where there is none.
    """
    text = key_text(connection)
    if text is None:
        return None
    key = _read(text, connection)
    certificate = key_text(connection, "certificate")
    if certificate is None:
        return key
    try:
        key.load_certificate(certificate.strip())
    except (paramiko.SSHException, ValueError, IndexError, OSError) as error:
        raise Misconfigured(
            "the certificate cannot be read, or is for another key",
            code="auth",
            remedy=f'Correct `certificate` of connection "{connection.id}".',
        ) from error
    return key


def _read(text: str, connection: Connection) -> paramiko.PKey:
    phrase = connection.extra.get("private_key_passphrase")
    for kind in (paramiko.Ed25519Key, paramiko.RSAKey, paramiko.ECDSAKey):
        try:
            return kind.from_private_key(io.StringIO(text), password=phrase)
        except paramiko.PasswordRequiredException:
            break
        except (paramiko.SSHException, ValueError, IndexError):
            continue
    raise Misconfigured(
        "the private key cannot be read: no Ed25519, RSA or ECDSA key, or a wrong passphrase",
        code="auth",
        remedy="Correct `private_key` and `private_key_passphrase` of connection "
        f'"{connection.id}".',
    )
