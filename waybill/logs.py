"""Our own log: JSON lines in `$WAYBILL_HOME/logs/waybill.log`, with erp, feed, batch and run.

Tasks under Airflow log to Airflow's files, in its own JSON lines. Must not: print.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import traceback
from datetime import UTC, datetime
from pathlib import Path

from mappings.settings import Settings

_EXTRAS = ("erp", "feed", "batch", "run", "command")
_OURS = (
    "waybill",
    "sync",
    "quality",
    "transforms",
    "connectors",
    "portal_db",
    "mappings",
    "gateway",
    "review",
)
_MOST_BYTES = 10_000_000
_KEPT = 5


class JsonLines(logging.Formatter):
    """One JSON object a record; a traceback is text in `trace`."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "says": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in _EXTRAS if hasattr(record, name)}
        if record.exc_info:
            line["trace"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line, default=str, ensure_ascii=False)


def log_file(settings: Settings) -> Path:
    """Where the command logs to."""
    return settings.logs / "waybill.log"


def log_to_file(settings: Settings, *, verbose: bool = False) -> None:
    """Send what we say from INFO up (DEBUG if verbose), and warnings of others, to the file."""
    root = logging.getLogger()
    for former in [one for one in root.handlers if one.get_name() == "waybill"]:
        root.removeHandler(former)
        former.close()
    settings.logs.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(
        log_file(settings), maxBytes=_MOST_BYTES, backupCount=_KEPT, encoding="utf-8", delay=True
    )
    handler.set_name("waybill")
    handler.setFormatter(JsonLines())
    handler.addFilter(_ours_or_a_warning)
    root.addHandler(handler)
    root.setLevel(logging.DEBUG if verbose else logging.INFO)


def log_lines() -> None:
    """Send the same lines to stderr: for a process whose output the supervisor keeps."""
    handler = logging.StreamHandler()
    handler.set_name("waybill")
    handler.setFormatter(JsonLines())
    handler.addFilter(_ours_or_a_warning)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)


def _ours_or_a_warning(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] in _OURS
