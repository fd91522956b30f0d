"""Fuzzes invoices in PDF: `python -m bench.fuzz.facturx --seconds 600`."""

from __future__ import annotations

import io
import sys

import pikepdf

from bench.fuzz.documents import plan
from bench.fuzz.drive import run

XML = b"""<?xml version="1.0" encoding="UTF-8"?>
<Invoice xmlns:a="urn:a"><a:ID>4711</a:ID><a:Line><a:Net>1.00</a:Net></a:Line></Invoice>"""


def invoice(compressed: bool) -> bytes:  # noqa: FBT001  said by the caller's name for it
    """A PDF of one empty page with the XML attached."""
    pdf = pikepdf.new()
    pdf.add_blank_page()
    pdf.attachments["factur-x.xml"] = pikepdf.AttachedFileSpec(
        pdf,
        XML,
        filename="factur-x.xml",
        description="",
        mime_type="text/xml",
        creation_date="",
        mod_date="",
    )
    target = io.BytesIO()
    pdf.save(
        target,
        compress_streams=compressed,
        object_stream_mode=pikepdf.ObjectStreamMode.disable,
        deterministic_id=True,
    )
    return target.getvalue()


PLANS = [
    (
        plan({"kind": "facturx", "namespaces": {"a": "urn:a"}}, "a:ID", "a:Line/a:Net"),
        [invoice(compressed=True), invoice(compressed=False)],
    )
]
WORDS = [
    b"/EmbeddedFiles", b"/Names", b"/Kids", b"endobj", b"stream", b"endstream", b"/Filter",
    b"/FlateDecode", b"<<", b">>", b"[", b"]", b" 0 R", b"99999999999", b"xref", b"trailer",
]  # fmt: skip

if __name__ == "__main__":
    sys.exit(run("facturx", PLANS, WORDS))
