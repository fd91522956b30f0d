"""Why a task failed, from its log file: Airflow writes JSON lines. Must not: ask Airflow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mappings.settings import Settings


def last_error(settings: Settings, dag_id: str, run_id: str, task_id: str) -> tuple[str, Path]:
    """(the last error's own words, the log file) of a task's newest try; else ('', folder)."""
    folder = settings.logs / "airflow" / f"dag_id={dag_id}" / f"run_id={run_id}"
    folder /= f"task_id={task_id}"
    tries = sorted(folder.glob("**/attempt=*.log"), key=lambda path: path.stat().st_mtime)
    if not tries:
        return "", folder
    says = ""
    for line in tries[-1].read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            says = _says(json.loads(line)) or says
        except ValueError:
            continue
    return says, tries[-1]


def _says(entry: dict[str, Any]) -> str:
    details = entry.get("error_detail") or []
    if details:
        return f"{details[0].get('exc_value') or details[0].get('exc_type')}"
    if entry.get("level") in {"warning", "error", "critical"}:
        return str(entry.get("event", ""))
    return ""
