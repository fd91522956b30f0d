"""Where in a CSV page the n-th record stands, for showing the ERP's own bytes.

Must not parse: it counts records as `csv.py` does and gives their place in the original bytes.
"""

from __future__ import annotations

import io
from typing import BinaryIO

from connectors.formats.csv_records import Grammar
from connectors.formats.csv_text import is_ascii_compatible
from mappings.sources.sftp import CsvFormat

_READ_BYTES = 1 << 20


def locate_record(content: BinaryIO, form: CsvFormat, number: int) -> tuple[int, int]:
    """Bytes [start, end) of the `number`-th record (1 = first), line end left out.

    Raises LookupError where the page has no such record.
    """
    grammar = Grammar(form)
    wanted = number + (1 if form.header else 0)
    if is_ascii_compatible(form.encoding):
        return _nth(content, grammar, wanted)
    data = content.read()
    text = data.decode(form.encoding)
    utf8 = text.encode("utf-8")
    edges = _nth(io.BytesIO(utf8), grammar, wanted)
    codec = _without_mark(form.encoding, data)
    # a codec that takes the byte order mark away leaves a text that begins behind it
    shift = len(data) - len(text.encode(codec))
    start, end = (shift + len(utf8[:edge].decode("utf-8").encode(codec)) for edge in edges)
    return start, end


def _nth(content: BinaryIO, grammar: Grammar, wanted: int) -> tuple[int, int]:
    """Byte range of the wanted record, the header being record 1 where there is one."""
    rest, offset, seen = b"", 0, 0
    while True:
        piece = content.read(_READ_BYTES)
        rest += piece
        used = 0
        for start, end in grammar.ranges(rest, final=not piece):
            used = end
            body = rest[start:end].rstrip(b"\r\n")
            if offset + start == 0:
                body = body.removeprefix(b"\xef\xbb\xbf")
            if not body:
                continue
            seen += 1
            if seen == wanted:
                stop = offset + start + len(rest[start:end].rstrip(b"\r\n"))
                return stop - len(body), stop
        offset += used
        rest = rest[used:]
        if not piece:
            message = f"the page has only {max(seen - 1, 0)} records"
            raise LookupError(message)


def _without_mark(encoding: str, data: bytes) -> str:
    """The codec that writes the same text without a mark of its own."""
    if encoding.lower().replace("_", "-") not in {"utf-16", "utf-32"}:
        return encoding
    little = not data.startswith((b"\xfe\xff", b"\x00\x00\xfe\xff"))
    return f"{encoding}-{'le' if little else 'be'}"
