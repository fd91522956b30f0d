"""What may be owed to an ERP: the fields of each kind of message, in our words, each declared once.

`orders:`, `order_cancels:`, `customer_updates:` and `requests:` of a mapping say for each of these
fields where the ERP wants it, or `unsent`. Values are canonical texts (`1234.50`, `2026-01-31`).
Declares only; must not import anything heavy.
"""

from __future__ import annotations

from dataclasses import dataclass

from mappings.vocabulary import Field

OUTCOMES = ("accepted", "changed", "rejected", "backordered")
"""What an ERP may say to one line."""


@dataclass(frozen=True, slots=True)
class MessageKind:
    """One kind. `word`: under which word a mapping speaks about it; `noun`: in texts for people."""

    name: str
    word: str
    noun: str
    meaning: str
    fields: tuple[Field, ...]
    lines: tuple[Field, ...] = ()


_REFERENCE = Field("reference", "text", "R", "our reference of this message, kept by the ERP")
_DEALER = Field("dealer_key", "text", "R", "the ERP's customer number")

ORDER = MessageKind(
    name="order",
    word="orders",
    noun="order",
    meaning="An order that a dealer placed here.",
    fields=(
        _REFERENCE,
        _DEALER,
        Field("account_key", "text", "-", "who pays"),
        Field("currency", "ccy", "-", "currency of every amount"),
        Field("net", "money", "-", "without tax"),
        Field("tax", "money", "-", "tax"),
        Field("gross", "money", "-", "with tax and freight"),
        Field("customer_ref", "text", "-", "the dealer's own reference"),
        Field("requested_on", "date", "-", "wanted for"),
        Field("address_key", "text", "-", "ship-to address"),
        Field("ship_to", "json", "-", "address as entered"),
        Field("contact_key", "text", "-", "the dealer's contact"),
        Field("note", "text", "-", "for the office"),
        Field("entered_by", "text", "-", "who entered it"),
        Field("placed_at", "instant", "-", "when it was placed"),
        Field("status", "code", "-", "approved or pending", codes=("approved", "pending")),
    ),
    lines=(
        Field("line_no", "int", "R", "our line number"),
        Field("product_key", "text", "R", "the product"),
        Field("warehouse_key", "text", "-", "ships from"),
        Field("qty", "qty", "R", "ordered"),
        Field("uom", "text", "R", "unit"),
        Field("unit_price", "price", "-", "what the dealer was shown, of one `per`"),
        Field("per", "int", "-", "price per 1, 100, 1000"),
        Field("discount_pct", "pct", "-", "discount of the line, percent"),
        Field("net", "money", "-", "without tax"),
        Field("tax_pct", "pct", "-", "tax rate"),
        Field("gross", "money", "-", "with tax"),
        Field("note", "text", "-", "for the office"),
    ),
)

ORDER_CANCEL = MessageKind(
    name="order_cancel",
    word="order_cancels",
    noun="cancellation",
    meaning="An order that was sent shall not be carried out.",
    fields=(
        _REFERENCE,
        Field("order_reference", "text", "R", "our reference of the order"),
        Field("order_key", "text", "-", "the ERP's key of the order"),
        Field("order_number", "text", "-", "the ERP's number of the order"),
        _DEALER,
        Field("reason", "text", "-", "why"),
        Field("entered_by", "text", "-", "who asked for it"),
    ),
)

CUSTOMER_UPDATE = MessageKind(
    name="customer_update",
    word="customer_updates",
    noun="customer update",
    meaning="What a dealer wants to be changed in its own master data.",
    fields=(
        _REFERENCE,
        _DEALER,
        Field("name", "text", "-", "company name", personal=True),
        Field("email", "text", "-", "e-mail", personal=True),
        Field("phone", "text", "-", "phone", personal=True),
        Field("language", "text", "-", "BCP 47"),
        Field("address_key", "text", "-", "which address; none = the main one"),
        Field("line1", "text", "-", "first line", personal=True),
        Field("line2", "text", "-", "second line", personal=True),
        Field("postcode", "text", "-", "postcode"),
        Field("city", "text", "-", "city"),
        Field("country", "text", "-", "ISO 3166-1 alpha-2"),
        Field("note", "text", "-", "for the office"),
    ),
)

REQUEST = MessageKind(
    name="request",
    word="requests",
    noun="request",
    meaning="A question or a wish that somebody at the supplier has to answer.",
    fields=(
        _REFERENCE,
        _DEALER,
        Field("topic", "text", "R", "credit, return, complaint, quote …"),
        Field("text", "text", "R", "in the dealer's words", personal=True),
        Field("order_reference", "text", "-", "our reference of the order it is about"),
        Field("invoice_key", "text", "-", "the ERP's key of the invoice it is about"),
    ),
)

KINDS: dict[str, MessageKind] = {
    kind.name: kind for kind in (ORDER, ORDER_CANCEL, CUSTOMER_UPDATE, REQUEST)
}
"""Kind → declaration; the names are those of `sync.outbox.kind`."""

ANSWER: dict[str, Field] = {
    one.name: one
    for one in (
        Field("key", "text", "-", "the ERP's key of what it made"),
        Field("number", "text", "-", "the ERP's number of what it made"),
        Field("status", "code", "-", "what it says", codes=("accepted", "rejected")),
        Field("reason", "text", "-", "why, readable by a dealer"),
        Field("expected_on", "date", "-", "promised for"),
    )
}
"""What an answer may say about the whole message."""

ANSWER_LINES: dict[str, Field] = {
    one.name: one
    for one in (
        Field("line_no", "int", "R", "our line number"),
        Field("outcome", "code", "-", "else told by quantity and price", codes=OUTCOMES),
        Field("qty_confirmed", "qty", "-", "what will be delivered"),
        Field("unit_price", "price", "-", "the ERP's price of one `per`"),
        Field("erp_line_no", "text", "-", "the ERP's line number"),
        Field("expected_on", "date", "-", "promised for"),
        Field("reason", "text", "-", "why, readable by a dealer"),
    )
}
"""What an answer may say about one line."""
