"""`waybill sandbox`: the practice ERPs alone, and how to make them misbehave."""

from __future__ import annotations

import click

from mappings.settings import Settings


@click.group()
def sandbox() -> None:
    """Practice ERPs: start them, break them, let a night pass.

    \b
      waybill sandbox start --data tiny
      waybill sandbox fault anvil rate_limit --seconds 2
      waybill sandbox night
    """  # noqa: D301 - click marks what it must not rewrap


@sandbox.command()
@click.option("--data", default="default", show_default=True, help="default, tiny or a folder.")
@click.option("--seed", default=1, show_default=True, help="Of generated data.")
@click.pass_obj
def start(settings: Settings, data: str, seed: int) -> None:
    """Start them without anything else, and stay until Ctrl-C."""
    from waybill.cli_run import practice_only  # noqa: PLC0415 - heavy

    practice_only(settings, data, seed)


@sandbox.command()
@click.argument("erp")
@click.argument("name")
@click.option("--times", default=1, show_default=True, help="Requests; 0 until `behave`.")
@click.option("--where", default="", help="Only requests whose path or operation contains this.")
@click.option("--after", default=0, help="Requests that pass untouched first.")
@click.option("--seconds", default=0.0, help="Of `slow`; what `rate_limit` asks for.")
@click.pass_obj
def fault(
    settings: Settings, erp: str, name: str, times: int, where: str, after: int, seconds: float
) -> None:
    """Make a practice ERP misbehave; `waybill sandbox faults` names the ways."""
    from waybill.practice import ask_practice  # noqa: PLC0415 - heavy

    body = {"erp": erp, "name": name, "times": times or None, "where": where}
    ask_practice(settings, "/fault", {**body, "after": after, "seconds": seconds})
    click.echo(f"{erp} will show {name}.")


@sandbox.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def faults(settings: Settings, *, as_json: bool) -> None:
    """The ways in which a practice ERP can misbehave."""
    from waybill.output import show  # noqa: PLC0415 - heavy
    from waybill.practice import ask_practice  # noqa: PLC0415 - heavy

    known = ask_practice(settings, "/", None)["scenarios"]
    rows = [{"name": name, "does": does} for name, does in known.items()]
    show(rows, ("name", "does"), as_json=as_json)


@sandbox.command()
@click.pass_obj
def behave(settings: Settings) -> None:
    """Disarm every fault."""
    from waybill.practice import ask_practice  # noqa: PLC0415 - heavy

    ask_practice(settings, "/behave", {})
    click.echo("They behave.")


@sandbox.command()
@click.option("--share", default=0.01, show_default=True, help="Of the records that change.")
@click.option("--seed", type=int, help="Of the changes; default: the number of the night.")
@click.pass_obj
def night(settings: Settings, share: float, seed: int | None) -> None:
    """Let a day of business pass: some records change, some come, some go."""
    from waybill.practice import ask_practice  # noqa: PLC0415 - heavy

    body: dict[str, float] = {"share": share} | ({} if seed is None else {"seed": seed})
    nights = ask_practice(settings, "/night", body)["nights"]
    click.echo(f"Night {nights} has passed.")
