"""Commands of the review desk: desk, desk-user."""

from __future__ import annotations

import sys

import click

from mappings.settings import Settings


@click.command()
@click.option("--port", type=int, help="Instead of 18091 or the next free one.")
@click.pass_obj
def desk(settings: Settings, port: int | None) -> None:
    """The review desk alone, until Ctrl-C: what needs a person, in a browser.

    `waybill up` starts it with everything else, and Airflow's menu holds it too. Who may sign in:
    `waybill desk-user`.
    """
    from mappings.private_files import make_home  # noqa: PLC0415 - heavy
    from mappings.settings import DESK_PORT  # noqa: PLC0415 - beside its user
    from portal_db import server  # noqa: PLC0415 - heavy
    from portal_db.migrate import migrate  # noqa: PLC0415 - heavy
    from waybill.desk_process import run  # noqa: PLC0415 - heavy
    from waybill.logs import log_lines  # noqa: PLC0415 - beside its user
    from waybill.ports import reserved_port  # noqa: PLC0415 - beside its user

    make_home(settings)
    log_lines()
    with server.serving(settings) as url, reserved_port(port or DESK_PORT) as free:
        migrate(url)
        click.echo(f"The desk serves at http://127.0.0.1:{free}")
        run(settings, free)


@click.group(name="desk-user")
def desk_user() -> None:
    """Who may sign in at the desk where it runs alone."""


@desk_user.command()
@click.argument("name")
@click.option("--role", type=click.Choice(["operator", "auditor"]), required=True)
@click.option("--password-stdin", is_flag=True, help="Read the password from stdin: for scripts.")
@click.pass_obj
def add(settings: Settings, name: str, role: str, *, password_stdin: bool) -> None:
    """Add a person, or give one a new password and role. Asks for the password."""
    from mappings.private_files import make_home  # noqa: PLC0415 - heavy
    from review.web.accounts import set_account  # noqa: PLC0415 - heavy

    if password_stdin:
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    make_home(settings)
    new = set_account(settings, name, "operator" if role == "operator" else "auditor", password)
    click.echo(f"{name} {'may sign in now' if new else 'has a new password'}, as {role}.")


@desk_user.command()
@click.argument("name")
@click.pass_obj
def remove(settings: Settings, name: str) -> None:
    """Take a person's account away; open sessions end at once."""
    from review.web.accounts import remove_account  # noqa: PLC0415 - heavy

    remove_account(settings, name)
    click.echo(f"{name} may not sign in any more.")


@desk_user.command(name="list")
@click.pass_obj
def list_users(settings: Settings) -> None:
    """Who may sign in, and as what."""
    from review.web.accounts import read_accounts  # noqa: PLC0415 - heavy

    for name, account in sorted(read_accounts(settings).items()):
        click.echo(f"{name:30} {account.role}")
