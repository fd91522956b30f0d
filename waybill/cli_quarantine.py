"""`waybill quarantine`: what came in and was not let through; show one, discard one."""

from __future__ import annotations

import json

import click

from mappings.settings import Settings
from waybill.output import cell, print_table, show, to_json


class _ListByDefault(click.Group):
    """`quarantine anvil prices` is `quarantine list anvil prices`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `list` in front of what is no subcommand."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ListByDefault)
def quarantine() -> None:
    """Records that came in and were not let through, and why.

    \b
      waybill quarantine [ERP [FEED]]     the open ones
      waybill quarantine show ID          one with its reasons and its raw columns
      waybill quarantine discard ID --reason …

    Correct the record in the ERP: the next batch takes it and closes the item. Or correct the
    mapping and `waybill replay BATCH`. Discard what shall stay out.
    """  # noqa: D301 - click marks what it must not rewrap


@quarantine.command("list")
@click.argument("erp", required=False)
@click.argument("feed", required=False)
@click.option("--code", help="Only with this reason.")
@click.option(
    "--state",
    type=click.Choice(["open", "released", "discarded", "superseded"]),
    default="open",
    show_default=True,
)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1))
@click.option("--json", "as_json", is_flag=True, help="As JSON, with every column.")
@click.pass_obj
def list_items(
    settings: Settings,
    erp: str | None,
    feed: str | None,
    code: str | None,
    state: str,
    limit: int,
    *,
    as_json: bool,
) -> None:
    """The quarantined records, last seen first."""
    from sync import history  # noqa: PLC0415 - heavy
    from waybill.installation import opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        if erp is not None:
            context.erp(erp)
        rows = history.quarantine(context, erp=erp, feed=feed, code=code, state=state, limit=limit)
    columns = ("id", "erp", "feed", "part", "key", "code", "field", "raw", "says", "waiting",
               "attempts", "last_seen_at")  # fmt: skip
    show(rows, columns, as_json=as_json, empty="Nothing in quarantine.")


@quarantine.command("show")
@click.argument("item_id", metavar="ID", type=int)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def show_item(settings: Settings, item_id: int, *, as_json: bool) -> None:
    """One record: every reason, the ERP's own text, what was tried."""
    from sync import history  # noqa: PLC0415 - heavy
    from waybill.installation import opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        item = history.quarantine_item(context, item_id)
    if as_json:
        click.echo(to_json(item))
        return
    click.secho(
        f"{item['id']}: {item['erp']}/{item['feed']} {item['part']} {cell(item['key'])}, "
        f"{item['state']}",
        bold=True,
    )
    click.echo(
        f"batch {item['batch_id']}, run {item['run_id']}, record {item['record_no']}; seen "
        f"{item['attempts']} times, {cell(item['first_seen_at'])} to {cell(item['last_seen_at'])}"
    )
    if item["retry_until"]:
        click.echo(f"waits until {cell(item['retry_until'])} for {cell(item['waits_for'])}")
    if item["resolved_at"]:
        click.echo(
            f"resolved {cell(item['resolved_at'])} by {cell(item['resolved_by'])}: "
            f"{cell(item['resolved_reason'])}"
        )
    print_table(item["reasons"], ("field", "code", "says", "raw"), title="Reasons")
    raw = json.loads(item["raw"])
    if isinstance(raw, dict):
        rows = [{"their field": name, "their text": value} for name, value in raw.items()]
        print_table(rows, ("their field", "their text"), title="The ERP's record")
    else:
        click.echo(str(raw))
    if item["attempts_made"]:
        print_table(item["attempts_made"], ("at", "run_id", "outcome", "detail"), title="Attempts")


@quarantine.command()
@click.argument("item_id", metavar="ID", type=int)
@click.option("--reason", required=True, help="Why it shall stay out; kept in the audit.")
@click.pass_obj
def discard(settings: Settings, item_id: int, reason: str) -> None:
    """Leave a record out for good, as long as the ERP sends it unchanged."""
    from sync.quarantine import discard as discard_item  # noqa: PLC0415 - heavy
    from waybill.installation import actor, opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        discard_item(context, item_id, reason=reason, actor=actor())
    click.echo(f"Item {item_id} is discarded.")
