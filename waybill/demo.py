"""The demo: practice ERPs, Airflow, every feed through it, and a table that has to add up.

Feeds are triggered as Airflow runs, each as soon as what it requires has ended, several at a time.
Must not: load anything itself; what it shows is read from Airflow and from the ledger.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from dags.pages import broken_dag_id, dag_id
from mappings.errors import WaybillError
from mappings.settings import Settings
from portal_db.ledger import COUNTS
from sync import history
from sync.context import Context
from sync.order import in_order, required
from waybill.airflow_api import AirflowApi
from waybill.airflow_logs import last_error
from waybill.cli_run import announce, show_addresses, told
from waybill.output import print_table, table, to_json
from waybill.practice import PracticeErps, mapped_for
from waybill.stack import Stack

KEYS = ("erp", "feed", "state", *COUNTS, "deleted", "seconds", "as_of")
"""The keys of the JSON table, in order."""
_COLUMNS = ("erp", "feed", "state", *COUNTS, "deleted", "seconds", "as_of")
_POLL_SECONDS = 0.5
_LONGEST_SECONDS = 1800.0
_OVER = ("success", "failed")


@dataclass(slots=True)
class Feed:
    """One (ERP, feed) of the demo and how far it is."""

    erp: str
    feed: str
    needs: list[tuple[str, str]]
    state: str = "waiting"
    run_id: str | None = None
    counts: dict[str, int] = field(default_factory=dict)
    seconds: float | None = None
    as_of: datetime | None = None
    agrees: bool = True
    error: str | None = None

    @property
    def dag(self) -> str:
        """Its DAG's id."""
        return dag_id(self.erp, self.feed)

    def row(self) -> dict[str, Any]:
        """What the table and the JSON show."""
        shown = {"erp": self.erp, "feed": self.feed, "state": self.state}
        counts = {name: self.counts.get(name, 0) for name in (*COUNTS, "deleted")}
        return {**shown, **counts, "seconds": self.seconds, "as_of": self.as_of}


def adds_up(row: dict[str, Any]) -> bool:
    """The ledger's law, looked at once more from outside."""
    return row["read"] == sum(row[name] for name in COUNTS if name != "read")


def _newest_run(context: Context) -> int:
    with context.connection() as connection:
        row = connection.execute("SELECT coalesce(max(id), 0) FROM sync.run").fetchone()
    return int(row[0]) if row else 0


