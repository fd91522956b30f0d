"""The text of an ERP's mapping as it stands, and its SHA-256. Must not parse it."""

from __future__ import annotations

import hashlib

from sync.context import Context


def mapping_text(ctx: Context, erp: str) -> tuple[str, str]:
    """(text, SHA-256 in hexadecimal) of the file that maps an ERP, or of its mapping of then."""
    ctx.erp(erp)  # raises for an unknown or broken mapping
    text = ctx.mappings.texts.get(erp)
    if text is None:
        text = ctx.mappings.files[erp].read_text(encoding="utf-8")
    return text, hashlib.sha256(text.encode()).hexdigest()
