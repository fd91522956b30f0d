"""Runs the desk alone: its own gate, its worker, on loopback, until it is told to stop."""

from __future__ import annotations

import logging
import signal
import sys

import uvicorn

from mappings.settings import Settings
from review.web.app import make_app
from review.web.own_gate import ROUTES, OwnGate
from review.web.worker import Worker

log = logging.getLogger(__name__)


def serve(settings: Settings, *, port: int) -> None:
    """Serve on loopback until SIGTERM or Ctrl-C."""
    # uvicorn ends well on a signal and then raises it again: as an exit, so that we end well too
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    app = make_app(settings, OwnGate(settings), more=ROUTES)
    worker = Worker(app.state.desk.context)
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        ws="none",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=5,
        server_header=False,
    )
    log.info("the desk serves at 127.0.0.1:%d", port)
    worker.start()
    try:
        uvicorn.Server(config).run()
    finally:
        worker.stop()
