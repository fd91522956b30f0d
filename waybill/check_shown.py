"""What a check found, on a terminal: the sources, what is wrong, and records side by side.

Must not: check anything.
"""

from __future__ import annotations

from typing import Any

import click

from waybill.output import cell, print_table

Row = dict[str, Any]


def print_check(found: Row) -> None:
    """One ERP's check: its connection, its sources, then what is wrong, then records."""
    click.secho(f"{found['erp']}: {found['state']}", bold=True)
    if found["connection"]:
        click.echo(f"connection: {found['connection']}")
    limits = found["limits"]
    if limits and limits["state"] != "open":
        click.secho(f"budget: {limits['state']}; see `waybill limits {found['erp']}`", fg="yellow")
    if found["error"]:
        click.secho(found["error"], fg="red")
    for fault in found["trust"]:
        click.secho(fault, fg="red")
    if found["sources"]:
        print_table(found["sources"], ("feed", "part", "state", "page", "read", "rejected"))
    for source in found["sources"]:
        for record in source["records"]:
            _print_record(record)
        if source["error"]:
            click.secho(source["error"], fg="red")
        for reason in source["reasons"]:
            click.secho(
                f"{source['feed']}/{source['part']}: {reason['records']} × {reason['code']} "
                f"({reason['says']}), e.g. {cell(reason['example'])[:200]}",
                fg="yellow",
            )


def _print_record(record: Row) -> None:
    """Raw → mapped → judged; fields that are neither supplied nor complained about are left out."""
    rows = [
        {
            "field": one["field"],
            "theirs": one["theirs"],
            "raw": one["raw"],
            "mapped": one["value"],
            "judged": "; ".join(f"{r['code']}: {r['says']}" for r in one["reasons"]) or "ok",
        }
        for one in record["fields"]
        if one["theirs"] != "absent" or one["reasons"]
    ]
    title = f"{record['part']} record {record['record']}: {record['state']}"
    print_table(rows, ("field", "theirs", "raw", "mapped", "judged"), title=title)
