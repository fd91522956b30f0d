"""`waybill order` and `waybill outbox`: what dealers ordered, and what is owed to the ERPs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mappings.settings import Settings
from waybill.output import cell, print_table, show, to_json

if TYPE_CHECKING:
    from portal_db.orders import NewOrder

_as_json = click.option("--json", "as_json", is_flag=True, help="As JSON, with every column.")
_erp = click.option("--erp", help="Only of this ERP.")
_limit = click.option("--limit", default=20, show_default=True, type=click.IntRange(1))
_reason = click.option("--reason", required=True, help="Why; kept in the audit.")
_MESSAGE_STATES = (
    *("pending", "sending", "delivered", "retryable", "uncertain", "dead", "cancelled"),
)


class _ListByDefault(click.Group):
    """`outbox --erp anvil` is `outbox list --erp anvil`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `list` in front of what is no subcommand."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ListByDefault)
def order() -> None:
    """Orders placed here, and how far each is.

    \b
      waybill order [--erp ERP] [--state STATE]         the newest
      waybill order show REFERENCE                      lines, holds, messages, attempts
      waybill order place ERP DEALER -l PRODUCT QTY UOM … --key KEY
      waybill order approve | cancel | retry REFERENCE
    """  # noqa: D301 - click marks what it must not rewrap


@order.command("list")
@_erp
@click.option("--state", help="approved, sent, acknowledged, rejected, cancelled …")
@_limit
@_as_json
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
@_as_json
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
        _print_message(message)


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
@_reason
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
@_reason
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
    _say_retried(int(mine[0]["id"]), state)


@click.group(cls=_ListByDefault)
def outbox() -> None:
    """Messages owed to the ERPs: what waits, what failed, what needs a person.

    \b
      waybill outbox [--erp ERP] [--state dead]     dead ones first, then open ones
      waybill outbox lanes                          each ERP: reachable? how many wait?
      waybill outbox show ID                        payload and every attempt
      waybill outbox deliver [ERP]                  deliver now, in this process
      waybill outbox retry ID --reason …            let it go again
      waybill outbox settle ID --there|--not-there  you looked in the ERP
      waybill outbox resume ERP                     try an ERP that is down, now
    """  # noqa: D301 - click marks what it must not rewrap


@outbox.command("list")
@_erp
@click.option("--state", type=click.Choice(_MESSAGE_STATES))
@click.option("--kind", type=click.Choice(["order", "order_cancel", "customer_update", "request"]))
@_limit
@_as_json
@click.pass_obj
def list_messages(
    settings: Settings,
    erp: str | None,
    state: str | None,
    kind: str | None,
    limit: int,
    *,
    as_json: bool,
) -> None:
    """Messages, those that need a person first. Exit code 1 if there are any."""
    from sync import order_book  # noqa: PLC0415 - heavy
    from waybill.installation import opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        if erp is not None:
            context.erp(erp)
        rows = order_book.messages(context, erp=erp, state=state, kind=kind, limit=limit)
    columns = ("id", "erp", "kind", "reference", "state", "tries", "next_at", "code", "says")
    show(rows, columns, as_json=as_json, empty="Nothing in the outbox.")
    if any(row["state"] == "dead" for row in rows):
        raise click.exceptions.Exit(1)


@outbox.command("lanes")
@_as_json
@click.pass_obj
def show_lanes(settings: Settings, *, as_json: bool) -> None:
    """Each ERP that takes messages: is it reachable, and what waits for it."""
    from sync import order_book  # noqa: PLC0415 - heavy
    from waybill.installation import opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        rows = order_book.lanes(context)
    columns = ("erp", "circuit", "waiting", "uncertain", "dead", "oldest", "next_at", "says")
    show(rows, columns, as_json=as_json, empty="No ERP takes messages.")


