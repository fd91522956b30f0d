"""`waybill retention`: how long everything is kept, what is due, and its deletion on record."""

from __future__ import annotations

from dataclasses import asdict

import click

from mappings.settings import Settings
from waybill.output import print_table, show, to_json


@click.command()
@click.option("--delete", is_flag=True, help="Delete what is due. A DAG does it every night.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def retention(settings: Settings, *, delete: bool, as_json: bool) -> None:
    """How long each class of data is kept; with --delete, what is due goes.

    Every deletion leaves a line in the audit: how many, from when to when, the SHA-256 of what
    went. What an open item or the last good batch needs stays. WAYBILL_KEEP changes the days of
    a class (`evidence=400 people=90`), `keep` in a mapping those of one feed's bytes.
    """
    from mappings.retention import CLASSES, keep_days  # noqa: PLC0415 - not for --help
    from sync.retention import due, expire  # noqa: PLC0415 - heavy
    from waybill.installation import actor, opened  # noqa: PLC0415 - heavy

    days = keep_days(dict(settings.keep))
    with opened(settings) as context:
        if delete:
            gone = [asdict(one) for one in expire(context, actor=actor())]
            columns = ("kept_as", "subject", "taken", "bytes", "first_at", "last_at", "sha256")
            show(gone, columns, as_json=as_json, empty="Nothing was due.")
            return
        evidence = due(context)
    classes = [
        {"class": c.name, "days": days[c.name], "holds": c.holds, "stays": c.stays} for c in CLASSES
    ]
    if as_json:
        click.echo(to_json({"classes": classes, "evidence": evidence}))
        return
    print_table(classes, ("class", "days", "holds", "stays"))
    print_table(
        evidence,
        ("erp", "feed", "keep_days", "batches", "bytes"),
        title="Evidence that would go now",
    )