class Demo:
    """One demo of one data set. `data`: a size or a folder; `seed`: of generated data."""

    def __init__(self, settings: Settings, data: str, seed: int) -> None:
        self._settings = mapped_for(settings, data)
        self._practice = PracticeErps(self._settings, data, seed)
        self._runs_before = 0

    def run(self, *, once: bool, json_file: Path | None) -> bool:
        """Start everything, sync everything; True where every run is done and adds up.

        Without `once` it stays until Ctrl-C. Everything it started is stopped at the end.
        """
        with Stack(
            self._settings,
            [self._practice.service()],
            gateway=not once,
            desk=not once,
            practice=True,
            progress=told,
        ) as stack:
            announce(self._settings, self._practice.connect())
            stack.wait_until_healthy()
            api = stack.airflow_api()
            with Context.open(self._settings) as context:
                feeds = self._feeds(context)
                self._runs_before = _newest_run(context)
                broken = sorted(context.mappings.broken)
                api.wait_for_dags(
                    [*(one.dag for one in feeds), *(broken_dag_id(erp) for erp in broken)]
                )
                self._sync(context, api, feeds)
            rows = [one.row() for one in feeds]
            print_table(rows, _COLUMNS)
            well = self._judge(feeds, context)
            if json_file is not None:
                chosen = [{key: row[key] for key in KEYS} for row in rows]
                json_file.write_text(to_json(chosen) + "\n", encoding="utf-8")
            if once:
                return well
            show_addresses(self._settings, stack.database_url)
            click.echo("Ctrl-C stops everything.")
            stack.run_forever()
        return True

    def _feeds(self, context: Context) -> list[Feed]:
        pairs = in_order(context, sorted(context.mappings.mappings))
        return [
            Feed(erp, feed, [need for need in required(context, erp, feed) if need in pairs])
            for erp, feed in pairs
        ]

    def _sync(self, context: Context, api: AirflowApi, feeds: list[Feed]) -> None:
        from rich.console import Console  # noqa: PLC0415 - heavy
        from rich.live import Live  # noqa: PLC0415 - heavy

        console = Console(stderr=True)
        deadline = time.monotonic() + _LONGEST_SECONDS
        with Live(console=console, transient=True, auto_refresh=False) as live:
            while any(one.state in {"waiting", "running"} for one in feeds):
                if time.monotonic() > deadline:
                    for one in feeds:
                        if one.state in {"waiting", "running"}:
                            one.state, one.error = "failed", "it did not end in time"
                for ended in self._round(context, api, feeds):
                    if not console.is_terminal:
                        click.echo(f"  {ended.erp}/{ended.feed}: {ended.state}", err=True)
                if console.is_terminal:
                    live.update(table([one.row() for one in feeds], _COLUMNS), refresh=True)
                time.sleep(_POLL_SECONDS)

    def _round(self, context: Context, api: AirflowApi, feeds: list[Feed]) -> list[Feed]:
        """Start what may start, look at what runs; returns what has just ended."""
        over = {(one.erp, one.feed) for one in feeds if one.state not in {"waiting", "running"}}
        ended: list[Feed] = []
        for one in feeds:
            if one.state == "waiting" and all(need in over for need in one.needs):
                api.unpause(one.dag)
                one.run_id = api.trigger(one.dag)
                one.state = "running"
            elif one.state == "running" and one.run_id is not None:
                state = api.run_state(one.dag, one.run_id)
                if state in _OVER:
                    self._close(context, api, one, one.run_id, state)
                    ended.append(one)
        return ended

    def _close(self, context: Context, api: AirflowApi, one: Feed, run_id: str, state: str) -> None:
        """Take the figures from the ledger, or the reason from the failed task's log."""
        loaded = api.returned(one.dag, run_id, "load")
        if isinstance(loaded, dict):
            self._take(context, one, self._first_since_start(context, one, int(loaded["run_id"])))
        else:
            one.state = "skipped" if state == "success" else "failed"
        if state == "failed":
            one.state = "failed"
        if one.state in {"failed", "skipped"}:
            tasks = api.task_states(one.dag, run_id)
            task = next(
                (name for name, its in tasks.items() if its in {"failed", "skipped"}), "pull"
            )
            says, path = last_error(self._settings, one.dag, run_id, task)
            one.error = f"task {task} {one.state}: {says or 'no reason was logged'} ({path})"

    def _first_since_start(self, context: Context, one: Feed, run_id: int) -> int:
        """The feed's first load since this start: its schedule may have been quicker than we."""
        with context.connection() as connection:
            row = connection.execute(
                "SELECT min(id) FROM sync.run WHERE erp = %s AND feed = %s AND kind = 'load' "
                "AND state = 'done' AND id > %s",
                (one.erp, one.feed, self._runs_before),
            ).fetchone()
        return int(row[0]) if row and row[0] else run_id

    @staticmethod
    def _take(context: Context, one: Feed, run_id: int) -> None:
        run = history.run(context, run_id)
        one.state = run["state"]
        one.counts = {name: int(run[name]) for name in (*COUNTS, "deleted")}
        finished, pulled = run["finished_at"], run["batch"].get("pulled_at")
        if finished and pulled:
            one.seconds = round((finished - pulled).total_seconds(), 2)
        one.as_of = run["batch"].get("server_at") or pulled
        disagreeing = [row["says"] for row in run["reconciliation"] if row["agrees"] is False]
        one.agrees = not disagreeing
        held = [f"{stop.get('guard')}: {stop.get('says')}" for stop in run["stops"] or []]
        one.error = "; ".join(held + disagreeing) or None

    @staticmethod
    def _judge(feeds: list[Feed], context: Context) -> bool:
        """Say what is not well; True where everything is."""
        well = not context.mappings.broken
        for error in context.mappings.broken.values():
            click.secho(str(error), fg="red", err=True)
        for one in feeds:
            fine = one.state == "done" and adds_up(one.row()) and one.agrees
            well = well and fine
            if not fine:
                click.secho(f"{one.erp}/{one.feed} is {one.state}: {one.error}", fg="red", err=True)
        if not feeds:
            raise WaybillError("no ERP is mapped", remedy="Add a file to the mappings' folder.")
        return well
