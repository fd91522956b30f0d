"""Commands that start and stop things: up, demo, stop, migrate, airflow, db-url."""

from __future__ import annotations

from pathlib import Path

import click

from mappings.settings import Settings


@click.command()
@click.option("--practice", is_flag=True, help="The practice ERPs too.")
@click.option("--data", default="default", show_default=True, help="Of the practice ERPs.")
@click.pass_obj
def up(settings: Settings, data: str, *, practice: bool) -> None:
    """Start the database, Airflow, the gateway and the desk, and stay until Ctrl-C.

    DAGs of new ERPs come up paused: switch them on in Airflow's UI. What dies is started again.
    """
    from waybill.practice import PracticeErps, mapped_for  # noqa: PLC0415 - heavy
    from waybill.stack import Stack  # noqa: PLC0415 - heavy

    if practice:
        settings = mapped_for(settings, data)
    erps = PracticeErps(settings, data) if practice else None
    services = [erps.service()] if erps else []
    with Stack(
        settings, services, gateway=True, desk=True, practice=practice, progress=told
    ) as stack:
        if erps is not None:
            announce(settings, erps.connect())
        stack.wait_until_healthy()
        show_addresses(settings, stack.database_url)
        click.echo("Ctrl-C stops everything.")
        stack.run_forever()


@click.command()
@click.option("--once", is_flag=True, help="Sync everything, then stop everything.")
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Table as JSON."
)
@click.option("--data", type=click.Path(exists=True, file_okay=False), help="Folder of a data set.")
@click.option("--seed", default=1, show_default=True, help="Of the generated data.")
@click.option(
    "--size", type=click.Choice(["default", "tiny"]), default="default", help="Of generated data."
)
@click.pass_obj
def demo(
    settings: Settings,
    json_file: Path | None,
    data: str | None,
    seed: int,
    size: str,
    *,
    once: bool,
) -> None:
    """Three practice ERPs, Airflow, and all feeds synced through it.

    Shows progress, then a table and the addresses to open; stays until Ctrl-C. A second start
    reuses what is there. With --once: exit code 0 only if every run is done and adds up.
    """
    from waybill.demo import Demo  # noqa: PLC0415 - heavy

    chosen = str(Path(data).absolute()) if data else size
    well = Demo(settings, chosen, seed).run(once=once, json_file=json_file)
    if not well:
        raise click.exceptions.Exit(1)


@click.command()
@click.option("--port", type=int, help="Instead of 18090 or the next free one.")
@click.pass_obj
def gateway(settings: Settings, port: int | None) -> None:
    """The real-time lane alone, until Ctrl-C: orders out, live credit, webhooks in.

    `waybill up` starts it with everything else. Logs are JSON lines on stderr.
    """
    from mappings.private_files import make_home  # noqa: PLC0415 - heavy
    from mappings.settings import GATEWAY_PORT  # noqa: PLC0415 - beside its user
    from portal_db import server  # noqa: PLC0415 - heavy
    from portal_db.migrate import migrate as migrate_database  # noqa: PLC0415 - heavy
    from waybill.gateway_process import run  # noqa: PLC0415 - heavy
    from waybill.logs import log_lines  # noqa: PLC0415 - beside its user
    from waybill.ports import reserved_port  # noqa: PLC0415 - beside its user

    make_home(settings)
    log_lines()
    with server.serving(settings) as url, reserved_port(port or GATEWAY_PORT) as free:
        migrate_database(url)
        click.echo(f"The gateway serves at http://127.0.0.1:{free}")
        run(settings, free, public_url=settings.gateway_url)


@click.command()
@click.pass_obj
def stop(settings: Settings) -> None:
    """Stop what `waybill up` or `waybill demo` started here."""
    from waybill.stack import stop_running  # noqa: PLC0415 - heavy

    click.echo("Stopped." if stop_running(settings) else "Nothing was running.")


@click.command()
@click.pass_obj
def db_url(settings: Settings) -> None:
    """The database's URL, for psql and other tools.

    \b
      psql "$(waybill db-url)"
    """  # noqa: D301 - click marks what it must not rewrap
    from mappings.errors import Misconfigured  # noqa: PLC0415 - heavy
    from portal_db import server  # noqa: PLC0415 - heavy

    url = server.database_url(settings)
    if url is None:
        raise Misconfigured(
            "the embedded database is not running",
            code="database",
            remedy="Start it with `waybill up`, or set WAYBILL_DATABASE_URL.",
        )
    click.echo(url)


@click.command()
@click.pass_obj
def migrate(settings: Settings) -> None:
    """Bring the database to the newest schema; does nothing where it is."""
    from mappings.private_files import make_home  # noqa: PLC0415 - heavy
    from portal_db import server  # noqa: PLC0415 - heavy
    from portal_db.migrate import migrate as migrate_database  # noqa: PLC0415 - heavy

    make_home(settings)
    with server.serving(settings) as url:
        migrate_database(url)
    click.echo("The database is up to date.")


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def airflow(settings: Settings, arguments: tuple[str, ...]) -> None:
    """Airflow's own command, with the right environment: `waybill airflow dags list`."""
    from waybill.airflow_process import airflow_command  # noqa: PLC0415 - heavy

    code = airflow_command(settings, arguments)
    if code:
        raise click.exceptions.Exit(code)


def practice_only(settings: Settings, data: str, seed: int) -> None:
    """The practice ERPs without Airflow, until Ctrl-C."""
    from waybill.practice import PracticeErps, mapped_for  # noqa: PLC0415 - heavy
    from waybill.stack import Stack  # noqa: PLC0415 - heavy

    settings = mapped_for(settings, data)
    erps = PracticeErps(settings, data, seed)
    with Stack(settings, [erps.service()], airflow=False, progress=told) as stack:
        announce(settings, erps.connect())
        show_addresses(settings, stack.database_url)
        click.echo("Ctrl-C stops them.")
        stack.run_forever()


def announce(settings: Settings, addresses: dict[str, str]) -> None:
    """Add addresses to run.json, for `waybill stop` and for people."""
    from dataclasses import replace  # noqa: PLC0415 - heavy

    from waybill.run_file import read_run, write_run  # noqa: PLC0415 - heavy

    run = read_run(settings)
    if run is not None:
        write_run(settings, replace(run, addresses={**run.addresses, **addresses}))


def show_addresses(settings: Settings, database_url: str) -> None:
    """What can be opened now, and with which password."""
    from mappings.private_files import PASSWORDS_FILE  # noqa: PLC0415 - heavy
    from waybill.run_file import read_run  # noqa: PLC0415 - heavy

    run = read_run(settings)
    for name, address in (run.addresses if run else {}).items():
        click.echo(f"  {name:10} {address}")
    if run and "airflow" in run.addresses:
        passwords = settings.secrets / PASSWORDS_FILE
        click.echo(f"             user admin, password in {passwords}")
    click.echo(f"  database   {database_url}")
    click.echo(f"  log files  {settings.logs}")


def told(name: str, state: str) -> None:
    """What starts, stops and starts again, on stderr."""
    colour = {"restarting": "yellow", "running": "green"}.get(state)
    click.secho(f"  {name}: {state}", fg=colour, err=True)
