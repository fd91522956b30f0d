"""`waybill quality`: pass rates of every check, the rows that failed, Data Docs on request."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from mappings.settings import Settings
from waybill.output import show

_DAY = click.DateTime(["%Y-%m-%d"])


@click.group()
def quality() -> None:
    """How often each check passed, and which rows failed.

    \b
      waybill quality list                   every check of the last 30 days
      waybill quality failing 17             the rows of run 17 that failed, and how many in all
      waybill quality data-docs --from 2026-10-01 --to 2026-11-01 --out DIR
                                             Great Expectations' own Data Docs of a period
    """  # noqa: D301 - click marks what it must not rewrap


@quality.command("list")
@click.argument("erp", required=False)
@click.argument("feed", required=False)
@click.option("--days", default=30, show_default=True, type=click.IntRange(1, 4000))
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def list_checks(
    settings: Settings, erp: str | None, feed: str | None, days: int, *, as_json: bool
) -> None:
    """Every check with its runs and rows, those that failed first."""
    from review.quality import checks, feeds  # noqa: PLC0415 - heavy
    from waybill.installation import opened  # noqa: PLC0415 - heavy

    since = datetime.now(UTC).date() - timedelta(days=days - 1)
    with opened(settings) as context, context.connection() as connection:
        named = [
            (one["erp"], one["feed"])
            for one in feeds(connection, since)
            if erp in (None, one["erp"]) and feed in (None, one["feed"])
        ]
        rows = [
            {"erp": e, "feed": f, **row}
            for e, f in named
            for row in checks(connection, e, f, since)
        ]
    columns = ("erp", "feed", "part", "check_id", "judge", "runs_passed", "runs_failed",
               "runs_not_evaluated", "evaluated", "failed", "last_run")  # fmt: skip
    show(rows, columns, as_json=as_json, empty="No check has run in these days.")


@quality.command()
@click.argument("run_id", type=click.IntRange(1))
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def failing(settings: Settings, run_id: int, *, as_json: bool) -> None:
    """The rows of a run that failed a check; `failed` is the true total of the check."""
    from review.quality import failing_rows  # noqa: PLC0415 - heavy
    from waybill.installation import opened  # noqa: PLC0415 - heavy

    with opened(settings) as context, context.connection() as connection:
        rows = failing_rows(connection, run_id)
    columns = ("part", "check_id", "judge", "failed", "n", "record_no", "key", "field", "value",
               "says")  # fmt: skip
    show(rows, columns, as_json=as_json, empty="No row of this run failed a check.")


@quality.command("data-docs")
@click.option("--from", "since", required=True, type=_DAY, help="First day (UTC).")
@click.option("--to", "until", required=True, type=_DAY, help="The day after the last (UTC).")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="An empty folder.")
@click.pass_obj
def data_docs(settings: Settings, since: datetime, until: datetime, out: Path) -> None:
    """Write Great Expectations' Data Docs of a period: one page a run, some tenths of a second
    each. The desk's own pages show the same at once.
    """
    from review.data_docs import build  # noqa: PLC0415 - heavy
    from waybill.cli_sync import drawn  # noqa: PLC0415 - heavy
    from waybill.installation import actor, opened  # noqa: PLC0415 - heavy

    with opened(settings) as context, drawn("data docs") as progress:
        made = build(
            context,
            since.replace(tzinfo=UTC),
            until.replace(tzinfo=UTC),
            out,
            actor=actor(),
            progress=progress,
        )
    click.echo(f"{made.index}: {made.runs} runs, {made.results} results.")
