"""Messages as EDIFACT bytes: ORDERS out, CONTRL and APERAK in answer to what came.

UNA is always written, what is special in a text is released, and the counts are right by
construction: UNT counts segments, UNZ counts messages. A text that the character set does not have
is refused, never changed. Must not send anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TypeAlias

from connectors.formats.edifact_text import codec_of
from mappings.errors import Misconfigured

Element: TypeAlias = "str | tuple[str, ...]"
Row: TypeAlias = "tuple[Element, ...]"
"""A segment: its tag, then elements; a tuple is an element of several components."""

_SPECIAL = "?'+:"


@dataclass(frozen=True, slots=True)
class Partner:
    """One side of an interchange: its identification and the code list that it is from."""

    identification: str
    qualifier: str = "14"


@dataclass(frozen=True, slots=True)
class Letter:
    """One message: its type as UNH names it (`ORDERS:D:96A:UN:EAN008`), and its segments."""

    kind: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One line of an order. `price` for `per` units; an article has an EAN or the seller's own
    number, or both.
    """

    number: int
    qty: Decimal
    uom: str | None = None
    ean: str | None = None
    seller_no: str | None = None
    buyer_no: str | None = None
    description: str | None = None
    price: Decimal | None = None
    per: int = 1


@dataclass(frozen=True, slots=True)
class OrderLetter:
    """An order as the partner is to read it. `number` is our reference, sent with every try."""

    number: str
    ordered_on: date
    buyer: str
    supplier: str
    currency: str
    lines: tuple[OrderLine, ...] = field(default=())
    deliver_to: str | None = None
    deliver_on: date | None = None
    customer_ref: str | None = None


def interchange(
    sender: Partner,
    recipient: Partner,
    control: str,
    letters: Sequence[Letter],
    *,
    at: datetime,
    syntax: str = "UNOC",
    version: str = "3",
) -> bytes:
    """One interchange of messages, numbered from 1.

    `control`: used once between these two partners; `at`: local time, as partners expect it.
    Raises Misconfigured (`charset`) for a text that the character set does not have.
    """
    rows: list[Row] = [
        (
            "UNB",
            (syntax, version),
            (sender.identification, sender.qualifier),
            (recipient.identification, recipient.qualifier),
            (f"{at:%y%m%d}", f"{at:%H%M}"),
            control,
        )
    ]
    for number, letter in enumerate(letters, start=1):
        rows.append(("UNH", str(number), tuple(letter.kind.split(":"))))
        rows.extend(letter.rows)
        rows.append(("UNT", str(len(letter.rows) + 2), str(number)))
    rows.append(("UNZ", str(len(letters)), control))
    text = "UNA:+.? '" + "".join(_segment(row) for row in rows)
    try:
        return text.encode(codec_of(syntax, None))
    except UnicodeEncodeError as error:
        raise Misconfigured(
            f"{text[error.start]!r} cannot be written in the character set {syntax}",
            code="charset",
            remedy="Agree with the partner on UNOY (UTF-8), or correct the text.",
        ) from error


def orders(order: OrderLetter, *, release: str = "D:96A:UN:EAN008") -> Letter:
    """An order (ORDERS)."""
    rows: list[Row] = [
        ("BGM", "220", order.number, "9"),
        ("DTM", ("137", f"{order.ordered_on:%Y%m%d}", "102")),
    ]
    if order.deliver_on is not None:
        rows.append(("DTM", ("2", f"{order.deliver_on:%Y%m%d}", "102")))
    if order.customer_ref is not None:
        rows.append(("RFF", ("CR", order.customer_ref)))
    rows += [("NAD", "BY", (order.buyer, "", "9")), ("NAD", "SU", (order.supplier, "", "9"))]
    if order.deliver_to is not None:
        rows.append(("NAD", "DP", (order.deliver_to, "", "9")))
    rows.append(("CUX", ("2", order.currency, "9")))
    for line in order.lines:
        rows += _order_line(line)
    total = sum((line.qty for line in order.lines), Decimal(0))
    rows += [
        ("UNS", "S"),
        ("CNT", ("1", _number(total))),
        ("CNT", ("2", str(len(order.lines)))),
    ]
    return Letter(f"ORDERS:{release}", tuple(rows))


def _order_line(line: OrderLine) -> list[Row]:
    if line.ean is None and line.seller_no is None:
        message = f"line {line.number} names no article"
        raise ValueError(message)
    rows: list[Row] = [("LIN", str(line.number), "", (line.ean, "EN") if line.ean else "")]
    if line.seller_no is not None:
        rows.append(("PIA", "1", (line.seller_no, "SA")))
    if line.buyer_no is not None:
        rows.append(("PIA", "1", (line.buyer_no, "IN")))
    if line.description is not None:
        # two components of 35 characters; a longer text is cut there by the standard itself
        first, second = line.description[:35], line.description[35:70]
        rows.append(("IMD", "F", "", ("", "", "", first, second)))
    rows.append(("QTY", ("21", _number(line.qty), line.uom or "")))
    if line.price is not None:
        rows.append(("PRI", ("AAA", _number(line.price), "", "", str(line.per), line.uom or "")))
    return rows


def _segment(row: Row) -> str:
    elements = [_element(one) for one in row]
    while elements and not elements[-1]:
        elements.pop()
    return "+".join(elements) + "'"


def _element(element: Element) -> str:
    parts = [element] if isinstance(element, str) else list(element)
    while parts and not parts[-1]:
        parts.pop()
    return ":".join("".join(f"?{c}" if c in _SPECIAL else c for c in part) for part in parts)


def _number(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
