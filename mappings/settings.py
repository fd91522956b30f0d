"""Where things are: the folders, addresses and secrets of one installation.

`Settings.read()` is the one place that looks at the process's environment; everybody else gets
a `Settings` as an argument. `Settings.environment()` is its opposite: what a child process must
have in its environment to read the same settings again.

Must not: import anything outside the standard library (every DAG parse loads this), reach a
server, or hold the value of a secret in a field (`secret()` reads the file when asked).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mappings.errors import Misconfigured

REPOSITORY = Path(__file__).resolve().parent.parent

AIRFLOW_PORT = 18080
WORKER_LOG_PORT = 18081
GATEWAY_PORT = 18090
DESK_PORT = 18091
PORTAL_PORT = 18100
SANDBOX_PORT = 18111


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one installation. Precedence: argument of `read` > environment > default.

    `home` holds everything that a run writes and a backup needs beside the database.
    `database_url` is None where the embedded PostgreSQL is used.
    `landing` is an fsspec URL, or a folder's path as text.
    `gateway_url` is where ERPs reach the gateway, None where none does.
    `mappings` are folders with one `<erp>.yaml` per ERP; later folders add to earlier ones.
    `audit_anchors` are fsspec URLs, folders or `mailto:` addresses: there the head of the audit's
    chain is written down; only one outside this machine proves anything against whoever owns it.
    `keep` is class of data → days as text, where an installation keeps it for another time than
    `mappings/retention.py` says.
    """

    home: Path
    landing: str
    mappings: tuple[Path, ...]
    database_url: str | None = None
    airflow_home: Path = REPOSITORY
    audit_anchors: tuple[str, ...] = ()
    gateway_url: str | None = None
    keep: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(
        cls,
        environment: Mapping[str, str] | None = None,
        *,
        home: Path | str | None = None,
        database_url: str | None = None,
        landing: str | None = None,
        mappings: tuple[Path, ...] | None = None,
    ) -> Settings:
        """Settings from flags (the keyword arguments), else the environment, else the defaults.

        Raises Misconfigured where a value can never work (a mapping folder that is no folder,
        a database URL of another kind of database).
        """
        env = os.environ if environment is None else environment
        chosen_home = _path(home or env.get("WAYBILL_HOME") or REPOSITORY / "var")
        url = database_url or env.get("WAYBILL_DATABASE_URL") or None
        if url is not None and not url.startswith(("postgresql://", "postgres://")):
            raise Misconfigured(
                "WAYBILL_DATABASE_URL is not a PostgreSQL URL",
                remedy="Give it as postgresql://user:password@host:5432/database.",
            )
        folders = mappings or tuple(
            _path(part)
            for part in (env.get("WAYBILL_MAPPINGS") or "").split(os.pathsep)
            if part.strip()
        )
        folders = folders or (REPOSITORY / "mappings" / "erps",)
        for folder in folders:
            if folder.exists() and not folder.is_dir():
                raise Misconfigured(
                    f"WAYBILL_MAPPINGS names {folder}, which is not a folder",
                    remedy="Name the folder that holds the <erp>.yaml files.",
                )
        return cls(
            home=chosen_home,
            landing=landing or env.get("WAYBILL_LANDING") or str(chosen_home / "landing"),
            mappings=folders,
            database_url=url,
            airflow_home=_path(env.get("AIRFLOW_HOME") or REPOSITORY),
            audit_anchors=tuple((env.get("WAYBILL_AUDIT_ANCHORS") or "").split())
            or (str(chosen_home / "anchors"),),
            gateway_url=env.get("WAYBILL_GATEWAY_URL") or None,
            keep=_pairs(env.get("WAYBILL_KEEP") or ""),
        )

    @property
    def logs(self) -> Path:
        """Folder of all log files: ours, the database's, Airflow's."""
        return self.home / "logs"

    @property
    def cache(self) -> Path:
        """Folder of what describes the ERPs (pinned WSDLs); what is deleted is fetched again."""
        return self.home / "cache"

    @property
    def secrets(self) -> Path:
        """Folder (mode 0700) of the generated keys."""
        return self.home / "secrets"

    @property
    def connections_file(self) -> Path:
        """JSON object: connection id → host, login, password …; mode 0600."""
        return self.home / "connections.json"

    @property
    def run_file(self) -> Path:
        """JSON object written by `waybill up`: who runs, since when, at which addresses."""
        return self.home / "run.json"

    def environment(self) -> dict[str, str]:
        """The variables that make a child process read these same settings."""
        env = {
            "WAYBILL_HOME": str(self.home),
            "WAYBILL_LANDING": self.landing,
            "WAYBILL_MAPPINGS": os.pathsep.join(str(folder) for folder in self.mappings),
            "AIRFLOW_HOME": str(self.airflow_home),
            "WAYBILL_AUDIT_ANCHORS": " ".join(self.audit_anchors),
        }
        if self.database_url is not None:
            env["WAYBILL_DATABASE_URL"] = self.database_url
        if self.gateway_url is not None:
            env["WAYBILL_GATEWAY_URL"] = self.gateway_url
        if self.keep:
            env["WAYBILL_KEEP"] = " ".join(f"{name}={days}" for name, days in self.keep)
        return env

    def secret(self, name: str) -> str:
        """The generated secret of that name. Raises Misconfigured where none was made yet."""
        try:
            return (self.secrets / name).read_text(encoding="ascii").strip()
        except FileNotFoundError:
            raise Misconfigured(
                f"{self.secrets / name} is not there",
                remedy="Run `waybill up` once: it makes the keys.",
            ) from None


def child_environment(settings: Settings, **more: str) -> dict[str, str]:
    """This process's whole environment, with the settings and `more` on top."""
    return {**os.environ, **settings.environment(), **more}


def environment_variable(name: str) -> str | None:
    """One variable that has no place in `Settings` (`AIRFLOW_CONN_<ID>` and the like)."""
    return os.environ.get(name) or None


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    """`a=1 b=2` as pairs; what has no `=` is a name without a value."""
    found = [word.partition("=") for word in text.split()]
    return tuple((name, value) for name, _, value in found)


def _path(value: Path | str) -> Path:
    return Path(value).expanduser().absolute()
