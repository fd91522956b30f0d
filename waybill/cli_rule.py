"""`waybill rule`: corrections made every time; show one, write an approved one into its mapping."""

from __future__ import annotations

import click

from mappings.settings import Settings


@click.group()
def rule() -> None:
    """Corrections that people want made every time, as changes of a mapping.

    \b
      waybill rule list          each with its state
      waybill rule show ID       its diff, for `git apply`
      waybill rule apply ID      write an approved one into the mapping's file; then commit it

    They are proposed and approved at the review desk, by two people.
    """  # noqa: D301 - click marks what it must not rewrap


@rule.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def list_rules(settings: Settings, *, as_json: bool) -> None:
    """Every rule, the newest first."""
    from portal_db import rules as kept  # noqa: PLC0415 - heavy
    from sync.fix_rules import Rule  # noqa: PLC0415 - heavy
    from sync.rules import status  # noqa: PLC0415 - heavy
    from waybill.installation import opened  # noqa: PLC0415 - heavy
    from waybill.output import show  # noqa: PLC0415 - heavy

    columns = ("id", "erp", "feed", "status", "correction", "until", "proposed_by", "decided_by")
    with opened(settings) as ctx:
        with ctx.connection() as connection:
            found = kept.rules(connection)
        rows = [
            {
                **{name: one.get(name) for name in columns},
                "status": status(one, ctx.mappings),
                "correction": Rule.of(one["correction"]).words(),
            }
            for one in found
        ]
    show(rows, columns, as_json=as_json)


@rule.command("show")
@click.argument("rule_id", type=int)
@click.pass_obj
def show_rule(settings: Settings, rule_id: int) -> None:
    """A rule's change of its mapping as a diff: the approved one, else as it would be now."""
    from sync.rules import change_of, found  # noqa: PLC0415 - heavy
    from waybill.installation import opened  # noqa: PLC0415 - heavy

    with opened(settings) as ctx:
        row = found(ctx, rule_id)
        click.echo(row["diff"] or change_of(ctx, row).diff, nl=False)


@rule.command("apply")
@click.argument("rule_id", type=int)
@click.pass_obj
def apply_rule(settings: Settings, rule_id: int) -> None:
    """Write an approved rule into its mapping's file here. You look at it and commit it."""
    from sync.rules import to_apply  # noqa: PLC0415 - heavy
    from waybill.installation import opened  # noqa: PLC0415 - heavy

    with opened(settings) as ctx:
        change = to_apply(ctx, rule_id)
    change.path.write_text(change.text, encoding="utf-8")
    click.echo(f"{change.path} holds rule {rule_id} now. Look at it (`git diff`) and commit it.")
