"""`waybill order`: what dealers ordered, and how far each is."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mappings.settings import Settings
from waybill.cli_outbox import (
    ListByDefault,
    erp_option,
    json_option,
    limit_option,
    print_message,
    reason_option,
    say_retried,
)
from waybill.output import cell, print_table, show, to_json

if TYPE_CHECKING:
    from portal_db.orders import NewOrder


@click.group(cls=ListByDefault)
def order() -> None:
    """Orders placed here, and how far each is.

    \b
      waybill order [--erp ERP] [--state STATE]         the newest
      waybill order show REFERENCE                      lines, holds, messages, attempts
      waybill order place ERP DEALER -l PRODUCT QTY UOM … --key KEY
      waybill order approve | cancel | retry REFERENCE
    """  # noqa: D301 - click marks what it must not rewrap


@order.command("list")
@erp_option
@click.option("--state", help="approved, sent, acknowledged, rejected, cancelled …")
@limit_option
@json_option
@click.pass_obj
def list_orders(
    settings: Settings, erp: str | None, state: str | None, limit: int, *, as_json: bool
) -> None:
    """The newest orders, with what their dealers read."""
    from sync import order_book  # noqa: PLC0415 - heavy
    from waybill.installation import opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        if erp is not None:
            context.erp(erp)
        rows = order_book.orders(context, erp=erp, state=state, limit=limit)
    columns = ("reference", "erp", "dealer_key", "placed_at", "state", "number", "says")
    show(rows, columns, as_json=as_json, empty="No order.")


@order.command("show")
@click.argument("reference")
@json_option
@click.pass_obj
def show_order(settings: Settings, reference: str, *, as_json: bool) -> None:
    """One order: its lines, what it holds back, every try to deliver it."""
    from sync import order_book  # noqa: PLC0415 - heavy
    from waybill.installation import opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        found = order_book.order(context, reference)
    if as_json:
        click.echo(to_json(found))
        return
    click.secho(f"{found['reference']}: {found['says']}", bold=True)
    click.echo(
        f"{found['erp']}, dealer {found['dealer_key']}, placed {cell(found['placed_at'])}, "
        f"{cell(found['gross'])} {found['currency']}, state {found['state']}"
    )
    columns = ("line_no", "product_key", "qty", "uom", "unit_price", "outcome", "qty_confirmed",
               "unit_price_confirmed", "expected_on", "reason")  # fmt: skip
    print_table(found["lines"], columns, title="Lines")
    if found["holds"]:
        print_table(found["holds"], ("product_key", "warehouse_key", "qty", "held_at", "ended_at",
                                     "ended_because"), title="Stock held")  # fmt: skip
    for message in found["messages"]:
        print_message(message)


@order.command("place")
@click.argument("erp")
@click.argument("dealer")
@click.option("-l", "--line", "lines", nargs=3, multiple=True, metavar="PRODUCT QTY UOM",
              help="A line; may be given again.")  # fmt: skip
@click.option("-p", "--priced", "priced", nargs=4, multiple=True,
              metavar="PRODUCT QTY UOM UNIT_PRICE",
              help="A line with the net price of one unit that the dealer was shown: where the "
              "portal's own price is another, nothing is placed.")  # fmt: skip
@click.option("--file", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="The order as JSON, instead of lines; see above.")  # fmt: skip
@click.option("--key", required=True, help="Idempotency key: the same key is the same order.")
@click.option("--currency", default="EUR", show_default=True)
@click.option("--customer-ref", help="The dealer's own reference.")
@click.option("--backorder", is_flag=True, help="Order what stock does not cover, too.")
@click.option("--needs-approval", is_flag=True, help="Send it once it is approved.")
@click.pass_obj
def place(
    settings: Settings,
    erp: str,
    dealer: str,
    *,
    lines: tuple[tuple[str, str, str], ...],
    priced: tuple[tuple[str, str, str, str], ...],
    file: Path | None,
    key: str,
    currency: str,
    customer_ref: str | None,
    backorder: bool,
    needs_approval: bool,
) -> None:
    """Place an order for a dealer (its customer number at the ERP), once for each KEY.

    Its credit is not judged here: that is what the gateway's POST /orders does.

    \b
    A --file holds, with `lines` alone needed, and of a line the first three:
      {"currency": "EUR", "customer_ref": "PO 7", "requested_on": "2026-12-01",
       "address_key": "…", "contact_key": "…", "note": "…", "backorder": false,
       "lines": [{"product_key": "0001", "qty": "2", "uom": "PCE",
                  "unit_price": "9.50", "per": 1, "discount_pct": "0",
                  "warehouse_key": "W1", "note": "…"}]}
    """  # noqa: D301 - click marks what it must not rewrap
    from sync.placing import place_for  # noqa: PLC0415 - heavy
    from sync.pricing import portal_prices  # noqa: PLC0415 - heavy
    from waybill.installation import actor, opened  # noqa: PLC0415 - heavy

    told_here = {"currency": currency, "customer_ref": customer_ref, "backorder": backorder,
                 "needs_approval": needs_approval, "entered_by": actor()}  # fmt: skip
    fields = {**told_here, **({} if file is None else _order_file(file))}
    wish = _wish((*lines, *priced), fields, erp=erp, dealer_key=dealer, idempotency_key=key)
    with opened(settings) as context:
        placed = place_for(context, wish, prices=portal_prices(context))
    told = "was placed before" if placed.again else "is placed"
    click.echo(f"{placed.reference} {told} ({placed.state}).")
    if placed.message_id is None:
        click.echo(f"It is sent once it is approved: waybill order approve {placed.reference}")
    else:
        click.echo(f"Follow it: waybill order show {placed.reference}")


@order.command()
@click.argument("reference")
@click.pass_obj
def approve(settings: Settings, reference: str) -> None:
    """Approve an order: its message is written and goes out."""
    from portal_db.orders import approve_order  # noqa: PLC0415 - heavy
    from waybill.installation import actor, opened  # noqa: PLC0415 - heavy

    with opened(settings) as context, context.connection() as connection:
        message = approve_order(connection, reference, actor=actor())
    click.echo(f"{reference} is approved; message {message} is on its way.")


@order.command()
@click.argument("reference")
@reason_option
@click.pass_obj
def cancel(settings: Settings, reference: str, reason: str) -> None:
    """Cancel an order: at once where it was never sent, else by asking the ERP."""
    from portal_db.orders import cancel_order  # noqa: PLC0415 - heavy
    from waybill.installation import actor, opened  # noqa: PLC0415 - heavy

    with opened(settings) as context, context.connection() as connection:
        done = cancel_order(connection, reference, reason=reason, actor=actor())
    if done.message_id is None:
        click.echo(f"{reference} is {done.state}; the ERP never saw it.")
    else:
        click.echo(f"{reference} may be in the ERP: message {done.message_id} asks to cancel it.")


@order.command("retry")
@click.argument("reference")
@reason_option
@click.pass_obj
def retry_order(settings: Settings, reference: str, reason: str) -> None:
    """Let the order's message go again; what may be in the ERP is looked up first."""
    from sync import dead_letters, order_book  # noqa: PLC0415 - heavy
    from waybill.installation import actor, opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        found = order_book.order(context, reference)
        mine = [one for one in found["messages"] if one["reference"] == reference]
        if not mine:
            raise click.UsageError(f"{reference} has no message yet: it waits for approval")
        state = dead_letters.retry_message(
            context, int(mine[0]["id"]), actor=actor(), reason=reason
        )
    say_retried(int(mine[0]["id"]), state)


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise click.UsageError(f"{text!r} is no quantity; write it as 12 or 12.5") from None


