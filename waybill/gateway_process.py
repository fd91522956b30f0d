"""The gateway as a process of this installation: how it is started, watched, and wakes Airflow.

`python -m waybill.gateway_process --port N` is what the supervisor runs; `waybill gateway` runs the
same in the foreground. Must not: answer a request itself.
"""

from __future__ import annotations

import logging
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import click

from mappings.errors import Misconfigured, WaybillError
from mappings.settings import Settings, child_environment
from waybill.logs import log_lines
from waybill.ports import LOOPBACK
from waybill.supervisor import Service

if TYPE_CHECKING:
    from gateway.server import WakeWith

NAME = "gateway"
_NOT_FOUND = "404"
_HEALTH_SECONDS = 3.0


def service(settings: Settings, port: int, *, public_url: str | None) -> Service:
    """The process to keep running. `public_url`: where ERPs reach it, None: nowhere."""
    public = ("--public-url", public_url) if public_url else ()
    return Service(
        name=NAME,
        command=(
            sys.executable, "-m", "waybill.gateway_process", "--port", str(port), *public,
        ),
        environment=child_environment(settings),
        healthy=lambda _born: _answers(port),
        hang_seconds=60.0,
        # what is being sent is waited for: a lost answer costs a look-up later
        stop_seconds=15.0,
    )  # fmt: skip


def run(settings: Settings, port: int, *, public_url: str | None) -> None:
    """Serve until SIGTERM or Ctrl-C. The database must be there."""
    from gateway.server import serve  # noqa: PLC0415 - heavy

    serve(settings, _wake_with(settings), port=port, public_url=public_url)


def _wake_with(settings: Settings) -> WakeWith:
    """By Airflow where it runs now, else by a note that the feed is wanted."""
    from dags.pages import dag_id  # noqa: PLC0415 - only here
    from sync.context import Context  # noqa: PLC0415 - heavy
    from sync.wake import Wake, want_feed  # noqa: PLC0415 - heavy
    from waybill.airflow_api import AirflowApi  # noqa: PLC0415 - only here
    from waybill.run_file import read_run  # noqa: PLC0415 - only here

    def wake_with(ctx: Context) -> Wake:
        apis: dict[str, AirflowApi] = {}

        def wake(erp: str, feed: str) -> str:
            running = read_run(settings)
            address = running.addresses.get("airflow") if running else None
            if address is None:
                return want_feed(ctx, erp, feed)
            ctx.feed(erp, feed)  # Misconfigured where it is not mapped any more
            if address not in apis:
                apis[address] = AirflowApi.of(settings, address)
            try:
                return f"Airflow run {apis[address].trigger(dag_id(erp, feed))}"
            except WaybillError as error:
                if error.code == _NOT_FOUND:
                    raise Misconfigured(
                        f"Airflow has no DAG {dag_id(erp, feed)}", erp=erp, feed=feed
                    ) from None
                raise

        return wake

    return wake_with


def _answers(port: int) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{LOOPBACK}:{port}/health", timeout=_HEALTH_SECONDS) as answer:
            return answer.status == 200  # noqa: PLR2004 - HTTP's own word for well
    except (OSError, urllib.error.URLError):
        return False


@click.command()
@click.option("--port", type=int, required=True)
@click.option("--public-url", default=None)
def main(port: int, public_url: str | None) -> None:
    """What the supervisor runs."""
    log_lines()
    settings = Settings.read()
    try:
        run(settings, port, public_url=public_url)
    except WaybillError as error:
        logging.getLogger("waybill").error("%s", error)  # noqa: TRY400 - foreseen: no trace
        sys.exit(1)


if __name__ == "__main__":
    main()
