"""`waybill explain`: a value's way back to the ERP's bytes, on one screen."""

from __future__ import annotations

from typing import Any

import click

from mappings.settings import Settings
from waybill.output import cell, print_table, to_json


@click.command()
@click.argument("table")
@click.argument("key", nargs=-1, required=True)
@click.option("--field", help="Only this field.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with everything.")
@click.pass_obj
def explain(
    settings: Settings, table: str, key: tuple[str, ...], field: str | None, *, as_json: bool
) -> None:
    """Where a row comes from: batch, run, page, the very bytes, the mapping, the changes.

    TABLE is a table of schema portal; KEY is the ERP's name and the row's key. The end of the key
    may be left out where only one row begins so.

    \b
      waybill explain product anvil 000000000000001234
      waybill explain price anvil HEADER 10
      waybill explain invoice_line birch INV-17 1
    """  # noqa: D301 - click marks what it must not rewrap
    from sync.explain import explain as explain_row  # noqa: PLC0415 - heavy
    from waybill.installation import opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        found = explain_row(context, table, list(key))
    if field is not None:
        _only(found, field)
    if as_json:
        click.echo(to_json(found))
    else:
        _print(found)


def _only(found: dict[str, Any], field: str) -> None:
    if field not in found["row"]:
        known = ", ".join(found["row"])
        raise click.BadParameter(f"{found['table']} has no field {field}; it has {known}")
    found["row"] = {field: found["row"][field]}
    found["mapping"]["fields"] = [f for f in found["mapping"]["fields"] if f["field"] == field]
    found["changes"] = [
        c for c in found["changes"] if field in (c["old"] or {}) or field in (c["new"] or {})
    ]


def _print(found: dict[str, Any]) -> None:
    from sync.explain import field_line  # noqa: PLC0415 - heavy

    key = " ".join(cell(part) for part in found["key"])
    click.secho(f"{found['table']} {found['erp']} {key}", bold=True)
    state = f"observed {cell(found['as_of'])}"
    if found["deleted_at"]:
        state += f", deleted {cell(found['deleted_at'])}"
    if found["stale_since"]:
        state += f", stale since {cell(found['stale_since'])}: a newer record was not let in"
    click.echo(state)
    lines = [
        {
            "field": one["field"],
            "value": one["value"],
            "the ERP's text": "; ".join(cell(raw) for raw in one.get("raw", {}).values()) or None,
            "mapping": field_line(one),
        }
        for one in found["mapping"]["fields"]
    ]
    print_table(lines, ("field", "value", "the ERP's text", "mapping"))
    batch, evidence = found["batch"] or {}, found["evidence"]
    click.echo(
        f"batch {batch.get('id')}: {batch.get('mode')}, pulled {cell(batch.get('pulled_at'))}, "
        f"{batch.get('pages')} pages, SHA-256 {batch.get('content_sha256')}"
    )
    for run in found["runs"]:
        by = f" by {run['actor']}: {run['reason']}" if run["actor"] else ""
        click.echo(f"run {run['id']}: {run['kind']}, {cell(run['started_at'])}{by}")
    todays = "today's" if found["mapping"]["is_todays"] else "an earlier one"
    click.echo(f"mapping SHA-256 {found['mapping']['sha256']} ({todays})")
    failed = [c["check_id"] for c in found["checks"] if c["success"] is False]
    click.echo(
        f"checks: {len(found['checks'])} of this table ran"
        + (f", failed by other records: {', '.join(failed)}" if failed else "")
    )
    if found["changes"]:
        columns = ("at", "run_id", "op", "old", "new")
        print_table(found["changes"], columns, title="Changes, newest first")
    if found["corrections"]:
        columns = ("at", "actor", "was", "changes", "reason")
        title = "Corrected at the desk, for as long as the ERP sends the same bytes"
        print_table(found["corrections"], columns, title=title)
    if evidence["state"] == "present":
        click.echo(
            f"page {evidence['page']} ({evidence['name']}), record {evidence['record_in_page']}, "
            f"bytes {evidence['first_byte']} to {evidence['end_byte']}\n"
            f"{evidence['path']}\nSHA-256 {evidence['sha256']} (verified)"
        )
        click.echo(evidence["text"])
    else:
        click.secho(f"evidence {evidence['state']}: {evidence['says']}", fg="yellow")
        for page in evidence.get("hashes", []):
            click.echo(f"page {page['page']} ({page['name']}): SHA-256 {page['sha256']}")