def _wish(lines: Iterable[tuple[str, ...]], fields: dict[str, Any], **whose: str) -> NewOrder:
    """An order of lines given one by one, and of those in `fields`."""
    from portal_db.orders import NewLine, NewOrder  # noqa: PLC0415 - heavy

    others = fields.pop("lines", ())
    try:
        given = (
            *(NewLine(product, _number(qty), uom, unit_price=_number(price[0]) if price else None)
              for product, qty, uom, *price in lines),
            *(NewLine(**_exact(one)) for one in others),
        )  # fmt: skip
        if given:
            return NewOrder(lines=given, **whose, **_exact(fields))
    except (TypeError, InvalidOperation) as error:
        raise click.UsageError(f"{error}; `--help` shows what a file may hold") from None
    raise click.UsageError("an order needs at least one line: -l PRODUCT QTY UOM")


def _order_file(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
    except ValueError as error:
        raise click.UsageError(f"{file} is not JSON: {error}") from None
    lines = found.get("lines", ()) if isinstance(found, dict) else None
    if not isinstance(lines, (list, tuple)) or not all(isinstance(one, dict) for one in lines):
        raise click.UsageError(f"{file} holds no order; `--help` shows what one looks like")
    return found


def _exact(fields: dict[str, Any]) -> dict[str, Any]:
    """Numbers of a JSON file as exact decimals where the order wants them."""
    amounts = ("qty", "unit_price", "net", "tax", "gross", "discount_pct", "tax_pct")
    return {
        name: Decimal(str(value)) if name in amounts and value is not None else value
        for name, value in fields.items()
    }
