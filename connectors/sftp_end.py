"""What a read of files says at its end, and of what kind its pages are. Must not touch the wire."""

from __future__ import annotations

from connectors.protocol import End
from connectors.sftp_entries import Choice
from mappings.sources import SftpSource

_MEDIA = {
    "csv": "text/csv",
    "fixed": "text/plain",
    "xml": "application/xml",
    "jsonl": "application/jsonl",
    "edifact": "application/EDIFACT",
    "facturx": "application/pdf",
    "excel": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def media_of(source: SftpSource) -> str:
    """The media type of its pages."""
    if source.unpack is not None:
        return f"application/{source.unpack.kind}"
    return _MEDIA.get(source.format.kind, "application/octet-stream")


def end_of(source: SftpSource, choice: Choice, warnings: tuple[str, ...]) -> End:
    """How the read of all chosen files ended. `warnings`: what is wrong with the connection."""
    notes = (*warnings, *choice.notes)
    if not choice.files:
        return End(complete=False, reason=f"no new file matches {source.files}", notes=notes)
    proof = f"marker {source.marker}" if source.marker else "size and time stood still"
    if source.pick == "latest":
        reason = f"{choice.files[0].name} read to its end ({proof})"
    else:
        reason = f"{len(choice.files)} files read to their ends ({proof})"
    if not choice.complete:
        reason += "; others were not ready"
    ordered = source.pick == "all" and source.order is not None
    return End(
        complete=choice.complete,
        reason=reason,
        cursor=choice.files[-1].name if ordered else None,
        notes=notes,
    )
