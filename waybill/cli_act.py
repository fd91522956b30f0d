"""Commands that decide: release or refuse a held run, replay a batch. All are audited."""

from __future__ import annotations

import click

from mappings.settings import Settings

_reason = click.option("--reason", required=True, help="Why; kept in the audit.")


@click.command()
@click.argument("run_id", metavar="RUN", type=int)
@_reason
@click.pass_obj
def release(settings: Settings, run_id: int, reason: str) -> None:
    """Let a held batch in, past the guards that stopped it.

    Refused if the batch was superseded, or would no longer change what the held run showed.
    """
    from sync.release import release as release_run  # noqa: PLC0415 - heavy
    from waybill.cli_sync import report  # noqa: PLC0415 - heavy
    from waybill.installation import actor, opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        outcome = release_run(context, run_id, reason=reason, actor=actor())
    report([("", "", outcome)], as_json=False)


@click.command()
@click.argument("run_id", metavar="RUN", type=int)
@_reason
@click.pass_obj
def refuse(settings: Settings, run_id: int, reason: str) -> None:
    """Throw a held batch out; the portal keeps what it has."""
    from sync.release import refuse as refuse_run  # noqa: PLC0415 - heavy
    from waybill.installation import actor, opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        refuse_run(context, run_id, reason=reason, actor=actor())
    click.echo(f"Run {run_id} and its batch are refused.")


@click.command()
@click.argument("batch_id", metavar="BATCH", type=int)
@click.option(
    "--since",
    is_flag=True,
    help="Reload the last complete extract up to BATCH and everything after it, in order.",
)
@click.pass_obj
def replay(settings: Settings, batch_id: int, *, since: bool) -> None:
    """Judge a batch's kept bytes again, with the mapping of today. The ERP is not asked."""
    from sync.replay import replay as replay_batch  # noqa: PLC0415 - heavy
    from sync.replay import replay_since  # noqa: PLC0415 - heavy
    from waybill.cli_sync import report  # noqa: PLC0415 - heavy
    from waybill.installation import actor, opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        if since:
            outcomes = replay_since(context, batch_id, actor=actor())
        else:
            outcomes = [replay_batch(context, batch_id, actor=actor())]
    report([("", "", outcome) for outcome in outcomes], as_json=False)
