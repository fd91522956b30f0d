"""ZUGFeRD and Factur-X: the invoice's XML taken out of its PDF, then read as XML.

pikepdf opens the PDF (QPDF inside, which is fuzzed without pause); the attachment is unpacked by
our own counting, so that no bomb in it grows. Must not look at the page that people see.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

import pikepdf

from connectors.formats import xml
from connectors.formats.control import empty_file
from connectors.formats.raw import Item, ReadPlan
from mappings.errors import BatchRefused
from mappings.sources.formats import FacturxFormat, XmlFormat
from mappings.sources.sftp import SftpSource

PDF_BYTES = 64 * 1024 * 1024
XML_BYTES = 64 * 1024 * 1024
"""A longer PDF, or XML in one, is refused."""


def read(content: BinaryIO, plan: ReadPlan, page: int, first: dict[str, int]) -> Iterator[Item]:
    """As the XML reader, of the XML inside.

    Raises as that does, and BatchRefused: `pdf` (none, or damaged), `no_attachment`,
    `encrypted`, `too_large`, `empty_file`.
    """
    form = _format(plan)
    yield from xml.read(io.BytesIO(_attached(content, form)), _as_xml(plan, form), page, first)


def locate(content: BinaryIO, plan: ReadPlan, part: str, number: int) -> tuple[int, int]:
    """As the XML reader's; bytes of the XML inside."""
    form = _format(plan)
    return xml.locate(io.BytesIO(_attached(content, form)), _as_xml(plan, form), part, number)


def plain(content: BinaryIO, plan: ReadPlan) -> BinaryIO:
    """The XML inside."""
    return io.BytesIO(_attached(content, _format(plan)))


def _format(plan: ReadPlan) -> FacturxFormat:
    if isinstance(plan.source, SftpSource) and isinstance(plan.source.format, FacturxFormat):
        return plan.source.format
    message = f"{plan.part}: not a source of invoices in PDF"
    raise TypeError(message)


def _as_xml(plan: ReadPlan, form: FacturxFormat) -> ReadPlan:
    inside = XmlFormat(kind="xml", records=form.records, namespaces=form.namespaces)
    return replace(plan, source=plan.source.model_copy(update={"format": inside}))


def _attached(content: BinaryIO, form: FacturxFormat) -> bytes:
    data = content.read(PDF_BYTES + 1)
    if not data:
        raise empty_file()
    if len(data) > PDF_BYTES:
        raise _refused("too_large", f"the PDF is longer than {PDF_BYTES:,} bytes")
    try:
        with pikepdf.open(io.BytesIO(data)) as pdf:
            return _inflated(_stream(pdf, form.names))
    except pikepdf.PasswordError as error:
        raise _refused("encrypted", "the PDF is under a password") from error
    except (pikepdf.PdfError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise _refused("pdf", f"the PDF cannot be read ({type(error).__name__})") from error
    except (NotImplementedError, IndexError, OverflowError, RuntimeError, MemoryError) as error:
        raise _refused("pdf", f"the PDF cannot be read ({type(error).__name__})") from error


def _stream(pdf: pikepdf.Pdf, names: tuple[str, ...]) -> pikepdf.Stream:
    """The one embedded file with one of the names."""
    wanted = {name.casefold() for name in names}
    found = [
        spec
        for name, spec in pdf.attachments.items()
        if {name.casefold(), (spec.filename or "").casefold()} & wanted
    ]
    if len(found) != 1:
        there = ", ".join(list(pdf.attachments)[:5]) or "nothing"
        raise _refused(
            "no_attachment", f"{len(found)} attachments are called {' or '.join(names)}: {there}"
        )
    stream = found[0].get_file().obj
    if not isinstance(stream, pikepdf.Stream):
        raise _refused("pdf", "the attachment holds no bytes")
    return stream


def _inflated(stream: pikepdf.Stream) -> bytes:
    """The attachment's bytes, unpacked up to a limit."""
    packed = stream.read_raw_bytes()
    filters = stream.get("/Filter")
    names = [] if filters is None else [str(one) for one in _listed(filters)]
    if stream.get("/DecodeParms") is not None or names not in ([], ["/FlateDecode"]):
        raise _refused("pdf", f"the attachment is packed by {', '.join(names)}")
    if not names:
        return packed
    try:
        inflate = zlib.decompressobj()
        text = inflate.decompress(packed, XML_BYTES)
    except zlib.error as error:
        raise _refused("pdf", "the attachment is damaged") from error
    if not inflate.eof:
        if len(text) >= XML_BYTES:
            raise _refused("too_large", f"the XML is longer than {XML_BYTES:,} bytes")
        raise _refused("truncated", "the attachment was cut off")
    return text


def _listed(filters: pikepdf.Object) -> list[pikepdf.Object]:
    return list(filters) if isinstance(filters, pikepdf.Array) else [filters]  # type: ignore[arg-type]


def _refused(code: str, says: str) -> BatchRefused:
    return BatchRefused(
        says, code=code, remedy="Ask for the invoice again, as a ZUGFeRD or Factur-X PDF."
    )
