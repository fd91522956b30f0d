"""Seal the audit's chain and write its head down where this machine cannot change it.

Each anchor is a file of its own that is never overwritten: its name carries the position and the
hash, so that even a listing of the folder is a proof. A mail carries the same file. Must not
check the chain: whoever proves it does not believe the one who wrote it (`review/verifier.py`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from smtplib import SMTPException

import fsspec

from mappings.errors import Misconfigured
from portal_db.audit import Head, head, note_anchor, seal
from sync.connection import resolve
from sync.context import Context
from sync.mail import MAIL, send

MAILTO = "mailto:"


@dataclass(frozen=True, slots=True)
class Anchored:
    """How many lines were sealed, the head then, and where it was written down."""

    sealed: int
    head: Head | None
    places: tuple[str, ...]


def seal_and_anchor(ctx: Context, *, everything: bool = False) -> Anchored:
    """Seal what is new; write the head to every place of `WAYBILL_AUDIT_ANCHORS` if it moved.

    A place is a folder, a URL, or `mailto:` and addresses with commas.

    Raises Misconfigured (code `anchor`) where a place cannot be written, after all others were:
    an anchor that is missing is a proof that is missing, so somebody has to know.
    """
    with ctx.connection() as connection:
        sealed = seal(connection, everything=everything)
        newest = head(connection)
        known = {
            (str(place), int(position))
            for place, position in connection.execute(
                "SELECT place, max(position) FROM sync.audit_anchor GROUP BY place"
            )
        }
    places, faults = [], []
    for place in ctx.settings.audit_anchors if newest else ():
        if newest is None or (place, newest.position) in known:
            continue
        try:
            if place.startswith(MAILTO):
                _mail(ctx, place.removeprefix(MAILTO), newest)
            else:
                _write(place, newest)
        except (OSError, ValueError, ImportError, SMTPException, Misconfigured) as error:
            faults.append(f"{place} ({type(error).__name__}: {error})")
            continue
        with ctx.connection() as connection:
            note_anchor(connection, newest, place)
        places.append(place)
    if faults:
        raise Misconfigured(
            f"the audit's head could not be written to {'; '.join(faults)}",
            code="anchor",
            remedy="Make the place writable, or correct WAYBILL_AUDIT_ANCHORS (a mail goes through "
            f"the connection {MAIL}).",
        )
    return Anchored(sealed, newest, tuple(places))


def anchor_name(anchored: Head) -> str:
    """File name of an anchor: position and the start of its hash."""
    return f"anchor-{anchored.position:012d}-{anchored.chain_sha256.hex()[:16]}.json"


def _write(place: str, anchored: Head) -> None:
    """One file, made new; an anchor of the same name says the same."""
    filesystem, root = fsspec.url_to_fs(place)
    filesystem.makedirs(root, exist_ok=True)
    target = f"{str(root).rstrip('/')}/{anchor_name(anchored)}"
    if filesystem.exists(target):
        return
    # written aside, then moved: a reader never sees half an anchor
    filesystem.pipe_file(f"{target}.part", _text(anchored))
    filesystem.mv(f"{target}.part", target)


def _mail(ctx: Context, to: str, anchored: Head) -> None:
    """The same file, in a mail that nobody here can take back. Sent twice it says the same."""
    message = EmailMessage()
    message["Subject"] = f"[waybill] Audit sealed up to line {anchored.position}"
    message["To"] = to
    message.set_content(
        f"The audit's chain ends at line {anchored.position} with the hash\n"
        f"{anchored.chain_sha256.hex()}\n\n"
        "Keep this mail: a later audit can be held against the attached file, and whoever changes "
        "what was sealed cannot change it here.\n"
    )
    message.add_attachment(
        _text(anchored), maintype="application", subtype="json", filename=anchor_name(anchored)
    )
    send(resolve(ctx.settings, MAIL), message)


def _text(anchored: Head) -> bytes:
    told = {
        "position": anchored.position,
        "chain_sha256": anchored.chain_sha256.hex(),
        "sealed_at": anchored.sealed_at.astimezone(UTC).isoformat(),
        "anchored_at": datetime.now(UTC).isoformat(),
    }
    return json.dumps(told, indent=2).encode("ascii")
