"""Packs that were asked for on a page: made in a thread, kept in a folder, taken from there.

A pack of a month takes longer than a page may. Must not make two of the same name, and never
overwrites one.
"""

from __future__ import annotations

import logging
import re
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mappings.errors import Misconfigured, WaybillError
from mappings.settings import Settings
from review.pack import export
from sync.context import Context

log = logging.getLogger(__name__)
_NAME = re.compile(r"waybill-audit-\d{8}-\d{8}(-\d+)?\.zip")
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, slots=True)
class Kept:
    """One pack. `state`: made, being made, or what went wrong."""

    name: str
    state: str
    bytes: int
    at: datetime


def folder(settings: Settings) -> Path:
    """Where packs of the pages lie (mode 0700)."""
    path = settings.home / "packs"
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def packs(settings: Settings) -> list[Kept]:
    """Every pack, newest first."""
    found = []
    for path in folder(settings).iterdir():
        about = path.stat()
        at = datetime.fromtimestamp(about.st_mtime, UTC)
        if _NAME.fullmatch(path.name):
            found.append(Kept(path.name, "made", about.st_size, at))
        elif path.name.endswith(".part"):
            name = path.name.removeprefix(".").removesuffix(".part")
            found.append(Kept(name, "being made", about.st_size, at))
        elif path.name.endswith(".failed"):
            says = path.read_text(encoding="utf-8")
            found.append(Kept(path.name.removesuffix(".failed"), says, 0, at))
    return sorted(found, key=lambda one: one.at, reverse=True)


def begin(ctx: Context, since: datetime, until: datetime, *, actor: str) -> threading.Thread:
    """Start making the pack of [since, until); the thread, for who wants to wait.

    Raises Misconfigured (`period`, `busy`) before anything is started.
    """
    if since >= until:
        raise Misconfigured("the period is empty", code="period", remedy="Give an earlier start.")
    if not _ONE_AT_A_TIME.acquire(blocking=False):
        raise Misconfigured(
            "another pack is being made", code="busy", remedy="Wait until it is there."
        )
    path = _free(ctx.settings, since, until)

    def work() -> None:
        try:
            export(ctx, since, until, path, actor=actor)
        except Exception as error:
            log.exception("the pack %s failed", path.name)
            says = str(error) if isinstance(error, WaybillError) else "failed; the log has why"
            path.with_name(f"{path.name}.failed").write_text(says, encoding="utf-8")
        finally:
            _ONE_AT_A_TIME.release()

    thread = threading.Thread(target=work, name="audit-pack", daemon=True)
    thread.start()
    return thread


def find(settings: Settings, name: str) -> Path:
    """The file of a pack. Raises Misconfigured for a name that is none of ours."""
    path = folder(settings) / name
    if not _NAME.fullmatch(name) or not path.is_file():
        raise Misconfigured("there is no such pack", code="not_found")
    return path


def _free(settings: Settings, since: datetime, until: datetime) -> Path:
    stem = f"waybill-audit-{since:%Y%m%d}-{until:%Y%m%d}"
    number = 1
    path = folder(settings) / f"{stem}.zip"
    while path.exists() or path.with_name(f"{path.name}.failed").exists():
        number += 1
        path = folder(settings) / f"{stem}-{number}.zip"
    return path
