"""DATANORM 4 and 5 pages → columns of text: article records with what follows them as groups.

Paths count the fields behind the record's letter: `A/2` is the article number. A record that names
another article than the one it follows is broken, with its text. Must not understand a price: in
both versions it is a whole number of cents, for which there is a step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from connectors.formats.control import empty_file
from connectors.formats.lines import Line, decoded, lines
from connectors.formats.raw import Broken, Item, ReadPlan, Remark
from connectors.formats.segment_paths import Group, Segment, triggers
from connectors.formats.segment_rows import Rows, Shape, grouped, records_of, shape
from mappings.errors import BatchRefused
from mappings.sources.formats import DatanormFormat
from mappings.sources.sftp import SftpSource

_RAW_CHARS = 20_000
_ARTICLE = {"A": 1, "B": 1, "D": 1, "Z": 1}
"""Record letter → place of the article number behind the one of what is to be done with it."""

_LEAST = 2
_V4 = 128
"""Version 4's first record is fixed-width: its version stands after 123 characters."""


def read(content: BinaryIO, plan: ReadPlan, page: int, first: dict[str, int]) -> Iterator[Item]:
    """Chunks, broken records, remarks on other kinds of records.

    Raises BatchRefused (`empty_file`, `format`, `trailer`, `truncated`, `encoding`).
    """
    form = _format(plan)
    of = _shape(plan, form)
    rows = Rows(plan, of, page, first)
    others: dict[str, int] = {}
    for article in _articles(content, form):
        if isinstance(article, str):
            others[article] = others.get(article, 0) + 1
            continue
        segments, fault, raw = article
        top = Group([], None, [])
        records = list(records_of(grouped(segments, of, top), of.records))
        if fault is None:
            for record in records:
                rows.add(record)
            if rows.full:
                yield from rows.chunks()
            continue
        yield from rows.chunks()
        for _ in records or [top]:
            yield Broken(plan.part, page, rows.number(), fault[0], fault[1], raw)
    yield from rows.chunks()
    for letter, count in others.items():
        says = f"{count} records of kind {letter} were not read"
        yield Remark(plan.part, page, f"other_record_{letter}", says)


def locate(content: BinaryIO, plan: ReadPlan, part: str, number: int) -> tuple[int, int]:
    """Bytes [start, end) of the `number`-th record (1 = first). Raises LookupError."""
    form = _format(plan)
    of = _shape(plan, form)
    way: tuple[str, ...] | None = None
    if part != plan.part:
        way = triggers({child.part: child.records for child in plan.children}[part])
    left = number
    for article in _articles(content, form):
        if isinstance(article, str):
            continue
        segments, fault, _ = article
        top = Group([], None, [])
        found = list(records_of(grouped(segments, of, top), of.records)) or [top]
        if way is not None:
            found = [] if fault else [one for record in found for one in records_of(record, way)]
        if left <= len(found):
            group = found[left - 1]
            if not group.own:
                return segments[0].start, segments[-1].end
            return group.own[0].start, group.end
        left -= len(found)
    message = f"the page has no {part} record number {number}"
    raise LookupError(message)


def _format(plan: ReadPlan) -> DatanormFormat:
    if isinstance(plan.source, SftpSource) and isinstance(plan.source.format, DatanormFormat):
        return plan.source.format
    message = f"{plan.part}: not a DATANORM source"
    raise TypeError(message)


def _shape(plan: ReadPlan, form: DatanormFormat) -> Shape:
    return shape(plan, form.records)


_Article = tuple[list[Segment], tuple[str, str] | None, str]


def _articles(content: BinaryIO, form: DatanormFormat) -> Iterator[_Article | str]:
    """Each article's records together with what is wrong with them; letters of other records.

    The first record must be V of the declared version; version 5 ends with E and a count.
    """
    waiting: list[Segment] = []
    texts: list[str] = []
    fault: tuple[str, str] | None = None
    count, ended, begun = 0, False, False
    for line in lines(content, form.encoding):
        text, wrong = decoded(line.data, line.start, form.encoding)
        if not begun:
            _check_version(text, form)
            begun = True
            count += 1
            continue
        if ended:
            raise _refused("trailer", f"there is data behind the end record: {text[:40]!r}")
        segment = _segment(text, line)
        if segment.tag == "E" and form.version == "5":
            ended = True
            _check_count(segment, count)
            continue
        count += 1
        if segment.tag not in _ARTICLE:
            yield segment.tag or "?"
            continue
        if segment.tag == "A" and waiting:
            yield waiting, fault, "\n".join(texts)[:_RAW_CHARS]
            waiting, texts, fault = [], [], None
        fault = fault or _fault(segment, waiting, wrong)
        waiting.append(segment)
        texts.append(text.replace("\0", "\N{SYMBOL FOR NULL}"))
    if not begun:
        raise empty_file()
    if waiting:
        yield waiting, fault, "\n".join(texts)[:_RAW_CHARS]
    if form.version == "5" and not ended:
        raise _refused("truncated", "the file ends without its end record E")


def _segment(text: str, line: Line) -> Segment:
    letter, *fields = text.split(";")
    return Segment(letter.strip(), tuple((one,) for one in fields), line.start, line.end)


def _fault(segment: Segment, waiting: list[Segment], wrong: str | None) -> tuple[str, str] | None:
    if wrong is not None:
        return "undecodable", wrong
    if len(segment.elements) < _LEAST:
        return "too_few_columns", f"{len(segment.elements)} fields in a record {segment.tag}"
    if any("\0" in text for (text,) in segment.elements):
        return "nul_byte", "holds a NUL byte"
    if segment.tag == "A":
        return None
    article = segment.at(2)
    if not waiting:
        return "no_article", f"a record {segment.tag} of {article} stands before any article"
    owner = waiting[0].at(2)
    if article != owner:
        return "other_article", f"a record {segment.tag} of {article} follows article {owner}"
    return None


def _check_version(text: str, form: DatanormFormat) -> None:
    """V;050;… in version 5; `V `, a date and texts of fixed width, then 04 in version 4."""
    found = "?"
    if text.startswith("V;"):
        found = text.split(";")[1].lstrip("0")[:1] or "?"
    elif text.startswith("V "):
        found = text[:_V4].rstrip()[-5:-3].lstrip("0") or "?"
    if found != form.version:
        raise _refused(
            "format", f"the first record {text[:20]!r} is not that of DATANORM {form.version}"
        )


def _check_count(segment: Segment, count: int) -> None:
    said = (segment.at(1) or "").strip()
    if said and (not said.isascii() or not said.isdigit() or int(said) not in {count, count - 1}):
        raise _refused("trailer", f"the end record declares {said} records, {count} came")


def _refused(code: str, says: str) -> BatchRefused:
    return BatchRefused(
        f"DATANORM: {says}",
        code=code,
        remedy="Ask for the file again, or correct `format` in the mapping.",
    )
