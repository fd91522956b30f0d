"""What the practice SOAP ERP answers at once: one account's credit, one product's stock, a price.

Must not render lists: it picks items out of `Answers`. Knows no HTTP.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from xml.sax.saxutils import escape

from sandbox.dataset import Dataset
from sandbox.quote import quote
from sandbox.soap.dialect import CODES, OPERATIONS
from sandbox.soap.render import Answers

PICKED: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "GetCredit": ("GetCreditList", {"KUNNR": "account_key"}),
    "GetStock": ("GetStockList", {"MATNR": "product_key", "WERKS": "warehouse_key"}),
}
"""Operation → (the list it picks from, request element → column)."""
PRICE = "GetPrice"
PRICE_REQUEST = ("KUNNR", "MATNR", "MENGE")
PRICE_ANSWER = ("KUNNR", "MATNR", "MENGE", "VRKME", "WAERS", "KBETR", "KPEIN", "KONTX")
ASKED = (*PICKED, PRICE)


def picked(answers: Answers, operation: str, wishes: Mapping[str, str]) -> list[str]:
    """The items of the records that fit what was asked for; an element left out fits everything."""
    listed, elements = PICKED[operation]
    rows = answers.dataset[OPERATIONS[listed][1].table]
    columns = [
        (rows[column].to_pylist(), wishes[name])
        for name, column in elements.items()
        if wishes.get(name)
    ]
    items = answers.items(listed, None)
    return [
        item
        for at, item in enumerate(items)
        if all(values[at] == wanted for values, wanted in columns)
    ]


def priced(dataset: Dataset, wishes: Mapping[str, str]) -> list[str]:
    """The price as one item; none where there is no price."""
    try:
        qty = Decimal(wishes.get("MENGE") or "1")
    except InvalidOperation:
        return []
    found = quote(dataset, wishes.get("KUNNR", ""), wishes.get("MATNR", ""), qty)
    if found is None:
        return []
    values = (
        found.dealer_key,
        found.product_key,
        format(found.qty, "f"),
        CODES["unit"].get(found.uom, found.uom),
        found.currency,
        format(found.unit_price, "f"),
        f"{found.per:05}",
        found.reason,
    )
    inside = "".join(
        f"<{name}>{escape(value)}</{name}>"
        for name, value in zip(PRICE_ANSWER, values, strict=True)
    )
    return [f"<item>{inside}</item>"]
