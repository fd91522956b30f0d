"""Commands that look: feeds, runs, one run, batches. Each reads and prints; none changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from mappings.settings import Settings
from waybill.output import age, cell, print_table, show, to_json

_RUN_COLUMNS = (
    *("run_id", "erp", "feed", "kind", "state", "read", "inserted", "updated", "unchanged"),
    *("superseded", "quarantined", "deferred", "deleted", "seconds", "started_at", "error"),
)
_PART_COLUMNS = (
    *("part", "read", "inserted", "updated", "unchanged", "superseded", "quarantined"),
    *("deferred", "deleted"),
)
_as_json = click.option("--json", "as_json", is_flag=True, help="As JSON, with every column.")
_erp = click.option("--erp", help="Only of this ERP.")
_feed = click.option("--feed", help="Only of this feed.")
_limit = click.option("--limit", default=20, show_default=True, type=click.IntRange(1))


@click.command()
@click.argument("erp", required=False)
@_as_json
@click.pass_obj
def feeds(settings: Settings, erp: str | None, *, as_json: bool) -> None:
    """How old each feed is, what waits for a person, what its sweeps find.

    "sweep found" is what the last full read found that the deltas had missed, of the rows
    compared. Ends with exit code 1 if a feed is late or a batch is held.
    """
    from sync import history  # noqa: PLC0415 - heavy
    from waybill.installation import opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        if erp is not None:
            context.erp(erp)
        rows = history.feeds(context, erp)
        broken = {n: str(e) for n, e in context.mappings.broken.items() if erp in (None, n)}
    shown = [
        {**row, "age": age(row["age_seconds"]), "promise": age(row["promise_seconds"])}
        for row in rows
    ]
    for row in shown:
        row["sweep_found"] = caught(row)
        row["state"] = "late" if row["late"] else (row["last_state"] or "never run")
    columns = ("erp", "feed", "state", "age", "promise", "confirmed_at", "held_batches",
               "open_items", "last_run", "sweep", "sweep_found")  # fmt: skip
    show(shown, columns, as_json=as_json, empty="No ERP is mapped.")
    for error in broken.values():
        click.secho(error, fg="red", err=True)
    if broken or any(row["late"] or row["held_batches"] for row in rows):
        raise click.exceptions.Exit(1)


@click.command()
@_erp
@_feed
@click.option("--state", type=click.Choice(["running", "done", "held", "failed"]))
@_limit
@_as_json
@click.pass_obj
def runs(
    settings: Settings,
    erp: str | None,
    feed: str | None,
    state: str | None,
    limit: int,
    *,
    as_json: bool,
) -> None:
    """The newest runs with their counts.

    read = inserted + updated + unchanged + superseded + quarantined + deferred, always.
    """
    from sync import history  # noqa: PLC0415 - heavy
    from waybill.installation import opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        rows = history.runs(context, erp=erp, feed=feed, state=state, limit=limit)
    show(rows, _RUN_COLUMNS, as_json=as_json, empty="No run.")


@click.command()
@click.argument("run_id", type=int)
@_as_json
@click.pass_obj
def run(settings: Settings, run_id: int, *, as_json: bool) -> None:
    """All about one run: counts, stops, checks, totals, evidence."""
    from sync import history  # noqa: PLC0415 - heavy
    from waybill.installation import opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        found = history.run(context, run_id)
    if as_json:
        click.echo(to_json(found))
        return
    batch = found["batch"]
    click.secho(
        f"run {run_id}: {found['erp']}/{found['feed']}, {found['kind']}, {found['state']}",
        bold=True,
    )
    click.echo(
        f"batch {found['batch_id']} ({batch.get('mode')}, {batch.get('state')}"
        f"{': ' + batch['state_reason'] if batch.get('state_reason') else ''}), "
        f"started {cell(found['started_at'])}, {cell(found['seconds'])} s"
    )
    if found["actor"] or found["reason"]:
        click.echo(f"by {cell(found['actor'])}: {cell(found['reason'])}")
    if found["error"]:
        click.secho(str(found["error"].get("says", found["error"])), fg="red")
    for stop in found["stops"] or []:
        click.secho(f"held by {stop.get('guard')}: {stop.get('says')}", fg="yellow")
    print_table(found["parts"], _PART_COLUMNS, title="Records")
    _section(found["movements"], title="Biggest changes")
    _section(found["quarantine"], ("part", "code", "state", "records"), "Quarantine")
    failed = [c for c in found["checks"] if c["success"] is False]
    passed = sum(c["success"] is True for c in found["checks"])
    silent = len(found["checks"]) - passed - len(failed)
    click.echo(f"Checks: {passed} passed, {len(failed)} failed, {silent} not evaluated")
    check_columns = ("part", "check_id", "judge", "evaluated", "failed", "population", "says")
    _section(failed, check_columns, "Failed checks")
    totals = ("part", "name", "sides", "left_value", "right_value", "agrees", "says")
    _section(found["reconciliation"], totals, "Totals")
    _section(
        found["pages"], ("page", "part", "name", "records", "bytes", "sha256", "path"), "Evidence"
    )
    if found["timings"]:
        steps = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in found["timings"].items())
        click.echo(f"Time: {steps}")
    if found["state"] == "held":
        click.echo(
            f"Let it in: waybill release {run_id} --reason …   "
            f"Throw it out: waybill refuse {run_id} --reason …"
        )


@click.command()
@_erp
@_feed
@click.option("--state", help="landed, applied, held, superseded, refused or abandoned.")
@_limit
@_as_json
@click.pass_obj
def batches(
    settings: Settings,
    erp: str | None,
    feed: str | None,
    state: str | None,
    limit: int,
    *,
    as_json: bool,
) -> None:
    """The newest batches: what was pulled and what became of it."""
    from sync import history  # noqa: PLC0415 - heavy
    from waybill.installation import opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        rows = history.batches(context, erp=erp, feed=feed, state=state, limit=limit)
    columns = ("batch_id", "erp", "feed", "mode", "state", "complete", "pages", "bytes",
               "pulled_at", "state_reason")  # fmt: skip
    show(rows, columns, as_json=as_json, empty="No batch.")


def caught(row: Mapping[str, Any]) -> str | None:
    """`3 of 4,031 missed (0.07 %)`; `never swept` where a sweep is due; None where none is."""
    found = row["last_sweep"]
    if found is None:
        return "never swept" if row["sweep"] else None
    share = 100 * found["missed"] / found["compared"] if found["compared"] else 0.0
    part = "" if found["complete"] else ", not complete"
    return f"{found['missed']:,} of {found['compared']:,} missed ({share:.2f} %{part})"


def _section(
    rows: list[dict[str, object]] | None, columns: tuple[str, ...] = (), title: str = ""
) -> None:
    if rows:
        print_table(rows, columns or tuple(rows[0]), title=title)
