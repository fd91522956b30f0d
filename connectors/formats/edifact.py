"""EDIFACT pages → columns of text: the messages of one type, their groups as records.

A library was looked for first: pydifact loses UNA's decimal mark and its profile, and counts
segments where UNZ counts messages. A message whose envelope does not agree is given as broken
records; the others are read. Must not understand a number or a date: UNA's decimal mark and the
format codes travel as columns of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from connectors.formats.edifact_envelope import MOST_BYTES, Fault, Message, interchanges
from connectors.formats.edifact_envelope import Interchange as Envelope
from connectors.formats.raw import Broken, Interchange, Item, ReadPlan, Remark
from connectors.formats.segment_paths import Group, Segment, triggers
from connectors.formats.segment_rows import Rows, Shape, grouped, records_of, shape
from mappings.sources.formats import EdifactFormat
from mappings.sources.sftp import SftpSource

_RAW_BYTES = 20_000
_USUAL = ("LIN",)
_OUTER = ("UNS", "UNT")


def read(content: BinaryIO, plan: ReadPlan, page: int, first: dict[str, int]) -> Iterator[Item]:
    """Chunks, broken records, remarks, and before what is from it each interchange.

    Raises BatchRefused as `edifact_envelope.interchanges`, Misconfigured (`path`, `encoding`).
    """
    form = _format(plan)
    data = content.read(MOST_BYTES + 1)
    of = _shape(plan, form)
    for envelope in interchanges(data, form):
        yield Interchange(plan.part, page, envelope.control, envelope.sha256)
        for remark in envelope.remarks:
            yield Remark(plan.part, page, remark.code, remark.says)
        rows = Rows(plan, of, page, first)
        for message in envelope.messages:
            if message.kind != form.message:
                says = f"message {message.reference} is {message.kind}, not {form.message}"
                yield Remark(plan.part, page, "other_message", says)
                continue
            for record, fault in _records(message, envelope, of):
                if fault is None:
                    rows.add(record)
                    if rows.full:
                        yield from rows.chunks()
                    continue
                yield from rows.chunks()
                start, end = _place(record, message)
                raw = data[start : min(end, start + _RAW_BYTES)].decode("utf-8", "backslashreplace")
                yield Broken(plan.part, page, rows.number(), fault.code, fault.says, raw)
        yield from rows.chunks()


def locate(content: BinaryIO, plan: ReadPlan, part: str, number: int) -> tuple[int, int]:
    """Bytes [start, end) of the `number`-th record (1 = first) of `part` in this page.

    Raises LookupError where the page has none.
    """
    form = _format(plan)
    of = _shape(plan, form)
    way: tuple[str, ...] | None = None
    if part != plan.part:
        way = triggers({child.part: child.records for child in plan.children}[part])
    left = number
    for envelope in interchanges(content.read(MOST_BYTES + 1), form):
        for message in envelope.messages:
            if message.kind != form.message:
                continue
            for record, fault in _records(message, envelope, of):
                inside = () if fault or way is None else records_of(record, way)
                found = [record] if way is None else list(inside)
                if left <= len(found):
                    return _place(found[left - 1], message)
                left -= len(found)
    message_ = f"the page has no {part} record number {number}"
    raise LookupError(message_)


def _format(plan: ReadPlan) -> EdifactFormat:
    if isinstance(plan.source, SftpSource) and isinstance(plan.source.format, EdifactFormat):
        return plan.source.format
    message = f"{plan.part}: not an EDIFACT source"
    raise TypeError(message)


def _shape(plan: ReadPlan, form: EdifactFormat) -> Shape:
    return shape(plan, form.records, usual=_USUAL, inner=form.groups, outer=_OUTER)


def _records(
    message: Message, envelope: Envelope, of: Shape
) -> Iterator[tuple[Group, Fault | None]]:
    """Every record of a message, each with what makes it unreadable.

    A bad envelope spoils all of them, and at least one stands for the message; a bad character
    spoils the records that hold it or stand below it.
    """
    top = Group(list(envelope.head), None, [])
    root = grouped((piece.segment for piece in message.pieces), of, top)
    fault = message.faults[0] if message.faults else None
    bad = {id(piece.segment): piece.fault for piece in message.pieces if piece.fault is not None}
    count = 0
    for record in records_of(root, of.records):
        count += 1
        own = fault
        if own is None and bad:
            said = next((bad[id(s)] for s in _seen_by(record) if id(s) in bad), None)
            own = None if said is None else Fault("encoding", said)
        yield record, own
    if fault is not None and count == 0:
        yield root, fault


def _seen_by(record: Group) -> Iterator[Segment]:
    """The segments of a record, of what is in it, and of what it stands in."""
    waiting = [record]
    while waiting:
        group = waiting.pop()
        yield from group.own
        waiting += group.below
    above = record.above
    while above is not None:
        yield from above.own
        above = above.above


def _place(record: Group, message: Message) -> tuple[int, int]:
    """Where a record stands; one that stands in for nothing is where its holder is."""
    group: Group | None = record
    while group is not None and not group.own:
        group = group.above
    if group is None or group.own[0].tag in {"UNH", "UNA"}:
        return message.start, message.end
    return group.own[0].start, group.end
