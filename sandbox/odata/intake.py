"""What the OData ERP takes: sales orders, cancellations, customer changes; and finds by reference.

`ExternalId` or the header `Idempotency-Key` makes it refuse a second one; without either it takes
everything twice. Its own names and codes; the book is `sandbox.orders`. Knows no socket.
"""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from starlette.responses import JSONResponse, Response

from sandbox.odata.misbehaviour import error
from sandbox.orders import Order, OrderBook, RefusedError

NOTICES = {
    "SalesOrderCancellations": "cancel",
    "CustomerChanges": "change",
    "ServiceRequests": "request",
}
TAKES = ("SalesOrders", *NOTICES)
FIND = re.compile(r"^ExternalReference eq '([^']*)'$")
STATUS = {"EXISTS": 409, "CREDIT_BLOCK": 422, "NO_LINE": 422, "UNKNOWN": 404, "SHIPPED": 409}


def take(book: OrderBook, entity: str, body: Any, header_key: str | None) -> Response:  # noqa: ANN401  any JSON
    """The answer to a POST to one of `TAKES`."""
    if not isinstance(body, dict) or not body.get("ExternalReference"):
        return error(400, "BadRequest", "ExternalReference is missing.")
    key = body.get("ExternalId") or header_key
    try:
        if entity == "SalesOrders":
            order = book.take(_wish(body), native_key=key)
            return JSONResponse(shown(order), status_code=201)
        if entity == "SalesOrderCancellations":
            book.cancel(str(body.get("OrderReference")))
        reference = str(body["ExternalReference"])
        if key is not None and book.noted(str(key)):
            return error(409, "EXISTS", f"{key} exists already")
        texts = {name: str(value) for name, value in body.items()}
        number = book.note(NOTICES[entity], reference, texts)
        return JSONResponse({"No": number, "ExternalReference": reference}, status_code=201)
    except RefusedError as no:
        status = 422 if no.code == "UNKNOWN" else STATUS[no.code]
        return error(status, no.code, no.says)
    except (KeyError, TypeError, InvalidOperation, ValueError) as problem:
        return error(400, "BadRequest", f"{type(problem).__name__}: {problem}")


def found(book: OrderBook, entity: str, reference: str) -> Response:
    """The answer to a filter on our reference."""
    if entity == "SalesOrders":
        return JSONResponse({"value": [shown(order) for order in book.found(reference)]})
    numbers = [{"No": n, "ExternalReference": reference} for n in book.noted(reference)]
    return JSONResponse({"value": numbers})


def shown(order: Order) -> dict[str, Any]:
    """An order as this ERP writes it."""
    return {
        "OrderNo": order.key,
        "DocumentNo": order.number,
        "ExternalReference": order.reference,
        "Status": order.status.capitalize(),
        "OrderLines": [
            {
                "LineNo": n * 10000,
                "PortalLine": line.line_no,
                "QtyConfirmed": line.confirmed,
                "UnitPrice": line.price,
                "Reason": line.reason,
            }
            for n, line in enumerate(order.lines, 1)
        ],
    }


def _wish(body: Mapping[str, Any]) -> dict[str, Any]:
    day = body.get("RequestedOn")
    return {
        "reference": body["ExternalReference"],
        "dealer_key": body["CustomerNo"],
        "customer_ref": body.get("CustomerRef"),
        "requested_on": date.fromisoformat(day).isoformat() if day else None,
        "currency": body.get("CurrencyCode"),
        "note": body.get("Comment"),
        "status": str(body.get("Status", "")).lower(),
        "lines": [
            {
                "line_no": str(line["PortalLine"]),
                "product_key": line["ItemNo"],
                "qty": str(Decimal(str(line["Quantity"]))),
                "uom": line["UnitOfMeasureCode"],
                "unit_price": line.get("UnitPrice"),
                "per": str(line.get("PriceUnitSize") or 1),
                "warehouse_key": line.get("LocationCode"),
            }
            for line in body["OrderLines"]
        ],
    }
