"""`PriceQuotes` of the practice OData ERP: what one dealer pays for one quantity, worked out now.

Asked for with `$filter=CustomerNo eq '…' and ItemNo eq '…' and Quantity eq 5`. Knows no HTTP.
"""

import re
from decimal import Decimal
from typing import Any

from sandbox.dataset import Dataset
from sandbox.odata.query import MisunderstoodError
from sandbox.quote import quote

SET = "PriceQuotes"
_TEST = re.compile(r"(\w+) eq (?:'((?:[^']|'')*)'|(-?[0-9.]+))(?: and |$)")
_ASKED = {"CustomerNo", "ItemNo", "Quantity"}


def quotes(dataset: Dataset, options: dict[str, str]) -> list[dict[str, Any]]:
    """The quote as a list of one record, or of none. MisunderstoodError for another filter."""
    text = options.get("$filter", "")
    found = {m[1]: m[3] if m[2] is None else m[2].replace("''", "'") for m in _TEST.finditer(text)}
    whole = "".join(m.group() for m in _TEST.finditer(text))
    if found.keys() != _ASKED or whole != text:
        raise MisunderstoodError(f"{SET} is asked for by {', '.join(sorted(_ASKED))}.")
    one = quote(dataset, found["CustomerNo"], found["ItemNo"], Decimal(found["Quantity"]))
    if one is None:
        return []
    return [
        {
            "CustomerNo": one.dealer_key,
            "ItemNo": one.product_key,
            "Quantity": format(one.qty, "f"),
            "UnitOfMeasure": one.uom,
            "CurrencyCode": one.currency,
            "UnitPrice": format(one.unit_price, "f"),
            "PriceUnit": one.per,
            "Reason": one.reason,
        }
    ]