@outbox.command("show")
@click.argument("message_id", metavar="ID", type=int)
@_as_json
@click.pass_obj
def show_message(settings: Settings, message_id: int, *, as_json: bool) -> None:
    """One message: what it says, and every attempt with what went over the wire."""
    from sync import order_book  # noqa: PLC0415 - heavy
    from waybill.installation import opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        found = order_book.message(context, message_id)
    if as_json:
        click.echo(to_json(found))
    else:
        _print_message(found)


@outbox.command()
@click.argument("erp", required=False)
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(1))
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1, 32))
@click.pass_obj
def deliver(settings: Settings, erp: str | None, limit: int, threads: int) -> None:
    """Deliver what is due, now and here; beside the gateway and Airflow is fine."""
    from sync.deliver import deliver_due  # noqa: PLC0415 - heavy
    from waybill.installation import opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        report = deliver_due(context, erp=erp, limit=limit, threads=threads)
    told = ", ".join(f"{name} {n}" for name, n in sorted(report.outcomes.items()))
    click.echo(told or "Nothing was due.")
    for name, why in report.left_alone.items():
        click.secho(f"{name}: {why}", fg="yellow")


@outbox.command("retry")
@click.argument("message_id", metavar="ID", type=int)
@_reason
@click.option("--payload", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="A corrected payload as JSON; kept as its next version.")  # fmt: skip
@click.pass_obj
def retry_one(settings: Settings, message_id: int, reason: str, payload: Path | None) -> None:
    """Let a message go again; what may be in the ERP is looked up first."""
    from sync.dead_letters import retry_message  # noqa: PLC0415 - heavy
    from waybill.installation import actor, opened  # noqa: PLC0415 - heavy

    body = None if payload is None else json.loads(payload.read_text(encoding="utf-8"))
    with opened(settings) as context:
        state = retry_message(context, message_id, actor=actor(), reason=reason, payload=body)
    _say_retried(message_id, state)


@outbox.command()
@click.argument("message_id", metavar="ID", type=int)
@click.option("--there/--not-there", "there", required=True, help="What you found in the ERP.")
@click.option("--number", help="The ERP's number, where it is there.")
@_reason
@click.pass_obj
def settle(
    settings: Settings, message_id: int, number: str | None, reason: str, *, there: bool
) -> None:
    """Say what you found in the ERP under the message's reference."""
    from sync.dead_letters import settle_message  # noqa: PLC0415 - heavy
    from waybill.installation import actor, opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        state = settle_message(
            context, message_id, there=there, actor=actor(), reason=reason, number=number
        )
    click.echo(f"Message {message_id} is {state}.")


@outbox.command()
@click.argument("erp")
@click.pass_obj
def resume(settings: Settings, erp: str) -> None:
    """Try an ERP that is down or paused now, with one message."""
    from sync.dead_letters import resume as resume_erp  # noqa: PLC0415 - heavy
    from waybill.installation import actor, opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        held = resume_erp(context, erp, actor=actor())
    click.echo(f"{erp} is tried with the next message." if held else f"{erp} was not held back.")


def _print_message(message: dict[str, Any]) -> None:
    click.secho(
        f"message {message['id']}: {message['kind']} {message['reference']} to {message['erp']}, "
        f"{message['state']}",
        bold=True,
    )
    if message["state"] not in ("delivered", "cancelled"):
        click.echo(f"next try {cell(message['next_at'])}, {message['tries']} sends so far")
    if message["says"]:
        click.secho(str(message["says"]), fg="red" if message["state"] == "dead" else "yellow")
    columns = ("attempt_no", "what", "event", "at", "outcome", "code", "says", "seconds", "worker")
    print_table(message["attempt_rows"], columns, title="Attempts")


def _say_retried(message_id: int, state: str) -> None:
    if state == "uncertain":
        click.echo(f"Message {message_id} may be in the ERP: it is asked for it first.")
    elif state == "dead":
        click.secho(
            f"Message {message_id} may be in the ERP, which cannot be asked. Look there, then: "
            f"waybill outbox settle {message_id} --there|--not-there --reason …",
            fg="yellow",
        )
        raise click.exceptions.Exit(1)
    else:
        click.echo(f"Message {message_id} goes out again.")


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
