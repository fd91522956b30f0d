"""Sends one mail through the connection `waybill_mail`. Must not know what it says."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage

from mappings.connection import Connection

MAIL = "waybill_mail"
_SECONDS = 15.0


def send(channel: Connection, message: EmailMessage) -> None:
    """Hand a mail to the server; its `From` is the connection's.

    The connection: `host`, `port`, `login`, `password`; extra `from`, `ca_file` and `tls`
    (`starttls`, `always` or `none`). Raises OSError, smtplib.SMTPException, ValueError.
    """
    extra = channel.extra
    message["From"] = extra.get("from", "waybill@localhost")
    tls = extra.get("tls", "starttls")
    context = ssl.create_default_context(cafile=extra.get("ca_file"))
    port = channel.port or (465 if tls == "always" else 587)
    if tls == "always":
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            channel.host, port, timeout=_SECONDS, context=context
        )
    else:
        server = smtplib.SMTP(channel.host, port, timeout=_SECONDS)
    with server:
        if tls == "starttls":
            server.starttls(context=context)
        if channel.login:
            server.login(channel.login, channel.password or "")
        server.send_message(message)
