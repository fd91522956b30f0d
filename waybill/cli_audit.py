"""`waybill audit`: what people did, and the proof that nobody changed the record of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from mappings.errors import Misconfigured
from mappings.settings import Settings
from waybill.output import show, to_json


@click.group()
def audit() -> None:
    """What people did, sealed so that a change of the record shows.

    \b
      waybill audit list               newest first; reading it is audited too
      waybill audit seal               seal new lines, anchor the head (a DAG does it hourly)
      waybill audit verify             walk the chain in the database
      waybill audit verify EXPORT.zip  the same on an export, without a database
      waybill audit export --from 2026-10-01 --to 2026-11-01
                                       all evidence of a month as one signed archive

    The head of the chain is written to WAYBILL_AUDIT_ANCHORS (folders or URLs, separated by
    blanks). Name a place there that this machine's owner cannot change: without one, a chain
    that was rewritten as a whole looks like a true one.
    """  # noqa: D301 - click marks what it must not rewrap


@audit.command("list")
@click.option("--subject", help="Only lines about this, e.g. `run 17`.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def list_lines(settings: Settings, subject: str | None, limit: int, *, as_json: bool) -> None:
    """What people did, newest first."""
    from portal_db.audit import lines, note_reading  # noqa: PLC0415 - heavy
    from waybill.installation import actor, opened  # noqa: PLC0415 - heavy

    with opened(settings) as context, context.connection() as connection:
        note_reading(connection, actor(), "audit", {"subject": subject, "limit": limit})
        rows = lines(connection, subject=subject, limit=limit)
    show(rows, ("id", "at", "actor", "action", "subject", "detail", "position"), as_json=as_json)


@audit.command()
@click.option("--all", "everything", is_flag=True, help="Look for late lines among all, not new.")
@click.pass_obj
def seal(settings: Settings, *, everything: bool) -> None:
    """Take new lines into the chain and write its head to every anchor."""
    from sync.anchoring import seal_and_anchor  # noqa: PLC0415 - heavy
    from waybill.installation import opened  # noqa: PLC0415 - heavy

    with opened(settings) as context:
        done = seal_and_anchor(context, everything=everything)
    click.echo(f"{done.sealed} lines sealed.")
    if done.head is not None:
        click.echo(f"The chain's head is {done.head.position}:{done.head.chain_sha256.hex()}")
    for place in done.places:
        click.echo(f"anchored at {place}")


@audit.command()
@click.argument("export", required=False, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--anchor",
    "anchors",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="An anchor file that was kept outside; may be given again.",
)
@click.option("--key", help="The signer's public key as you were given it (for an export).")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def verify(
    settings: Settings,
    export: Path | None,
    anchors: tuple[Path, ...],
    key: str | None,
    *,
    as_json: bool,
) -> None:
    """Find any line that was changed, removed, moved, or cut off.

    Without EXPORT: this database, held against the anchors of the settings. With it: the export
    alone; no database and no network are used.
    """
    from review.verifier import (  # noqa: PLC0415 - not for --help
        check_export,
        describe_chain,
        describe_export,
        read_anchor,
    )

    try:
        given = tuple(read_anchor(path) for path in anchors)
    except (OSError, ValueError, KeyError) as error:
        raise Misconfigured(
            f"an anchor file cannot be read ({error})",
            code="anchor",
            remedy="Name files as `waybill audit seal` writes them.",
        ) from error
    if export is not None:
        report = check_export(export, given, key)
        findings = [*report.findings, *(report.chain.findings if report.chain else ())]
        lines = list(describe_export(report, given_key=key is not None))
    else:
        from review.proof import check_database  # noqa: PLC0415 - heavy
        from waybill.installation import opened  # noqa: PLC0415 - heavy

        with opened(settings) as context:
            proof = check_database(context, given)
        findings = proof.chain.findings
        lines = [*describe_chain(proof.chain), f"not sealed yet: {proof.unsealed}"]
        if findings:
            lines.append("NOT PROVEN")
        elif proof.chain.entries:
            lines.append("proven")
        else:
            lines.append("nothing is sealed yet, so nothing is proven; `waybill audit seal` seals")
    if as_json:
        click.echo(to_json({"good": not findings, "findings": [f._asdict() for f in findings]}))
    else:
        click.echo("\n".join(lines))
    if findings:
        raise click.exceptions.Exit(1)


@audit.command("export")
@click.option(
    "--from", "since", required=True, type=click.DateTime(["%Y-%m-%d"]), help="First day (UTC)."
)
@click.option(
    "--to",
    "until",
    required=True,
    type=click.DateTime(["%Y-%m-%d"]),
    help="The day after the last (UTC).",
)
@click.option(
    "--output", type=click.Path(path_type=Path), help="The archive; default: named by the period."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def export_pack(
    settings: Settings, since: datetime, until: datetime, output: Path | None, *, as_json: bool
) -> None:
    """Write the auditor's pack of a period: one signed archive that proves itself."""
    from review.pack import export  # noqa: PLC0415 - heavy
    from waybill.cli_sync import drawn  # noqa: PLC0415 - heavy
    from waybill.installation import actor, opened  # noqa: PLC0415 - heavy

    path = output or Path(f"waybill-audit-{since:%Y%m%d}-{until:%Y%m%d}.zip")
    with opened(settings) as context, drawn("audit") as progress:
        made = export(
            context,
            since.replace(tzinfo=UTC),
            until.replace(tzinfo=UTC),
            path,
            actor=actor(),
            progress=progress,
        )
    if as_json:
        click.echo(
            to_json(
                {
                    "path": str(made.path),
                    "bytes": made.bytes,
                    "rows": made.rows,
                    "public_key": made.public_key,
                }
            )
        )
        return
    click.echo(f"{made.path}: {made.bytes:,} bytes, {made.files} files, signed.")
    click.echo(f"Public key (give it to the auditor by another way): {made.public_key}")


@audit.command("key")
@click.pass_obj
def show_key(settings: Settings) -> None:
    """The public key of this installation's exports."""
    from mappings.private_files import make_home  # noqa: PLC0415 - not for --help
    from review.signing import public_key  # noqa: PLC0415 - heavy

    make_home(settings)
    click.echo(public_key(settings))
