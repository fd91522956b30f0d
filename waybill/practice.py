"""The practice ERPs as a service of this installation: how they are started and connected to.

They are a process of their own (`python -m sandbox`) and nothing here imports them. Must not:
know what they serve.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from mappings.errors import Misconfigured, Transient
from mappings.private_files import change_connections
from mappings.settings import REPOSITORY, Settings, child_environment
from waybill.supervisor import Service

NAME = "practice-erps"
_CONN_TYPES = {"soap": "http", "odata": "http", "sftp": "sftp"}


@dataclass(frozen=True, slots=True)
class PracticeErps:
    """`data`: a size (`default`, `tiny`) or a folder; `seed`: of generated data."""

    settings: Settings
    data: str = "default"
    seed: int = 1

    @property
    def run_file(self) -> Path:
        """Written by the process once it serves; holds sign-ins (0600)."""
        return self.settings.home / "practice.json"

    def service(self) -> Service:
        """The process to keep running."""
        self.run_file.unlink(missing_ok=True)
        return Service(
            name=NAME,
            command=(
                sys.executable,
                *("-m", "sandbox", "--data", self.data, "--seed", str(self.seed)),
                *("--state", str(self.settings.home / "practice")),
                *("--run-file", str(self.run_file)),
            ),
            environment=child_environment(self.settings),
            healthy=self._serves,
        )

    def _serves(self, _born: datetime) -> bool:
        """The file is there for as long as they serve; `service` took an old one away."""
        return self.run_file.exists()

    def connect(self, seconds: float = 120.0) -> dict[str, str]:
        """Wait until they serve, and write their connections; returns name → address.

        Raises Transient (code `not_healthy`) where they do not come up in time.
        """
        deadline = time.monotonic() + seconds
        while (described := read_practice(self.settings)) is None:
            if time.monotonic() > deadline:
                raise Transient(
                    f"the practice ERPs do not serve after {seconds:.0f} seconds",
                    code="not_healthy",
                    remedy=f"The reason stands in {self.settings.logs / f'{NAME}.log'}.",
                )
            time.sleep(0.1)
        connections = {
            erp: {"conn_type": _CONN_TYPES.get(one["protocol"], "generic"), **one["connection"]}
            for erp, one in described["erps"].items()
        }
        change_connections(self.settings, connections)
        addresses = {erp: str(one["address"]) for erp, one in described["erps"].items()}
        return {**addresses, "practice": str(described["admin"])}


def mapped_for(settings: Settings, data: str) -> Settings:
    """The settings with the mappings that fit the data set.

    Wide World Importers has mappings of its own; a data set in our shape has the practice ERPs'.
    A choice of the operator (WAYBILL_MAPPINGS) is left alone.
    """
    folder = Path(data)
    usual = settings.mappings == (REPOSITORY / "mappings" / "erps",)
    if usual and folder.is_dir() and not (folder / "dataset.json").exists():
        return replace(settings, mappings=(REPOSITORY / "mappings" / "wwi",))
    return settings


def read_practice(settings: Settings) -> dict[str, Any] | None:
    """What the running practice ERPs say of themselves; None where none run."""
    try:
        return json.loads((settings.home / "practice.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def ask_practice(settings: Settings, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
    """One request to their endpoint (`/`, `/fault`, `/behave`, `/night`).

    Raises Misconfigured where none run here, or where they refuse.
    """
    described = read_practice(settings)
    if described is None:
        raise Misconfigured(
            "no practice ERPs run here",
            code="practice",
            remedy="Start them with `waybill demo`, `waybill up --practice` "
            "or `waybill sandbox start`.",
        )
    request = urllib.request.Request(  # noqa: S310 - our own http address
        described["admin"] + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=120) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            said = json.loads(error.read() or b"{}").get("error", str(error))
        raise Misconfigured(
            f"the practice ERPs refuse: {said}", code="practice", remedy="Correct the command."
        ) from None
    except OSError as error:
        raise Transient(
            f"the practice ERPs do not answer at {described['admin']}: {error}",
            code="practice",
            remedy="Start them again.",
        ) from None
