"""`waybill figures`: what the portal is there for, measured from the ERP's own orders."""

from __future__ import annotations

from datetime import datetime

import click

from mappings.settings import Settings
from waybill.output import show

_COLUMNS = ("erp", "span", "starts_on", "ends_on", "name", "value", "counted", "of", "closed")


@click.command()
@click.argument("erp", required=False)
@click.option(
    "--span",
    default="month",
    show_default=True,
    type=click.Choice(["baseline", "week", "month", "quarter"]),
)
@click.option("--baseline-from", type=click.DateTime(["%Y-%m-%d"]), help="First local day.")
@click.option("--baseline-to", type=click.DateTime(["%Y-%m-%d"]), help="The day after the last.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def figures(
    settings: Settings,
    erp: str | None,
    span: str,
    baseline_from: datetime | None,
    baseline_to: datetime | None,
    *,
    as_json: bool,
) -> None:
    """Portal share, active dealers, error rate, entry to shipment, after-hours share.

    Worked out now, and every night by a DAG, from the orders that the ERP knows. Beside them
    stands a baseline: the 91 days before the first order through the portal, or the days that you
    name with --baseline-from and --baseline-to (on record as your decision).
    """
    from portal_db.figures import known  # noqa: PLC0415 - heavy
    from sync.figures import compute, set_baseline, supplying  # noqa: PLC0415 - heavy
    from waybill.installation import actor, opened  # noqa: PLC0415 - heavy

    if (baseline_from is None) != (baseline_to is None):
        raise click.UsageError("--baseline-from and --baseline-to go together")
    if baseline_from is not None and erp is None:
        raise click.UsageError("a baseline is one ERP's: name it")
    with opened(settings) as context:
        if erp is not None and baseline_from is not None and baseline_to is not None:
            set_baseline(context, erp, baseline_from.date(), baseline_to.date(), actor=actor())
        for one in [erp] if erp else supplying(context):
            compute(context, one)
        with context.connection() as connection:
            rows = known(connection, erp, span)
    show(rows, _COLUMNS, as_json=as_json, empty="No ERP maps orders, or there are none.")
