"""Commands that reach an ERP without Airflow: sync and check."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mappings.settings import Settings
from waybill.check_shown import print_check
from waybill.output import show, to_json

if TYPE_CHECKING:
    from sync.load import Outcome
    from sync.progress import Progress

_COLUMNS = (
    *("erp", "feed", "state", "read", "inserted", "updated", "unchanged", "superseded"),
    *("quarantined", "deferred", "deleted", "seconds", "as_of", "run_id"),
)
_STEP_SAYS = {
    "pull": "asking the ERP",
    "read": "reading and judging",
    "compare": "comparing",
    "apply": "writing",
    "documents": "fetching documents",
    "check": "trying each source",
}


@click.command()
@click.argument("erp")
@click.argument("feed", required=False)
@click.option(
    "--sweep",
    is_flag=True,
    help="Read a delta feed as a whole and compare: finds what its deltas have missed.",
)
@click.option("--json", "as_json", is_flag=True, help="The outcomes as JSON.")
@click.pass_obj
def sync(settings: Settings, erp: str, feed: str | None, *, sweep: bool, as_json: bool) -> None:
    """Run one feed, or all feeds of an ERP, now and without Airflow.

    The same steps as the DAGs: pull, load, reconcile. Feeds that others require come first; a
    required feed of another ERP must have been loaded before. Goes on with the next feed when one
    fails, and says so at the end. With --sweep: the delta first, then everything; without FEED,
    every feed of the ERP that sends deltas.
    """
    from mappings.errors import WaybillError  # noqa: PLC0415 - heavy
    from sync.feed import sweep_feed, sync_feed  # noqa: PLC0415 - heavy
    from sync.order import in_order  # noqa: PLC0415 - heavy
    from waybill.cli import exit_code  # noqa: PLC0415 - heavy
    from waybill.installation import opened  # noqa: PLC0415 - heavy

    found: list[tuple[str, str, Outcome | None]] = []
    worst: WaybillError | None = None
    with opened(settings) as context:
        if feed is not None:
            context.feed(erp, feed)
        wanted = in_order(context, [erp]) if feed is None else [(erp, feed)]
        if sweep and feed is None:
            wanted = [one for one in wanted if context.feed(*one).mode == "delta"]
        run = sweep_feed if sweep else sync_feed
        for one_erp, one_feed in wanted:
            try:
                with drawn(f"{one_erp}/{one_feed}") as progress:
                    outcome = run(context, one_erp, one_feed, progress=progress)
            except WaybillError as error:
                if len(wanted) == 1:
                    raise
                click.secho(str(error.located(one_erp, one_feed)), fg="red", err=True)
                worst = worst or error
            else:
                found.append((one_erp, one_feed, outcome))
    if not report(found, as_json=as_json) or worst is not None:
        raise click.exceptions.Exit(exit_code(worst) if worst is not None else 1)


@click.command()
@click.argument("erp", required=False)
@click.argument("feed", required=False)
@click.option(
    "--records",
    type=click.IntRange(0),
    help="How many records of each part to show, field by field; with FEED: 3.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def check(
    settings: Settings, erp: str | None, feed: str | None, records: int | None, *, as_json: bool
) -> None:
    """Would it work? Mapping, connection, and one sample page of each source. Loads nothing.

    Without ERP: all of them. With FEED: records side by side, as they came, as they are mapped and
    as they are judged, rejected ones first. Exit code 3 if something is wrong, 1 if only sample
    records would be quarantined.
    """
    from sync.check import check as check_erp  # noqa: PLC0415 - heavy
    from waybill.installation import opened  # noqa: PLC0415 - heavy

    shown = records if records is not None else 3 if feed else 0
    with opened(settings) as context:
        known = {**context.mappings.mappings, **context.mappings.broken}
        if erp is not None and erp not in known:
            context.erp(erp)
        if erp is not None and feed is not None:
            context.feed(erp, feed)
        found = []
        for name in [erp] if erp is not None else sorted(known):
            with drawn(name) as progress:
                found.append(check_erp(context, name, feed, records=shown, progress=progress))
    if as_json:
        click.echo(to_json(found))
    else:
        for one in found:
            print_check(one)
    states = {one["state"] for one in found}
    if states - {"ok"}:
        raise click.exceptions.Exit(3 if "error" in states else 1)


def report(found: list[tuple[str, str, Outcome | None]], *, as_json: bool) -> bool:
    """Show the outcomes; True where every one is done."""
    rows = [_row(erp, feed, outcome) for erp, feed, outcome in found]
    columns = _COLUMNS if any(row["erp"] for row in rows) else _COLUMNS[2:]
    if rows or as_json:
        show(rows, columns, as_json=as_json)
    for row in rows:
        for stop in row["stops"]:
            click.secho(
                f"run {row['run_id']} is held by {stop.get('guard')}: {stop.get('says')}\n"
                f"`waybill run {row['run_id']}` shows what it would change.",
                fg="yellow",
                err=True,
            )
    return all(row["state"] in {"done", "skipped"} for row in rows)


@contextmanager
def drawn(title: str) -> Iterator[Progress]:
    """A progress bar on the terminal (on stderr); nothing where there is none."""
    from rich.console import Console  # noqa: PLC0415 - heavy
    from rich.progress import (  # noqa: PLC0415 - heavy
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task(title, total=None)

        def told(step: str, done: int, total: int | None) -> None:
            says = _STEP_SAYS.get(step, step)
            bar.update(task, description=f"{title}: {says}", completed=done, total=total)

        yield told


def _row(erp: str, feed: str, outcome: Outcome | None) -> dict[str, Any]:
    if outcome is None:
        return {"erp": erp, "feed": feed, "state": "skipped", "stops": [],
                "says": "another process is at it, and goes once more"}  # fmt: skip
    return {
        "erp": erp,
        "feed": feed,
        "state": outcome.state,
        **asdict(outcome.counts),
        "seconds": float(outcome.seconds),
        "as_of": outcome.as_of,
        "run_id": outcome.run_id,
        "same_bytes": outcome.same_bytes,
        "stops": list(outcome.stops),
        "parts": {name: asdict(counts) for name, counts in outcome.parts.items()},
    }
