"""The `waybill` command: its groups, its errors and its exit codes.

Errors that we foresaw are one red line with a remedy; their trace goes to the log file. Groups
are imported when used, so that `--help` is quick. Must not: do any work itself.
"""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from mappings.errors import (
    BatchRefused,
    Misconfigured,
    NotNow,
    SourceChanged,
    Transient,
    WaybillError,
)
from mappings.settings import Settings
from waybill.logs import log_file, log_to_file

OK, RED, USAGE, MISCONFIGURED, TRY_LATER, BUG, INTERRUPTED = 0, 1, 2, 3, 4, 70, 130

_COMMANDS = {
    "Run": {
        "up": "waybill.cli_run",
        "demo": "waybill.cli_run",
        "gateway": "waybill.cli_run",
        "desk": "waybill.cli_desk",
        "stop": "waybill.cli_run",
        "sync": "waybill.cli_sync",
        "check": "waybill.cli_sync",
        "new-erp": "waybill.cli_new",
    },
    "Look": {
        "feeds": "waybill.cli_look",
        "runs": "waybill.cli_look",
        "run": "waybill.cli_look",
        "batches": "waybill.cli_look",
        "limits": "waybill.cli_limits",
        "explain": "waybill.cli_explain",
        "quarantine": "waybill.cli_quarantine",
        "parity": "waybill.cli_parity",
        "order": "waybill.cli_orders",
        "outbox": "waybill.cli_outbox",
    },
    "Act": {
        "release": "waybill.cli_act",
        "refuse": "waybill.cli_act",
        "replay": "waybill.cli_act",
        "rule": "waybill.cli_rule",
    },
    "Prove": {
        "audit": "waybill.cli_audit",
        "drift": "waybill.cli_drift",
        "quality": "waybill.cli_quality",
        "figures": "waybill.cli_figures",
        "retention": "waybill.cli_retention",
    },
    "House": {
        "desk-user": "waybill.cli_desk",
        "db-url": "waybill.cli_run",
        "migrate": "waybill.cli_run",
        "airflow": "waybill.cli_run",
        "sandbox": "waybill.cli_sandbox",
    },
}
_PLACES = {name: module for group in _COMMANDS.values() for name, module in group.items()}

_HELP = """Move what a dealer portal needs out of your ERPs, and prove that it arrived.

\b
First time:
  waybill demo                 three practice ERPs, Airflow, seven feeds, all of it
  waybill new-erp acme --from … a first mapping, out of the ERP's own description or a sample
  waybill check acme           is the mapping right, does the sign-in work, one sample page
  waybill sync acme prices     one feed now, without Airflow
\b
Every day:
  waybill feeds                how old each feed is, what waits for a person
  waybill runs --state held    what was stopped, then `waybill run RUN` for why
  waybill quarantine           records that came in and were not let through
  waybill explain price acme … where a value comes from, down to the ERP's bytes
  waybill parity acme          was it invoiced at the price that the conditions give
  waybill order                what dealers ordered, and how far it is
  waybill outbox               what is owed to the ERPs, and what needs a person
\b
Exit codes: 0 all well; 1 something is red or held; 2 wrong usage; 3 a person must
change something (mapping, connection, setting); 4 try again later; 70 a bug.
Settings: WAYBILL_HOME (data and logs), WAYBILL_DATABASE_URL, WAYBILL_LANDING,
WAYBILL_MAPPINGS, AIRFLOW_CONN_<ID>; docs/operate.md lists them all.
"""


class Commands(click.Group):
    """Commands by group, each imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every name, in the order of the help."""
        del ctx
        return list(_PLACES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or None where there is none of that name."""
        del ctx
        if cmd_name not in _PLACES:
            return None
        module = import_module(_PLACES[cmd_name])
        return getattr(module, cmd_name.replace("-", "_"))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands under their headings."""
        for heading, names in _COMMANDS.items():
            lines = []
            for name in names:
                command = self.get_command(ctx, name)
                if command is not None:
                    lines.append((name, command.get_short_help_str(70)))
            with formatter.section(heading):
                formatter.write_dl(lines)


@click.group(cls=Commands, help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--home", type=click.Path(path_type=Path), help="Instead of WAYBILL_HOME.")
@click.option(
    "--mappings",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    multiple=True,
    help="Folder of <erp>.yaml files, instead of WAYBILL_MAPPINGS; may be given again.",
)
@click.option("-v", "--verbose", is_flag=True, help="Log more (to the log file).")
@click.version_option(package_name="waybill", prog_name="waybill")
@click.pass_context
def cli(
    ctx: click.Context, home: Path | None, mappings: tuple[Path, ...], *, verbose: bool
) -> None:
    """See `_HELP`."""
    ctx.obj = Settings.read(home=home, mappings=tuple(m.absolute() for m in mappings) or None)
    log_to_file(ctx.obj, verbose=verbose)


def main(arguments: list[str] | None = None) -> None:
    """The console script: runs a command and ends the process with its exit code."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    context: dict[str, Any] = {}
    try:
        with cli.make_context(
            "waybill", list(sys.argv[1:] if arguments is None else arguments)
        ) as ctx:
            context["settings"] = ctx.obj
            cli.invoke(ctx)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        error.show()
        return USAGE
    except (click.Abort, KeyboardInterrupt):
        click.secho("Stopped.", fg="yellow", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        return RED
    except WaybillError as error:
        logging.getLogger("waybill").info("%s", error, exc_info=error)
        click.secho(str(error), fg="red", err=True)
        return exit_code(error)
    except Exception as error:
        logging.getLogger("waybill").exception("unforeseen")
        where = _log_hint()
        click.secho(
            f"This is a bug in Waybill: {type(error).__name__}: {error}\n{where}",
            fg="red",
            err=True,
        )
        return BUG
    return OK


def exit_code(error: WaybillError) -> int:
    """What a shell script is told about an error that we foresaw."""
    if isinstance(error, Misconfigured | SourceChanged):
        return MISCONFIGURED
    if isinstance(error, Transient | NotNow):
        return TRY_LATER
    if isinstance(error, BatchRefused):
        return RED
    return RED


def _log_hint() -> str:
    for handler in logging.getLogger().handlers:
        if handler.get_name() == "waybill":
            return f"Its trace is in {getattr(handler, 'baseFilename', 'the log')}."
    return f"Its trace is in {log_file(Settings.read())}."
