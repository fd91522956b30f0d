"""`waybill outbox`: what is owed to the ERPs, and what people do about a message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from mappings.settings import Settings
from waybill.output import cell, print_table, show, to_json

_MESSAGE_STATES = (
    *("pending", "sending", "delivered", "retryable", "uncertain", "dead", "cancelled"),
)

json_option = click.option("--json", "as_json", is_flag=True, help="As JSON, with every column.")
erp_option = click.option("--erp", help="Only of this ERP.")
limit_option = click.option("--limit", default=20, show_default=True, type=click.IntRange(1))
reason_option = click.option("--reason", required=True, help="Why; kept in the audit.")


class ListByDefault(click.Group):
    """`outbox --erp anvil` is `outbox list --erp anvil`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `list` in front of what is no subcommand."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=ListByDefault)
def outbox() -> None:
    """Messages owed to the ERPs: what waits, what failed, what needs a person.

    \b
      waybill outbox [--erp ERP] [--state dead]     dead ones first, then open ones
      waybill outbox lanes                          each ERP: reachable? how many wait?
      waybill outbox show ID                        payload and every attempt
      waybill outbox deliver [ERP]                  deliver now, in this process
      waybill outbox retry ID --reason …            let it go again
      waybill outbox settle ID --there|--not-there  you looked in the ERP
      waybill outbox close ID --reason …            let it go for good, its order too
      waybill outbox resume ERP                     try an ERP that is down, now
    """  # noqa: D301 - click marks what it must not rewrap


@outbox.command("list")
@erp_option
@click.option("--state", type=click.Choice(_MESSAGE_STATES))
@click.option("--kind", type=click.Choice(["order", "order_cancel", "customer_update", "request"]))
@limit_option
@json_option
@click.pass_obj
def list_messages(
    settings: Settings,
    erp: str | None,
    state: str | None,
    kind: str | None,
    limit: int,
    *,
    as_json: bool,
) -> None:
    """Messages, those that need a person first. Exit code 1 if there are any."""
    from sync import order_book  # noqa: PLC0415 - heavy
    from waybill.installation import opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        if erp is not None:
            context.erp(erp)
        rows = order_book.messages(context, erp=erp, state=state, kind=kind, limit=limit)
    columns = ("id", "erp", "kind", "reference", "state", "tries", "next_at", "code", "says")
    show(rows, columns, as_json=as_json, empty="Nothing in the outbox.")
    if any(row["state"] == "dead" for row in rows):
        raise click.exceptions.Exit(1)


@outbox.command("lanes")
@json_option
@click.pass_obj
def show_lanes(settings: Settings, *, as_json: bool) -> None:
    """Each ERP that takes messages: is it reachable, and what waits for it."""
    from sync import order_book  # noqa: PLC0415 - heavy
    from waybill.installation import opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        rows = order_book.lanes(context)
    columns = ("erp", "circuit", "waiting", "uncertain", "dead", "oldest", "next_at", "says")
    show(rows, columns, as_json=as_json, empty="No ERP takes messages.")


@outbox.command("show")
@click.argument("message_id", metavar="ID", type=int)
@json_option
@click.pass_obj
def show_message(settings: Settings, message_id: int, *, as_json: bool) -> None:
    """One message: what it says, and every attempt with what went over the wire."""
    from sync import order_book  # noqa: PLC0415 - heavy
    from waybill.installation import opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        found = order_book.message(context, message_id)
    if as_json:
        click.echo(to_json(found))
    else:
        print_message(found)


@outbox.command()
@click.argument("erp", required=False)
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(1))
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1, 32))
@click.pass_obj
def deliver(settings: Settings, erp: str | None, limit: int, threads: int) -> None:
    """Deliver what is due, now and here; beside the gateway and Airflow is fine."""
    from sync.deliver import deliver_due  # noqa: PLC0415 - heavy
    from waybill.installation import opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        report = deliver_due(context, erp=erp, limit=limit, threads=threads)
    told = ", ".join(f"{name} {n}" for name, n in sorted(report.outcomes.items()))
    click.echo(told or "Nothing was due.")
    for name, why in report.left_alone.items():
        click.secho(f"{name}: {why}", fg="yellow")


