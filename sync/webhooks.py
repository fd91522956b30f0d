"""An ERP's call: is it proved, what is it about, and was it here before?

Pure reading of headers and body, then one transaction. Comparisons of secrets take constant time.
Must not wake anything while the ERP waits: `sync/wake.py` does that afterwards.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from mappings.errors import Misconfigured
from mappings.private_files import WEBHOOK_KEY
from mappings.settings import Settings
from mappings.webhooks import Webhooks
from portal_db.webhooks import Event, take_events
from sync.connection import resolve
from sync.context import Context

_BOM = b"\xef\xbb\xbf"
_LONGEST_ID = 200


class NotProved(Exception):
    """The call does not prove that it comes from the ERP. Says nothing of why, to nobody."""


class Unreadable(Exception):
    """A proved call whose body is not what the mapping says: what changed is not known."""


def take_call(ctx: Context, erp: str, headers: Mapping[str, str], body: bytes) -> tuple[int, int]:
    """Write a call's events down; returns how many came and how many are new.

    `headers`: names in lower case. Raises NotProved, Unreadable; Misconfigured for an ERP without
    webhooks.
    """
    mapping = ctx.erp(erp)
    words = mapping.webhooks
    if words is None:
        raise Misconfigured(f"{erp} has no webhooks", erp=erp, code="mapping")
    if words.proof == "hmac_sha256":
        secret = resolve(ctx.settings, mapping.connection).extra.get("webhook_secret", "")
        if not secret or not signed(body, headers.get(words.header.lower(), ""), secret):
            raise NotProved
    found = _entries(body, words)
    if words.proof == "client_state":
        for entry in found:
            expected = client_state(ctx.settings, erp, str(entry.get(words.resource, "")), words)
            given = str(entry.get("clientState", ""))
            if not hmac.compare_digest(given.encode(), expected.encode()):
                raise NotProved
        if not found:
            raise NotProved  # nothing in it, so nothing proves it
    events = [_event(entry, words, headers) for entry in found]
    with ctx.connection() as connection:
        return len(events), take_events(connection, erp, events)


def signed(body: bytes, signature: str, secret: str) -> bool:
    """Is this the HMAC-SHA256 of the bytes as they came, in hex or base64, `sha256=` or not?"""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    given = signature.strip().removeprefix("sha256=").encode()
    as_hex = hmac.compare_digest(given.lower(), digest.hex().encode())
    as_base64 = hmac.compare_digest(given, base64.b64encode(digest))
    return as_hex or as_base64


def client_state(settings: Settings, erp: str, resource: str, words: Webhooks) -> str:
    """The secret that an ERP sends back in every call about a resource.

    Worked out from one key of this installation: nothing to store, and one ERP's is not another's.
    """
    name = next((known for known in words.feeds if _is(known, resource)), "")
    key = settings.secret(WEBHOOK_KEY).encode()
    digest = hmac.new(key, f"{erp}/{name}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _is(known: str, resource: str) -> bool:
    """Is `resource`, as a call writes it, the one that the mapping calls `known`?"""
    last = resource.partition("?")[0].rstrip("/").rpartition("/")[2].partition("(")[0]
    return known in (resource, last)


def _entries(body: bytes, words: Webhooks) -> list[dict[str, Any]]:
    try:
        found = json.loads(body.removeprefix(_BOM))
    except (ValueError, UnicodeDecodeError, RecursionError):
        raise _unproved_or_unreadable(words) from None
    if words.events != ".":
        found = found.get(words.events) if isinstance(found, dict) else None
    elif isinstance(found, dict):
        found = [found]
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise _unproved_or_unreadable(words)
    return found


def _unproved_or_unreadable(words: Webhooks) -> Exception:
    """A client state stands in the body: without one that can be read nothing is proved."""
    return NotProved() if words.proof == "client_state" else Unreadable()


def _event(entry: Mapping[str, Any], words: Webhooks, headers: Mapping[str, str]) -> Event:
    resource = str(entry.get(words.resource, ""))
    change = str(entry.get(words.change, ""))
    given = ""
    if words.event_id:
        given = str(entry.get(words.event_id) or headers.get(words.event_id.lower()) or "")
    if not given or len(given) > _LONGEST_ID:
        kept = {name: value for name, value in entry.items() if name != "clientState"}
        given = hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()
    return Event(given, resource[:_LONGEST_ID], change[:_LONGEST_ID], words.feed_of(resource))
