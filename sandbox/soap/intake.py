"""What the SOAP ERP takes: orders, cancellations, customer changes; and finds by reference.

Its own element names and codes; the book is `sandbox.orders`. Must not know sockets or security.
"""

from datetime import date
from xml.sax.saxutils import escape

from lxml import etree

from sandbox.orders import Order, OrderBook, RefusedError
from sandbox.soap.dialect import CODES
from sandbox.soap.habits import NAMESPACE

_UNITS = {theirs: ours for ours, theirs in CODES["unit"].items()}
_LINE = "POSEX POSNR MATNR KWMENG VRKME KBETR KPEIN WERKS BMENG ABGRU"
_HEAD = "IHREZ KUNNR BSTNK VDATU WAERK ADRNR BEMERK STATU ERNAM"
_NOTICE = "IHREZ AUFRF VBELN KUNNR NAME1 SMTP TELF1 SPRAS ADRNR STRAS PSTLZ ORT01 LAND1 THEMA GRUND"

TAKES = ("CreateOrder", "FindOrder", "CancelOrder", "ChangeCustomer", "TakeRequest", "FindNotice")


def schema() -> str:
    """The elements of these operations, for the WSDL."""
    line = _complex("item", _leaves(_LINE), many=True)
    lines = _complex("ITEMS", line)
    order = _leaves("VBELN AUFNR IHREZ STATU LFDAT") + lines
    answer = '<xsd:element name="RETURN" type="tns:RETURN"/>'
    notice = _complex("NOTICES", _complex("item", _leaves("VBELN IHREZ"), many=True))
    parts = [
        _complex("CreateOrder", _leaves(_HEAD) + lines),
        _complex("CreateOrderResponse", answer + _complex("ORDER", order)),
        _complex("FindOrder", _leaves("IHREZ")),
        _complex(
            "FindOrderResponse", answer + _complex("ORDERS", _complex("item", order, many=True))
        ),
    ]
    for name in TAKES[2:5]:
        parts.append(_complex(name, _leaves(_NOTICE)))
        parts.append(_complex(f"{name}Response", answer + _complex("ORDER", _leaves("VBELN"))))
    parts.append(_complex("FindNotice", _leaves("IHREZ")))
    parts.append(_complex("FindNoticeResponse", answer + notice))
    return "\n".join(part.replace(' minOccurs="0"', "", 1) for part in parts)


def take(book: OrderBook, name: str, asked: etree._Element) -> str:
    """What stands inside the answer to one of `TAKES`."""
    try:
        if name == "CreateOrder":
            return _ok(f"<ORDER>{_order(book.take(_wish(asked)))}</ORDER>")
        if name == "FindOrder":
            found = book.found(_text(asked, "IHREZ"))
            items = "".join(f"<item>{_order(order)}</item>" for order in found)
            return _ok(f"<ORDERS>{items}</ORDERS>")
        if name == "FindNotice":
            found_too = book.noted(_text(asked, "IHREZ"))
            items = "".join(f"<item><VBELN>{one}</VBELN></item>" for one in found_too)
            return _ok(f"<NOTICES>{items}</NOTICES>")
        if name == "CancelOrder":
            book.cancel(_text(asked, "AUFRF"))
        texts = {etree.QName(one).localname: one.text or "" for one in asked}
        number = book.note(name, _text(asked, "IHREZ"), texts)
        return _ok(f"<ORDER><VBELN>{number}</VBELN></ORDER>")
    except RefusedError as no:
        return f"<RETURN><TYPE>E</TYPE><MESSAGE>{escape(no.says)}</MESSAGE></RETURN>"


def _wish(asked: etree._Element) -> dict[str, object]:
    day = _text(asked, "VDATU")
    return {
        "reference": _text(asked, "IHREZ"),
        "dealer_key": _text(asked, "KUNNR"),
        "customer_ref": _text(asked, "BSTNK") or None,
        "requested_on": date.fromisoformat(day).isoformat() if day else None,
        "currency": _text(asked, "WAERK"),
        "note": _text(asked, "BEMERK") or None,
        "status": "pending" if _text(asked, "STATU") == "01" else "approved",
        "lines": [
            {
                "line_no": _text(item, "POSEX"),
                "product_key": _text(item, "MATNR"),
                "qty": _text(item, "KWMENG"),
                "uom": _UNITS.get(_text(item, "VRKME"), _text(item, "VRKME")),
                "unit_price": _text(item, "KBETR") or None,
                "per": _text(item, "KPEIN") or "1",
                "warehouse_key": _text(item, "WERKS") or None,
            }
            for item in asked.iterfind(f"{{{NAMESPACE}}}ITEMS/{{{NAMESPACE}}}item")
        ],
    }


def _order(order: Order) -> str:
    lines = "".join(
        f"<item><POSEX>{escape(line.line_no)}</POSEX><POSNR>{n * 10:06d}</POSNR>"
        f"<BMENG>{line.confirmed}</BMENG><KBETR>{line.price or ''}</KBETR>"
        f"<ABGRU>{escape(line.reason or '')}</ABGRU></item>"
        for n, line in enumerate(order.lines, 1)
    )
    return (
        f"<VBELN>{order.key}</VBELN><AUFNR>{order.number}</AUFNR>"
        f"<IHREZ>{escape(order.reference)}</IHREZ><ITEMS>{lines}</ITEMS>"
    )


def _ok(inside: str) -> str:
    return f"<RETURN><TYPE>S</TYPE></RETURN>{inside}"


def _text(element: etree._Element, name: str) -> str:
    return (element.findtext(f"{{{NAMESPACE}}}{name}") or "").strip()


def _leaves(names: str) -> str:
    return "".join(
        f'<xsd:element name="{name}" type="xsd:string" minOccurs="0" nillable="true"/>'
        for name in names.split()
    )


def _complex(name: str, inside: str, *, many: bool = False) -> str:
    repeated = ' maxOccurs="unbounded"' if many else ""
    return (
        f'<xsd:element name="{name}" minOccurs="0"{repeated}><xsd:complexType><xsd:sequence>'
        f"{inside}</xsd:sequence></xsd:complexType></xsd:element>"
    )
