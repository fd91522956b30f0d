"""What each ERP's account allows and how much is in use. Reads and prints, changes nothing."""

from __future__ import annotations

import click

from mappings.settings import Settings
from waybill.output import cell, show


@click.command()
@click.argument("erp", required=False)
@click.option("--json", "as_json", is_flag=True, help="As JSON, with every column.")
@click.pass_obj
def limits(settings: Settings, erp: str | None, *, as_json: bool) -> None:
    """What each ERP's account allows, and how much of it is in use now.

    Ends with exit code 1 if an account is stopped because too many requests were refused.
    """
    from sync import budget  # noqa: PLC0415 - heavy
    from waybill.installation import opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        names = [erp] if erp is not None else sorted(context.mappings.mappings)
        rows = [budget.look(context, name) for name in names]
    columns = ("erp", "account", "state", "requests_per_minute", "concurrent", "reserve",
               "in_flight_bulk", "in_flight_now", "paused_seconds", "errors_per_hour")  # fmt: skip
    show(rows, columns, as_json=as_json, empty="No ERP is mapped.")
    if not as_json:
        for row in rows:
            for endpoint, found in row["refusals"].items():
                stopped = endpoint in row["stopped"]
                click.secho(
                    f"{row['erp']}: {endpoint}: {found['count']} requests refused since "
                    f"{cell(found['since'])} (last: {found['last_status']})"
                    f"{'; no more are sent until the hour is over' if stopped else ''}",
                    fg="red" if stopped else "yellow",
                )
    if any(row["stopped"] for row in rows):
        raise click.exceptions.Exit(1)
