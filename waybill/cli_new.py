"""The command that proposes a mapping for a new ERP. Asks on a terminal, takes flags elsewhere."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mappings.errors import Misconfigured
from mappings.settings import REPOSITORY, Settings

if TYPE_CHECKING:
    from connectors.describe import Description, Listing
    from sync.new_erp import NewErp


@click.command()
@click.argument("name")
@click.option(
    "--from",
    "location",
    required=True,
    help="WSDL, $metadata, OpenAPI document, page of JSON or XML, CSV file: an http address, "
    "sftp:folder/pattern of the connection, or a file.",
)
@click.option(
    "--feed",
    "feeds",
    multiple=True,
    help="FEED, or FEED=LISTING (an operation, an entity set, a path); may be given again. "
    "Default: what looks like one.",
)
@click.option("--connection", help="Id of the connection; default: NAME.")
@click.option("--time-zone", help="IANA name of the ERP's local time; default: UTC.")
@click.option("--title", help="What operators call it.")
@click.option(
    "--samples", type=click.Path(path_type=Path, file_okay=False), help="Folder for the samples."
)
@click.option("--yes", is_flag=True, help="Ask nothing: take the defaults.")
@click.option("--force", is_flag=True, help="Replace a mapping and samples that are there.")
@click.pass_obj
def new_erp(
    settings: Settings,
    name: str,
    location: str,
    feeds: tuple[str, ...],
    connection: str | None,
    time_zone: str | None,
    title: str | None,
    samples: Path | None,
    *,
    yes: bool,
    force: bool,
) -> None:
    """Propose a mapping for a new ERP, out of its own description or a sample.

    Writes <NAME>.yaml with every guess marked, a sample of each source with personal data masked,
    and an entry without secrets in connections.json. Nothing is overwritten without --force, and a
    connection never.
    """
    from mappings.private_files import make_home  # noqa: PLC0415 - heavy
    from sync.new_erp import described, likely, propose  # noqa: PLC0415 - heavy

    make_home(settings)
    folder = settings.mappings[0]
    target = folder / f"{name}.yaml"
    if target.exists() and not force:
        raise Misconfigured(
            f"{target} is there already", code="exists", remedy="Use --force to replace it."
        )
    asks = sys.stdin.isatty() and not yes
    found = described(settings, location, name, connection)
    if not found.listings:
        raise Misconfigured(
            f"{location} describes nothing that could be read as records",
            code="not_described",
            remedy="Give another description, or a sample.",
        )
    chosen = _chosen(found, feeds, likely(found), asks=asks)
    if time_zone is None:
        time_zone = click.prompt("Time zone of the ERP", default="UTC") if asks else "UTC"
    made = propose(
        settings,
        found,
        name,
        chosen,
        title=title or name.capitalize(),
        connection=connection or name,
        time_zone=time_zone,
        schema=_relative(REPOSITORY / "mappings" / "erp.schema.json", folder),
    )
    _write(
        settings, name, connection or name, target, samples or _samples(folder), made, force=force
    )


def _chosen(
    found: Description, wanted: tuple[str, ...], likely: dict[str, Listing], *, asks: bool
) -> dict[str, Listing]:
    """Feed → listing, as the flags say, else as it looks, else as the person says."""
    from mappings.feeds import FEEDS  # noqa: PLC0415 - heavy
    from sync.history import closest  # noqa: PLC0415 - heavy

    listings = {one.name: one for one in found.listings}
    chosen: dict[str, Listing] = {}
    for word in wanted:
        feed, _, listing = word.partition("=")
        if feed not in FEEDS:
            raise click.BadParameter(f"no feed {feed!r}. {closest(feed, FEEDS, 'Feeds')}")
        if listing and listing not in listings:
            raise click.BadParameter(
                f"no listing {listing!r}. {closest(listing, listings, 'Listings')}"
            )
        if not listing and feed not in likely and len(listings) > 1:
            raise click.BadParameter(
                f"nothing looks like {feed}; name it: --feed {feed}=LISTING. "
                f"{closest('', listings, 'Listings')}"
            )
        chosen[feed] = (
            listings[listing] if listing else likely.get(feed) or next(iter(listings.values()))
        )
    if wanted:
        return {feed: chosen[feed] for feed in FEEDS if feed in chosen}
    if not asks:
        if not likely:
            raise Misconfigured(
                "nothing looks like a feed",
                code="not_described",
                remedy=f"Name it: --feed FEED=LISTING. {closest('', listings, 'Listings')}",
            )
        return likely
    for feed in FEEDS:
        default = likely[feed].name if feed in likely else "-"
        answer = click.prompt(
            f"{feed} comes from (- for none)",
            default=default,
            type=click.Choice([*listings, "-"]),
            show_choices=len(listings) < 10,  # noqa: PLR2004 - what fits on a line
        )
        if answer != "-":
            chosen[feed] = listings[answer]
    return chosen


def _write(
    settings: Settings,
    name: str,
    connection: str,
    target: Path,
    samples: Path,
    made: NewErp,
    *,
    force: bool,
) -> None:
    from mappings.private_files import change_connections, read_connections  # noqa: PLC0415 - heavy

    files = {samples / name / feed / file: page for (feed, file), page in made.samples.items()}
    there = sorted(path for path in files if path.exists())
    if there and not force:
        raise Misconfigured(
            f"{there[0]} is there already", code="exists", remedy="Use --force to replace it."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(made.text, encoding="utf-8")
    click.echo(f"wrote {target}: {', '.join(made.feeds)}")
    for path, page in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(page)
        click.echo(f"wrote {path} ({len(page):,} bytes, personal data masked)")
    if connection in read_connections(settings):
        click.echo(f'connection "{connection}" is there and stays as it is')
    else:
        change_connections(settings, {connection: _without_nothing(made.stub)})
        click.echo(
            f'connection "{connection}" was begun in {settings.connections_file}: '
            "fill in how to sign in"
        )
    for note in made.notes:
        click.secho(note, fg="yellow", err=True)
    for point in made.open_points:
        click.secho(f"to decide: {point}", fg="yellow", err=True)
    click.echo(f"Next: look at each guess, then `waybill check {name} {made.feeds[0]}`.")


def _samples(folder: Path) -> Path:
    """Beside the other recorded samples, or beside mappings that are kept elsewhere."""
    if folder == REPOSITORY / "mappings" / "erps":
        return REPOSITORY / "tests" / "erps"
    return folder / "samples"


def _without_nothing(stub: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    return {name: value for name, value in stub.items() if value not in (None, "", {})}


def _relative(path: Path, folder: Path) -> str:
    return os.path.relpath(path, folder)
