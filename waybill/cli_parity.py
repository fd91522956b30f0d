"""`waybill parity`: invoiced prices against what the synced conditions give. Changes nothing."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mappings.settings import Settings
from waybill.output import print_table, to_json

if TYPE_CHECKING:
    from sync.parity import Parity

_SUMMARY = ("erp", "prices_of", "lines", "explained", "unexplained", "share_pct", "reasons",
            "difference")  # fmt: skip
_ITEM = (
    *("invoice_key", "line_no", "dealer_key", "product_key", "qty", "uom", "priced_on"),
    *("invoiced", "resolved", "level", "header_key", "reason", "says"),
)
_SHOWN = 10


@click.command()
@click.argument("erp", required=False)
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the outcome here: one object, or a list without ERP.",
)
@click.option(
    "--every-line", is_flag=True, help="List every line in the JSON, not the unexplained alone."
)
@click.option(
    "--live",
    type=click.IntRange(1, 1000),
    help="Instead: ask the ERP for so many random prices and stocks, and hold ours beside them.",
)
@click.pass_obj
def parity(
    settings: Settings,
    erp: str | None,
    json_file: Path | None,
    live: int | None,
    *,
    every_line: bool,
) -> None:
    """Hold every invoice line against the price that the synced conditions give.

    By dealer, product, quantity and day. Each line is kept in sync.parity_item with the condition
    that won, and why it is unexplained where it is.
    """
    if live is not None:
        _ask(settings, erp, live, json_file)
        return
    from sync.parity import parity as compare  # noqa: PLC0415 - heavy
    from sync.parity import supplying  # noqa: PLC0415 - heavy
    from waybill.cli_sync import drawn  # noqa: PLC0415 - heavy
    from waybill.installation import opened  # noqa: PLC0415 - heavy

    found: list[Parity] = []
    with opened(settings) as context:
        for one in [erp] if erp else supplying(context):
            with drawn(f"{one} parity") as progress:
                found.append(compare(context, one, every_line=every_line, progress=progress))
    if not found:
        click.echo("No ERP maps invoices.")
        return
    print_table([_summary(one) for one in found], _SUMMARY)
    for one in found:
        worst = [item for item in one.items if item["reason"] is not None][:_SHOWN]
        if worst:
            title = f"{one.erp}: the first {len(worst)} of {one.unexplained} unexplained"
            print_table(worst, _ITEM, title=title)
    if json_file is not None:
        written = [_document(one) for one in found]
        text = to_json(written[0] if erp else written)
        json_file.write_text(text + "\n", encoding="utf-8")


def _ask(settings: Settings, erp: str | None, count: int, json_file: Path | None) -> None:
    """Live answers beside ours, of one ERP or of all that can be asked."""
    from sync.ask import Asker  # noqa: PLC0415 - heavy
    from sync.live_parity import compare_live, offering  # noqa: PLC0415 - heavy
    from waybill.installation import actor, opened  # noqa: PLC0415 - heavy

    with opened(settings) as context, Asker(context) as asker:
        rows = [
            {"erp": one, **asdict(found)}
            for one in ([erp] if erp else offering(context))
            for found in compare_live(context, asker, one, count, actor=actor())
        ]
    if not rows:
        click.echo("No ERP can be asked, or there is nothing to ask for.")
        return
    print_table(rows, ("erp", "question", "dealer_key", "product_key", "warehouse_key",
                       "portal_value", "erp_value", "agrees", "says"))  # fmt: skip
    if json_file is not None:
        json_file.write_text(to_json(rows) + "\n", encoding="utf-8")


def _summary(one: Parity) -> dict[str, Any]:
    reasons = ", ".join(f"{name} {count:,}" for name, count in one.reasons.items())
    apart = ", ".join(f"{amount:+,f} {code}" for code, amount in one.difference.items())
    return {
        "erp": one.erp,
        "prices_of": one.price_erp,
        "lines": one.lines,
        "explained": one.explained,
        "unexplained": one.unexplained,
        "share_pct": one.share,
        "reasons": reasons or "–",
        "difference": apart or "–",
    }


def _document(one: Parity) -> dict[str, Any]:
    return {
        "erp": one.erp,
        "prices_of": one.price_erp,
        "parity_id": one.id,
        "lines": one.lines,
        "explained": one.explained,
        "unexplained": one.unexplained,
        "share_pct": one.share,
        "reasons": one.reasons,
        "difference": one.difference,
        "items": [
            {
                "invoice": item["invoice_key"],
                "line": item["line_no"],
                "dealer": item["dealer_key"],
                "product": item["product_key"],
                "qty": item["qty"],
                "uom": item["uom"],
                "day": item["priced_on"],
                "currency": item["currency"],
                "invoiced": item["invoiced"],
                "invoiced_net": item["invoiced_net"],
                "resolved": item["resolved"],
                "resolved_net": item["resolved_net"],
                "level": item["level"],
                "record": item["header_key"],
                "reason": item["reason"],
                "says": item["says"],
            }
            for item in one.items
        ],
    }
