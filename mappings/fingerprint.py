"""What a judgement depended on, in one SHA-256: mapping, declaration, code of the judges, versions.

Two runs with the same fingerprint over the same bytes come to the same result. What only decides
*when* a feed runs is left out. Reads the judging rooms' source as bytes; must not import them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from collections.abc import Iterable
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from mappings.feeds import FEEDS
from mappings.spec import ErpMapping

LIBRARIES = (
    "pyarrow",
    "pandas",
    "numpy",
    "lxml",
    "msgspec",
    "python-calamine",
    "pikepdf",
    "xxhash",
    "great-expectations",
    "tzdata",
)
"""Distributions whose version may change what a text means or whether it passes."""

JUDGING = ("connectors/formats", "transforms", "quality", "mappings")
"""Folders whose Python source decides what becomes of a record."""

_WHEN = {"schedule", "misses", "sweep", "overlap_minutes", "defer_days"}


def fingerprint(erp: ErpMapping, feed_name: str, *, root: Path | None = None) -> str:
    """SHA-256, 64 hexadecimal digits. `root`: folder of the rooms (default: this installation's).

    Raises KeyError where the ERP does not supply the feed.
    """
    mapping = erp.feeds[feed_name]
    used = sorted(_lookups(mapping.model_dump(by_alias=True)))
    judged_by = {
        "feed": mapping.model_dump(mode="json", by_alias=True, exclude=_WHEN),
        "lookups": {name: erp.lookups[name] for name in used},
        "erp": erp.erp,
        "time_zone": erp.time_zone,
        "refers": {**erp.refers, **mapping.refers},
        "declaration": dataclasses.asdict(FEEDS[feed_name]),
        "source": source_sha256(root or Path(__file__).resolve().parents[1]),
        "versions": versions(),
    }
    text = json.dumps(judged_by, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def mapping_sha256(text: str) -> str:
    """SHA-256 of a mapping file's text: the key under which the text is kept for replays."""
    return hashlib.sha256(text.encode()).hexdigest()


@lru_cache
def source_sha256(root: Path) -> str:
    """SHA-256 over name and bytes of every Python file of the judging rooms."""
    digest = hashlib.sha256()
    for path in _sources(root):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


@lru_cache
def versions() -> dict[str, str]:
    """Library → version, and Python's; '' for a library that is not installed."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = ""
    return found


def _sources(root: Path) -> Iterable[Path]:
    return (path for folder in JUDGING for path in sorted((root / folder).rglob("*.py")))


def _lookups(tree: object) -> set[str]:
    """Names of the lookups that a dumped mapping uses."""
    if isinstance(tree, dict):
        own = {tree["lookup"]} if {"lookup", "through"} <= tree.keys() and tree["lookup"] else set()
        return own.union(*(_lookups(one) for one in tree.values()))
    if isinstance(tree, (list, tuple)):
        return set().union(*(_lookups(one) for one in tree))
    return set()