@outbox.command("retry")
@click.argument("message_id", metavar="ID", type=int)
@reason_option
@click.option("--payload", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="A corrected payload as JSON; kept as its next version.")  # fmt: skip
@click.pass_obj
def retry_one(settings: Settings, message_id: int, reason: str, payload: Path | None) -> None:
    """Let a message go again; what may be in the ERP is looked up first."""
    from sync.dead_letters import retry_message  # noqa: PLC0415 - heavy
    from waybill.installation import actor, opened  # noqa: PLC0415 - heavy

    body = None if payload is None else json.loads(payload.read_text(encoding="utf-8"))
    with opened(settings) as context:
        state = retry_message(context, message_id, actor=actor(), reason=reason, payload=body)
    say_retried(message_id, state)


@outbox.command()
@click.argument("message_id", metavar="ID", type=int)
@click.option("--there/--not-there", "there", required=True, help="What you found in the ERP.")
@click.option("--number", help="The ERP's number, where it is there.")
@reason_option
@click.pass_obj
def settle(
    settings: Settings, message_id: int, number: str | None, reason: str, *, there: bool
) -> None:
    """Say what you found in the ERP under the message's reference."""
    from sync.dead_letters import settle_message  # noqa: PLC0415 - heavy
    from waybill.installation import actor, opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        state = settle_message(
            context, message_id, there=there, actor=actor(), reason=reason, number=number
        )
    click.echo(f"Message {message_id} is {state}.")


@outbox.command()
@click.argument("message_id", metavar="ID", type=int)
@reason_option
@click.pass_obj
def close(settings: Settings, message_id: int, reason: str) -> None:
    """Let a message go for good, which is not in the ERP; an order ends with it."""
    from sync.dead_letters import close_message  # noqa: PLC0415 - heavy
    from waybill.installation import actor, opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        close_message(context, message_id, actor=actor(), reason=reason)
    click.echo(f"Message {message_id} is closed: it is not sent again.")


@outbox.command()
@click.argument("erp")
@click.pass_obj
def resume(settings: Settings, erp: str) -> None:
    """Try an ERP that is down or paused now, with one message."""
    from sync.dead_letters import resume as resume_erp  # noqa: PLC0415 - heavy
    from waybill.installation import actor, opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        held = resume_erp(context, erp, actor=actor())
    click.echo(f"{erp} is tried with the next message." if held else f"{erp} was not held back.")


def print_message(message: dict[str, Any]) -> None:
    """A message and its attempts. `message`: as `sync.order_book` gives it."""
    click.secho(
        f"message {message['id']}: {message['kind']} {message['reference']} to {message['erp']}, "
        f"{message['state']}",
        bold=True,
    )
    if message["state"] not in ("delivered", "cancelled"):
        click.echo(f"next try {cell(message['next_at'])}, {message['tries']} sends so far")
    if message["says"]:
        click.secho(str(message["says"]), fg="red" if message["state"] == "dead" else "yellow")
    columns = ("attempt_no", "what", "event", "at", "outcome", "code", "says", "seconds", "worker")
    print_table(message["attempt_rows"], columns, title="Attempts")


def say_retried(message_id: int, state: str) -> None:
    """What becomes of a retried message now; ends with 1 where somebody must look first."""
    if state == "uncertain":
        click.echo(f"Message {message_id} may be in the ERP: it is asked for it first.")
    elif state == "dead":
        click.secho(
            f"Message {message_id} may be in the ERP, which cannot be asked. Look there, then: "
            f"waybill outbox settle {message_id} --there|--not-there --reason …",
            fg="yellow",
        )
        raise click.exceptions.Exit(1)
    else:
        click.echo(f"Message {message_id} goes out again.")
