"""The review desk as a process of this installation: how it is started and watched.

`python -m waybill.desk_process --port N` is what the supervisor runs; `waybill desk` runs the same
in the foreground. Must not: answer a request itself.
"""

from __future__ import annotations

import logging
import sys
import urllib.error
import urllib.request

import click

from mappings.errors import WaybillError
from mappings.settings import Settings, child_environment
from waybill.logs import log_lines
from waybill.ports import LOOPBACK
from waybill.supervisor import Service

NAME = "desk"
_HEALTH_SECONDS = 3.0


def service(settings: Settings, port: int) -> Service:
    """The process to keep running."""
    return Service(
        name=NAME,
        command=(sys.executable, "-m", "waybill.desk_process", "--port", str(port)),
        environment=child_environment(settings),
        healthy=lambda _born: _answers(port),
        hang_seconds=60.0,
        stop_seconds=8.0,
    )


def run(settings: Settings, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C. The database must be there."""
    from review.web.server import serve  # noqa: PLC0415 - heavy

    serve(settings, port=port)


def _answers(port: int) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{LOOPBACK}:{port}/health", timeout=_HEALTH_SECONDS) as answer:
            return answer.status == 200  # noqa: PLR2004 - HTTP's own word for well
    except (OSError, urllib.error.URLError):
        return False


@click.command()
@click.option("--port", type=int, required=True)
def main(port: int) -> None:
    """What the supervisor runs."""
    log_lines()
    settings = Settings.read()
    try:
        run(settings, port)
    except WaybillError as error:
        logging.getLogger("waybill").error("%s", error)  # noqa: TRY400 - foreseen: no trace
        sys.exit(1)


if __name__ == "__main__":
    main()
