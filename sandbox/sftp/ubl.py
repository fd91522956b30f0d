"""Invoices as UBL 2.1 documents, shaped by EN 16931; credit notes hold positive amounts.

What the standard has no element for (settlement, dunning, dispute) stands in an extension of this
ERP's own namespace, as vendors do. Debit notes are invoices of type 383; other receivable items
have no document and are refused.
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any
from xml.sax.saxutils import escape

from sandbox.dataset import Dataset

Row = Mapping[str, Any]
Money = Callable[[str, Decimal | None], str]

RECEIVABLE = "urn:cedar:receivable:1"
COMMON = "urn:oasis:names:specification:ubl:schema:xsd:"
TYPE_CODES = {"invoice": "380", "debit_note": "383", "credit_note": "381"}
UNIT_CODES = {
    "PCE": "H87",
    "KGM": "KGM",
    "BOX": "XBX",
    "Each": "EA",
    "Packet": "XPK",
    "Pair": "PR",
    "Bag": "XBG",
    "Carton": "XCT",
}
LINE_KINDS = {
    "item": "MAL",
    "freight": "NAKLIYE",
    "charge": "MASRAF",
    "discount": "ISKONTO",
    "text": "METIN",
}


def invoice_documents(dataset: Dataset) -> Iterator[tuple[str, bytes]]:
    """(invoice number, XML) of every receivable item of one ERP. ValueError for other kinds."""
    lines: dict[str, list[Row]] = {}
    for line in dataset["invoice_line"].to_pylist():
        lines.setdefault(line["invoice_key"], []).append(line)
    numbers = dict(
        zip(
            dataset["invoice"]["key"].to_pylist(),
            dataset["invoice"]["number"].to_pylist(),
            strict=True,
        )
    )
    for head in dataset["invoice"].to_pylist():
        if head["kind"] not in TYPE_CODES:
            message = f"a receivable item of kind {head['kind']} has no UBL document"
            raise ValueError(message)
        yield head["number"], _document(head, lines.get(head["key"], []), numbers).encode("utf-8")


def _document(head: Row, lines: list[Row], numbers: Mapping[str, str]) -> str:
    credit = head["kind"] == "credit_note"
    root = "CreditNote" if credit else "Invoice"
    sign = -1 if credit else 1
    currency = head["currency"]

    def money(name: str, value: Decimal | None) -> str:
        return (
            ""
            if value is None
            else f'<cbc:{name} currencyID="{currency}">{_short(sign * value, 2)}</cbc:{name}>'
        )

    gross, open_amount = head["gross"], head["open_amount"]
    body = [
        '<?xml version="1.0" encoding="UTF-8"?>\n',
        f'<{root} xmlns="{COMMON}{root}-2" xmlns:cac="{COMMON}CommonAggregateComponents-2"',
        f' xmlns:cbc="{COMMON}CommonBasicComponents-2"',
        f' xmlns:ext="{COMMON}CommonExtensionComponents-2">\n',
        _extension(head),
        "<cbc:UBLVersionID>2.1</cbc:UBLVersionID>",
        "<cbc:CustomizationID>urn:cen.eu:en16931:2017</cbc:CustomizationID>",
        _cbc("ID", head["number"]),
        _cbc("UUID", head["key"]),
        _cbc("IssueDate", head["issued_on"]),
        "" if credit else _cbc("DueDate", head["due_on"]),
        _cbc(f"{root}TypeCode", TYPE_CODES[head["kind"]]),
        _cbc("DocumentCurrencyCode", currency),
        _cbc("BuyerReference", head["customer_ref"]),
    ]
    if head["order_key"] is not None:
        body.append(f"<cac:OrderReference>{_cbc('ID', head['order_key'])}</cac:OrderReference>")
    if head["cancels_key"] is not None:
        cancelled = _cbc("ID", numbers.get(head["cancels_key"], head["cancels_key"]))
        cancelled += _cbc("UUID", head["cancels_key"])
        body.append(
            "<cac:BillingReference><cac:InvoiceDocumentReference>"
            f"{cancelled}</cac:InvoiceDocumentReference></cac:BillingReference>"
        )
    body += [
        "\n<cac:AccountingSupplierParty><cac:Party><cac:PartyName><cbc:Name>Cedar A.Ş.</cbc:Name>",
        "</cac:PartyName></cac:Party></cac:AccountingSupplierParty>",
        _party("AccountingCustomerParty", head["account_key"]),
        _party("BuyerCustomerParty", head["dealer_key"]),
    ]
    if credit and head["due_on"] is not None:
        due = _cbc("PaymentDueDate", head["due_on"])
        means = f"<cbc:PaymentMeansCode>30</cbc:PaymentMeansCode>{due}"
        body.append(f"<cac:PaymentMeans>{means}</cac:PaymentMeans>")
    if head["discount_until"] is not None or head["discount_amount"] is not None:
        until = _cbc("EndDate", head["discount_until"])
        period = f"<cac:SettlementPeriod>{until}</cac:SettlementPeriod>" if until else ""
        discount = money("Amount", head["discount_amount"])
        body.append(f"<cac:PaymentTerms>{discount}{period}</cac:PaymentTerms>")
    if head["tax"] is not None:
        tax = money("TaxAmount", head["tax"]) + _subtotals(lines, money)
        body.append(f"\n<cac:TaxTotal>{tax}</cac:TaxTotal>")
    body += [
        "\n<cac:LegalMonetaryTotal>",
        money("LineExtensionAmount", head["net"]),
        money("TaxExclusiveAmount", head["net"]),
        money("TaxInclusiveAmount", gross),
        money("PrepaidAmount", gross - open_amount),
        money("PayableAmount", open_amount),
        "</cac:LegalMonetaryTotal>\n",
        *(_line(head, line, money) for line in lines),
        f"</{root}>\n",
    ]
    return "".join(body)


def _subtotals(lines: list[Row], money: Money) -> str:
    rates: dict[Decimal, list[Row]] = {}
    for line in lines:
        if line["tax_pct"] is not None and line["tax"] is not None:
            rates.setdefault(line["tax_pct"], []).append(line)
    return "".join(
        "<cac:TaxSubtotal>"
        + money("TaxableAmount", sum((one["net"] for one in rows), Decimal(0)))
        + money("TaxAmount", sum((one["tax"] for one in rows), Decimal(0)))
        + f"<cac:TaxCategory><cbc:ID>S</cbc:ID>{_cbc('Percent', _short(rate))}"
        "<cac:TaxScheme><cbc:ID>VAT</cbc:ID></cac:TaxScheme></cac:TaxCategory></cac:TaxSubtotal>"
        for rate, rows in rates.items()
    )


def _line(head: Row, line: Row, money: Money) -> str:
    credit = head["kind"] == "credit_note"
    element = "CreditNoteLine" if credit else "InvoiceLine"
    sign = -1 if credit else 1
    body = [f"<cac:{element}>", _cbc("ID", line["line_no"])]
    if line["qty"] is not None:
        name = "CreditedQuantity" if credit else "InvoicedQuantity"
        unit = UNIT_CODES[line["uom"]]
        body.append(f'<cbc:{name} unitCode="{unit}">{_short(sign * line["qty"])}</cbc:{name}>')
    body.append(money("LineExtensionAmount", line["net"]))
    if credit:
        body.append(
            "<cac:DiscrepancyResponse><cbc:ReferenceID>1</cbc:ReferenceID>"
            "<cbc:ResponseCode>IADE</cbc:ResponseCode></cac:DiscrepancyResponse>"
        )
    if line["order_key"] is not None or line["order_line_no"] is not None:
        order = _cbc("LineID", line["order_line_no"])
        order += f"<cac:OrderReference>{_cbc('ID', line['order_key'])}</cac:OrderReference>"
        body.append(f"<cac:OrderLineReference>{order}</cac:OrderLineReference>")
    if line["delivery_key"] is not None:
        body.append(f"<cac:Delivery>{_cbc('ID', line['delivery_key'])}</cac:Delivery>")
    allowance = tax = ""
    if line["discount_pct"] is not None:
        factor = _cbc("MultiplierFactorNumeric", _short(line["discount_pct"]))
        allowance = (
            "<cac:AllowanceCharge><cbc:ChargeIndicator>false</cbc:ChargeIndicator>"
            f"{factor}</cac:AllowanceCharge>"
        )
    if line["tax"] is not None:
        tax = f"<cac:TaxTotal>{money('TaxAmount', line['tax'])}</cac:TaxTotal>"
    # the schemas of the two kinds of line have them in different order
    body.append(tax + allowance if credit else allowance + tax)
    body.append(_item(line))
    if line["unit_price"] is not None:
        body.append(_price(line, head["currency"]))
    if line["gross"] is not None:
        body.append(
            f"<cac:ItemPriceExtension>{money('Amount', line['gross'])}</cac:ItemPriceExtension>"
        )
    body.append(f"</cac:{element}>\n")
    return "".join(body)


def _item(line: Row) -> str:
    key = line["product_key"]
    seller = (
        ""
        if key is None
        else f"<cac:SellersItemIdentification>{_cbc('ID', key)}</cac:SellersItemIdentification>"
    )
    kind = LINE_KINDS[line["kind"]]
    rate = line["tax_pct"]
    tax = (
        ""
        if rate is None
        else f"<cac:ClassifiedTaxCategory><cbc:ID>S</cbc:ID>{_cbc('Percent', _short(rate))}"
        "<cac:TaxScheme><cbc:ID>VAT</cbc:ID></cac:TaxScheme></cac:ClassifiedTaxCategory>"
    )
    return (
        f"<cac:Item>{_cbc('Name', line['description'])}{seller}<cac:CommodityClassification>"
        f'<cbc:ItemClassificationCode listID="CEDAR">{kind}</cbc:ItemClassificationCode>'
        f"</cac:CommodityClassification>{tax}</cac:Item>"
    )


def _price(line: Row, currency: str) -> str:
    price = _short(line["unit_price"], 2)
    amount = f'<cbc:PriceAmount currencyID="{currency}">{price}</cbc:PriceAmount>'
    per = _cbc("BaseQuantity", line["per"])
    since = _cbc("StartDate", line["priced_on"])
    period = f"<cac:ValidityPeriod>{since}</cac:ValidityPeriod>" if since else ""
    return f"<cac:Price>{amount}{per}{period}</cac:Price>"


def _extension(head: Row) -> str:
    flags = {True: "true", False: "false", None: None}
    facts = (
        ("SettledOn", head["settled_on"]),
        ("DueComputed", flags[head["due_on_computed"]]),
        ("Disputed", flags[head["disputed"]]),
        ("DisputeReason", head["dispute_reason"]),
        ("DunningLevel", head["dunning_level"]),
        ("Attributes", head["attributes"]),
    )
    body = "".join(
        f"<r:{name}>{escape(str(value))}</r:{name}>" for name, value in facts if value is not None
    )
    if not body:
        return ""
    return (
        "<ext:UBLExtensions><ext:UBLExtension><ext:ExtensionContent>"
        f'<r:Receivable xmlns:r="{RECEIVABLE}">{body}</r:Receivable>'
        "</ext:ExtensionContent></ext:UBLExtension></ext:UBLExtensions>\n"
    )


def _party(role: str, key: str | None) -> str:
    if key is None:
        return ""
    return (
        f"<cac:{role}><cac:Party><cac:PartyIdentification>{_cbc('ID', key)}"
        f"</cac:PartyIdentification></cac:Party></cac:{role}>"
    )


def _cbc(name: str, value: object) -> str:
    return "" if value is None else f"<cbc:{name}>{escape(str(value))}</cbc:{name}>"


def _short(value: Decimal, least: int = 0) -> str:
    """Plain decimal text with at least `least` decimals and no other zeros at its end."""
    whole, _, part = f"{value + 0:f}".partition(".")  # + 0: no minus before a zero
    part = part.rstrip("0").ljust(least, "0")
    return f"{whole}.{part}" if part else whole
