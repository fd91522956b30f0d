"""Telling people: by e-mail and by a webhook, once when it begins, grows tenfold, or ends.

Where to: the connections `waybill_mail` (SMTP) and `waybill_alerts` (a webhook); without them an
alert is a row and a line in the log. A channel that fails is tried again by the next round. Must
not tell anybody of every single failure, and must hold no secret in a text.
"""

from __future__ import annotations

import json
import logging
import smtplib
import urllib.error
import urllib.request
from email.message import EmailMessage

from mappings.connection import Connection
from mappings.errors import Misconfigured
from portal_db import alerts as stored
from portal_db.alerts import Alert, News
from sync.connection import resolve
from sync.context import Context
from sync.mail import MAIL, send

log = logging.getLogger(__name__)

WEBHOOK = "waybill_alerts"
_SECONDS = 15.0
_LONGEST = 2000
_AT = "%Y-%m-%d %H:%M:%S"


def raised(ctx: Context, alert: Alert, times: int = 1) -> None:
    """Note that it happened. Whoever runs `tell` tells people."""
    log.warning("%s", alert.says, extra={"erp": alert.erp or "", "feed": alert.feed or ""})
    with ctx.connection() as connection:
        stored.raised(connection, alert, times)


def recovered(ctx: Context, fingerprint: str) -> bool:
    """Note that it is over."""
    with ctx.connection() as connection:
        return stored.recovered(connection, fingerprint)


def tell(ctx: Context) -> list[News]:
    """Tell people what is news; returns what was told. What cannot be told stays news."""
    channels = _channels(ctx)
    with ctx.connection() as connection:
        news = stored.claim_news(connection)
    said = []
    for one in news:
        if not all(_told(channel, one) for channel in channels):
            continue  # its claim runs out, and the next round tries again
        with ctx.connection() as connection:
            stored.told(connection, one)
        said.append(one)
    return said


def subject(news: News) -> str:
    """One line for a person's list of mails."""
    where = "/".join(part for part in (news.alert.erp, news.alert.feed) if part)
    sign = {"began": "Alert", "grew": f"Still failing ({news.times} times)", "ended": "Recovered"}
    text = f"[waybill] {sign[news.what]}: {where + ': ' if where else ''}{news.alert.says}"
    return " ".join(text.split())[:200]


def text(news: News) -> str:
    """What a person needs: what, since when, how often, what to do."""
    lines = [
        news.alert.says[:_LONGEST],
        "",
        f"Since {news.first_at:{_AT}} UTC, {news.times} times, last at {news.last_at:{_AT}}.",
    ]
    if news.recovered_at is not None:
        lines.append(f"Over since {news.recovered_at:{_AT}} UTC. Nothing to do.")
    elif news.alert.remedy:
        lines += ["", news.alert.remedy[:_LONGEST]]
    lines += ["", "You hear of this again when it has grown tenfold, and when it is over."]
    return "\n".join(lines)


def _channels(ctx: Context) -> list[Connection]:
    found = []
    for name in (MAIL, WEBHOOK):
        try:
            found.append(resolve(ctx.settings, name))
        except Misconfigured as error:
            if error.code != "connection":
                raise
    return found


def _told(channel: Connection, news: News) -> bool:
    try:
        if channel.id == MAIL:
            _mail(channel, news)
        else:
            _post(channel, news)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        log.warning("%s: not told (%s): %s", channel.id, type(error).__name__, news.alert.says)
        return False
    return True


def _mail(channel: Connection, news: News) -> None:
    message = EmailMessage()
    message["Subject"] = subject(news)
    message["To"] = channel.extra.get("to", "")
    message["X-Waybill-Fingerprint"] = " ".join(news.alert.fingerprint.split())[:200]
    message.set_content(text(news))
    send(channel, message)


def _post(channel: Connection, news: News) -> None:
    """JSON to the extra `url`; the password, where there is one, as a bearer token."""
    url = channel.extra.get("url", "")
    if not url.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        message = "`url` of the connection must begin with https://"
        raise ValueError(message)
    body = {
        "what": news.what,
        "fingerprint": news.alert.fingerprint,
        "kind": news.alert.kind,
        "erp": news.alert.erp,
        "feed": news.alert.feed,
        "text": subject(news),
        "says": news.alert.says[:_LONGEST],
        "remedy": news.alert.remedy,
        "times": news.times,
        "first_at": news.first_at.isoformat(),
        "last_at": news.last_at.isoformat(),
        "recovered_at": news.recovered_at.isoformat() if news.recovered_at else None,
    }
    headers = {"Content-Type": "application/json"}
    if channel.password:
        headers["Authorization"] = f"Bearer {channel.password}"
    request = urllib.request.Request(  # noqa: S310  checked above
        url, data=json.dumps(body).encode(), headers=headers
    )
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310  as above
            answer.read(1000)
    except urllib.error.HTTPError as error:
        with error:
            message = f"the webhook answered {error.code}"
            raise ValueError(message) from None
