"""`waybill drift`: is the portal still what the extracts say?"""

from __future__ import annotations

import click

from mappings.settings import Settings
from waybill.output import show


@click.command()
@click.argument("erp", required=False)
@click.argument("feed", required=False)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def drift(settings: Settings, erp: str | None, feed: str | None, *, as_json: bool) -> None:
    """Compare the portal with the last extracts, record by record, and repair what differs.

    A load skips the records it knows and does not look at their rows; this finds the rows that
    somebody edited. It reads the landed bytes and asks no ERP. A DAG does it every night.
    """
    from sync.drift import check_drift  # noqa: PLC0415 - heavy
    from waybill.installation import actor, opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        erps = [erp] if erp else sorted(context.mappings.mappings)
        found = [
            one
            for name in erps
            for each in ([feed] if feed else context.erp(name).feeds)
            for one in check_drift(context, name, each, actor=actor())
        ]
    rows = [
        {
            "erp": one.erp,
            "feed": one.feed,
            "scope": one.scope_key,
            "repaired": one.repaired,
            "says": one.says,
            "run_id": None if one.outcome is None else one.outcome.run_id,
        }
        for one in found
    ]
    show(rows, ("erp", "feed", "scope", "repaired", "says", "run_id"), as_json=as_json)
