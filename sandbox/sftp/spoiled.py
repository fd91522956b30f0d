"""Exports with something wrong in them, made from a sound one when a fault asks for it.

Knows how the files are written (`folder.py`), not how they are sent.
"""

import re

from sandbox.sftp.folder import ENCODING, END

_LEAST = 2
"""A header and a trailer: a file without records."""


def spoil(name: str, path: str, content: bytes) -> bytes:
    """`content` as the scenario `name` has it; unchanged where that is not about content."""
    if name == "truncated":
        return content[: len(content) * 3 // 5]
    if path.endswith(".xml"):
        return _document(name, content)
    if not path.endswith(".csv"):
        return content
    lines = content.decode(ENCODING).split(END)
    while lines and not lines[-1]:
        lines.pop()
    if len(lines) < _LEAST:
        return content
    return (END.join(_export(name, lines)) + END).encode(ENCODING)


def _export(name: str, lines: list[str]) -> list[str]:
    header, records, trailer = lines[0], lines[1:-1], lines[-1].split(";")
    if name == "schema_changed":
        names = header.split(";")
        # the column that the rest of the row is about: the amount where there is one
        at = next((names.index(n) for n in ("BIRIM_FIYAT", "MEVCUT", "TUTAR") if n in names), 0)
        names[at] = f"YENI_{names[at]}"
        header = ";".join(names)
    elif name == "bad_trailer":
        trailer[1] = str(len(records) + 1)
    elif name == "empty":
        records, trailer = [], ["TRL", "0", "0,00" if trailer[2] else ""]
    elif name == "bad_rows":
        records = [_bad(i, record) for i, record in enumerate(records)]
    return [header, *records, ";".join(trailer)]


def _bad(index: int, record: str) -> str:
    """Of every 50 records one without key, one short of a column, one bad number, one bad date."""
    if '"' in record:
        return record
    fields = record.split(";")
    kind = index % 50
    if kind == 0:
        fields[0] = ""
    elif kind == 1:
        fields.pop()
    elif kind == 2:  # noqa: PLR2004  the third of fifty
        fields = ["ABC" if re.fullmatch(r"-?[\d.]+,\d+", field) else field for field in fields]
    elif kind == 3:  # noqa: PLR2004  the fourth
        dates = r"\d\d\.\d\d\.\d{4}"
        fields = ["31.02.2026" if re.fullmatch(dates, field) else field for field in fields]
    return ";".join(fields)


def _document(name: str, content: bytes) -> bytes:
    if name == "schema_changed":
        return content.replace(b"PayableAmount", b"AmountPayable")
    if name == "bad_rows":
        return content.replace(b"<cbc:IssueDate>2", b"<cbc:IssueDate>x")
    if name == "empty":
        return b""
    return content
