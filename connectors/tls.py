"""TLS by a connection: whom we trust, our own certificate (mutual TLS), and how long it lives.

Connection extras, all PEM files: `ca_file` (authorities to trust instead of the system's),
`client_cert_file` (our certificate, its chain behind it), `client_key_file` (its key, where it is
not in the same file), `client_key_password`. Shared by all connectors; must not open a connection.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509

from mappings.errors import Misconfigured

if TYPE_CHECKING:
    from mappings.connection import Connection

WARN: Final = timedelta(days=30)
"""A certificate that ends sooner than this is told of."""

_CLIENT_ALERTS: Final = (
    "certificate expired",
    "certificate required",
    "bad certificate",
    "certificate unknown",
    "certificate revoked",
    "unknown ca",
    "handshake failure",
)
"""What the other side says of our certificate, or of having got none; OpenSSL's words."""


def client_context(connection: Connection, *, now: datetime | None = None) -> ssl.SSLContext:
    """A context that trusts what the connection says and shows its certificate, if it has one.

    `now` for tests. Raises Misconfigured: `auth_cert` where our certificate is over, not yet valid,
    unreadable or not of its key; `tls` where `ca_file` cannot be read.
    """
    authorities = connection.extra.get("ca_file")
    try:
        context = ssl.create_default_context(cafile=authorities or None)
    except OSError as error:  # ssl.SSLError is one: no certificate in the file
        raise Misconfigured(
            f"the authorities in {authorities} cannot be read ({type(error).__name__})",
            code="tls",
            remedy=f'Correct `ca_file` of connection "{connection.id}".',
        ) from None
    certificate = _certificate(connection)
    if certificate is None:
        return context
    at = now or datetime.now(UTC)
    if not certificate.not_valid_before_utc <= at < certificate.not_valid_after_utc:
        over = at >= certificate.not_valid_after_utc
        day = certificate.not_valid_after_utc if over else certificate.not_valid_before_utc
        raise _unusable(connection, f"{'ended' if over else 'begins only'} on {day:%Y-%m-%d}")
    try:
        context.load_cert_chain(
            connection.extra["client_cert_file"],
            connection.extra.get("client_key_file"),
            # never None: OpenSSL would ask for it on the terminal
            password=connection.extra.get("client_key_password", ""),
        )
    except OSError as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise _unusable(connection, f"does not go with its key ({reason})") from None
    return context


def expiry_warning(connection: Connection, *, now: datetime | None = None) -> str | None:
    """One line for the operator where our certificate ends within `WARN`; else None.

    Raises Misconfigured (`auth_cert`) where it cannot be read.
    """
    certificate = _certificate(connection)
    if certificate is None:
        return None
    left = certificate.not_valid_after_utc - (now or datetime.now(UTC))
    if left >= WARN:
        return None
    return (
        f'the client certificate of connection "{connection.id}" ends on '
        f"{certificate.not_valid_after_utc:%Y-%m-%d} ({max(left.days, 0)} days left): "
        "ask the ERP's owner for a new one now"
    )


def refusal(connection: Connection, error: BaseException) -> Misconfigured | None:
    """What a failed exchange says about certificates; None where it is about something else.

    Looks through the causes of `error`: wire libraries wrap what OpenSSL said. A certificate that
    is refused stays refused, so this is never worth another try.
    """
    cause: BaseException | None = error
    for _ in range(8):
        if cause is None:
            return None
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Misconfigured(
                f"the server's certificate is not trusted ({cause.verify_message})",
                code="tls",
                remedy="Ask the ERP's owner; if the authority is its own, name it in `ca_file` "
                f'of connection "{connection.id}".',
            )
        if isinstance(cause, ssl.SSLError):
            plain = str(cause.reason or cause).lower().replace("_", " ")
            if any(alert in plain for alert in _CLIENT_ALERTS):
                if "client_cert_file" not in connection.extra:
                    return _unusable(connection, "is missing, and the server wants one")
                return _unusable(connection, f"was refused by the server ({plain})")
        cause = cause.__cause__ or cause.__context__
    return None


def _certificate(connection: Connection) -> x509.Certificate | None:
    """The first certificate of the file: ours; what follows is its chain."""
    name = connection.extra.get("client_cert_file")
    if not name:
        return None
    try:
        return x509.load_pem_x509_certificates(Path(name).read_bytes())[0]
    except OSError as error:
        raise _unusable(connection, f"cannot be read ({error.strerror}: {name})") from None
    except ValueError:
        raise _unusable(connection, f"cannot be read (no PEM certificate in {name})") from None


def _unusable(connection: Connection, why: str) -> Misconfigured:
    return Misconfigured(
        f'the client certificate of connection "{connection.id}" {why}',
        code="auth_cert",
        remedy="Put a valid one into `client_cert_file` and its key into `client_key_file`.",
    )
