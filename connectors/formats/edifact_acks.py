"""Acknowledgements of EDIFACT, both ways: CONTRL for what came, CONTRL and APERAK for what we sent.

What was sent and is not acknowledged in its time is told by `overdue`. Must not send or store.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.formats.edifact_envelope import Message, header, interchanges
from connectors.formats.edifact_write import Letter, Row
from connectors.formats.segment_paths import Segment
from mappings.errors import BatchRefused
from mappings.sources.formats import EdifactFormat

_REJECTED, _ACCEPTED = "4", "7"
_ERRORS = {
    "segment_count": "29", "trailer": "29", "message_reference": "28", "encoding": "21",
    "no_unt": "13", "segment": "12",
}  # fmt: skip
"""Our codes → code list 0085 of CONTRL; anything else is 18, unspecified."""

_NOT_ACCEPTED = "27"
_ERROR_CHARS = 70


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The partner's word on an interchange of ours (`message` None) or on one message in it."""

    control: str
    message: str | None
    accepted: bool
    code: str | None
    says: str


@dataclass(frozen=True, slots=True)
class Sent:
    """An interchange that left."""

    control: str
    sent_at: datetime


def contrl(data: bytes, form: EdifactFormat) -> list[Letter]:
    """The answer to each interchange of a page: what is accepted, what is not and why.

    An interchange that contradicts itself is rejected as a whole. Raises BatchRefused where there
    is not even a header to answer to.
    """
    try:
        return [
            _answer(one.head[1], [_of_message(message) for message in one.messages], None)
            for one in interchanges(data, form)
        ]
    except BatchRefused as refused:
        return [_answer(header(data, form), [], refused.code)]


def aperak(number: str, at: datetime, about: str, *, error: str | None = None) -> Letter:
    """What we say of a document after looking into it: accepted, or refused with a reason."""
    rows: list[Row] = [
        ("BGM", "313", number, _NOT_ACCEPTED if error else "29"),
        ("DTM", ("137", f"{at:%Y%m%d%H%M}", "203")),
        ("RFF", ("ACW", about)),
    ]
    if error is not None:
        rows += [("ERC", ("18", "", "9")), ("FTX", "AAO", "", "", (error[:_ERROR_CHARS],))]
    return Letter("APERAK:D:96A:UN:EAN004", tuple(rows))


def acknowledgements(data: bytes, form: EdifactFormat) -> list[Acknowledgement]:
    """What a page of CONTRL and APERAK messages says. Raises as `edifact_envelope.interchanges`."""
    found: list[Acknowledgement] = []
    for one in interchanges(data, form):
        for message in one.messages:
            segments = [piece.segment for piece in message.pieces]
            if message.kind == "CONTRL":
                found += _of_contrl(segments)
            elif message.kind == "APERAK":
                found += _of_aperak(segments)
    return found


def overdue(
    sent: Iterable[Sent],
    answered: Sequence[Acknowledgement],
    now: datetime,
    within: timedelta,
) -> list[Sent]:
    """What left longer ago than `within` and was answered by nothing, the oldest first."""
    known = {one.control for one in answered}
    late = [one for one in sent if one.control not in known and now - one.sent_at > within]
    return sorted(late, key=lambda one: one.sent_at)


def _of_message(message: Message) -> Row:
    kind = message.pieces[0].segment.elements[1] if message.pieces[0].segment.at(2) else ("",)
    fault = message.faults[0].code if message.faults else None
    if fault is None and any(piece.fault for piece in message.pieces):
        fault = "encoding"
    if fault is None:
        return ("UCM", message.reference, kind, _ACCEPTED)
    return ("UCM", message.reference, kind, _REJECTED, _ERRORS.get(fault, "18"))


def _answer(head: Segment, messages: list[Row], error: str | None) -> Letter:
    sides = (_element(head, 2), _element(head, 3))
    control = head.at(5) or ""
    if error is not None:
        uci: Row = ("UCI", control, *sides, _REJECTED, _ERRORS.get(error, "18"))
    else:
        uci = ("UCI", control, *sides, _ACCEPTED)
    return Letter("CONTRL:D:3:UN", (uci, *messages))


def _element(segment: Segment, place: int) -> tuple[str, ...]:
    return segment.elements[place - 1] if place <= len(segment.elements) else ("",)


def _of_contrl(segments: list[Segment]) -> list[Acknowledgement]:
    found: list[Acknowledgement] = []
    control = ""
    for segment in segments:
        if segment.tag == "UCI":
            control = segment.at(1) or ""
            found.append(_told(control, None, segment.at(4), segment.at(5)))
        elif segment.tag == "UCM":
            found.append(_told(control, segment.at(1), segment.at(3), segment.at(4)))
    return found


def _told(
    control: str, message: str | None, action: str | None, code: str | None
) -> Acknowledgement:
    accepted = action in {_ACCEPTED, "8"}
    what = "the interchange" if message is None else f"message {message}"
    says = f"{what} is {'accepted' if accepted else f'rejected (action {action}, error {code})'}"
    return Acknowledgement(control, message, accepted, code, says)


def _of_aperak(segments: list[Segment]) -> list[Acknowledgement]:
    about = next((s.at(1, 2) or "" for s in segments if s.tag == "RFF"), "")
    kind = next((s.at(3) for s in segments if s.tag == "BGM"), None)
    error = next((s.at(1) for s in segments if s.tag == "ERC"), None)
    texts = [s.at(4) or "" for s in segments if s.tag == "FTX"]
    accepted = error is None and kind != _NOT_ACCEPTED
    says = "; ".join(filter(None, texts)) or ("accepted" if accepted else "not accepted")
    return [Acknowledgement(about, None, accepted, error, says)]
