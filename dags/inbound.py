"""One DAG per (ERP, feed): pull, load, reconcile, on the feed's schedule. Follows the mappings.

A delta feed whose cursor misses something has a second one, `<erp>__<feed>__sweep`: the same three
steps over a full read.

A task's process parses this file again, asking for one DAG: then only that one is made.
A mapping that cannot be read becomes one DAG that fails every hour, at once for the first time,
with the mapping's faults as its error: an exception here would be shown as an import error of
this file and take every other ERP's DAGs along, and a DAG without runs is not red.

Tasks hand on ids, never data, and each may run again at any time. Work is done by `sync`; it and
all that is heavy is imported inside the tasks. Must not: read an ERP, a database or a secret.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any, NoReturn

from airflow.sdk import (
    DAG,
    CronTriggerTimetable,
    get_current_context,
    get_parsing_context,
    task,
)
from airflow.sdk.exceptions import AirflowSkipException

from dags import alarms, pages
from dags.house import PATIENT
from mappings.errors import Misconfigured, NotNow
from mappings.feeds import FEEDS
from mappings.reading import MappingSet, read_mappings
from mappings.settings import Settings
from mappings.spec import ErpMapping
from mappings.trust import sweep_schedule

log = logging.getLogger(__name__)


def inbound_dag(erp: ErpMapping, feed_name: str) -> DAG:
    """The DAG of one feed of one ERP."""
    feed, mapping = FEEDS[feed_name], erp.feeds[feed_name]
    with DAG(
        dag_id=pages.dag_id(erp.erp, feed_name),
        description=f"{erp.title or erp.erp}: {feed.meaning}",
        schedule=CronTriggerTimetable(
            pages.schedule(feed, mapping),
            timezone=erp.time_zone,
            run_immediately=timedelta(0),  # a new DAG waits for its hour; False would look back
        ),
        catchup=False,
        max_active_runs=1,
        default_args={"owner": erp.owner, **PATIENT},
        tags=pages.tags(erp.erp, feed_name, mapping),
        doc_md=pages.feed_page(erp, feed_name),
        deadline=alarms.deadline(pages.dag_id(erp.erp, feed_name), feed),
    ) as dag:
        # here each call stands for the value that it will return
        loaded = load(pull(erp.erp, feed_name))  # pyright: ignore[reportArgumentType]
        reconcile(loaded)  # pyright: ignore[reportArgumentType]
    return dag


def sweep_dag(erp: ErpMapping, feed_name: str, cron: str) -> DAG:
    """The DAG that makes up for what a feed's cursor misses."""
    with DAG(
        dag_id=pages.sweep_dag_id(erp.erp, feed_name),
        description=f"{erp.title or erp.erp}: {feed_name} as a whole, compared with the portal",
        schedule=CronTriggerTimetable(cron, timezone=erp.time_zone, run_immediately=timedelta(0)),
        catchup=False,
        max_active_runs=1,
        default_args={"owner": erp.owner, **PATIENT},
        tags=[*pages.tags(erp.erp, feed_name, erp.feeds[feed_name]), "sweep"],
        doc_md=pages.sweep_page(erp, feed_name),
    ) as dag:
        # as above: each call stands for the value that it will return
        loaded = load(pull_sweep(erp.erp, feed_name))  # pyright: ignore[reportArgumentType]
        reconcile(loaded)  # pyright: ignore[reportArgumentType]
    return dag


def broken_dag(name: str, error: Misconfigured) -> DAG:
    """The red DAG of a mapping that cannot be read."""
    with DAG(
        dag_id=pages.broken_dag_id(name),
        description=f"The mapping of {name} cannot be read: none of its feeds runs.",
        schedule=CronTriggerTimetable("0 * * * *", timezone="UTC", run_immediately=True),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        default_args={"on_failure_callback": alarms.task_failed},
        tags=[name, "broken"],
        doc_md=pages.broken_page(name, error),
    ) as dag:
        read_the_mapping(name)
    return dag


def inbound_dags(found: MappingSet, only: str | None = None) -> dict[str, DAG]:
    """DAG id → DAG, for every feed of every mapping, or for the one id asked for."""
    dags: dict[str, DAG] = {}
    for name, erp in found.mappings.items():
        for feed_name in erp.feeds:
            if only is None or only == pages.dag_id(name, feed_name):
                dag = inbound_dag(erp, feed_name)
                dags[dag.dag_id] = dag
            cron = sweep_schedule(erp, feed_name)
            if cron is not None and only in (None, pages.sweep_dag_id(name, feed_name)):
                dag = sweep_dag(erp, feed_name, cron)
                dags[dag.dag_id] = dag
    for name, error in found.broken.items():
        if only is None or only == pages.broken_dag_id(name):
            dag = broken_dag(name, error)
            dags[dag.dag_id] = dag
    return dags


@task
def pull(erp: str, feed: str) -> int:
    """Land what the ERP has; returns the batch's id. Skipped where another process is at it."""
    from sync.context import Context  # noqa: PLC0415 - heavy
    from sync.pull import pull as pull_feed  # noqa: PLC0415 - heavy

    try:
        with Context.open(Settings.read()) as context:
            batch_id = pull_feed(context, erp, feed)
    except NotNow as reason:
        _skip(str(reason))
    if batch_id is None:
        _skip(f"{erp}/{feed}: another process is at it, and will go once more for us")
    return batch_id


@task
def pull_sweep(erp: str, feed: str) -> int:
    """Take the changes, then land everything; returns the batch's id. Skipped as `pull` is."""
    from sync.context import Context  # noqa: PLC0415 - heavy
    from sync.feed import pull_sweep as pull_whole  # noqa: PLC0415 - heavy

    try:
        with Context.open(Settings.read()) as context:
            batch_id = pull_whole(context, erp, feed, cause="schedule")
    except NotNow as reason:
        _skip(str(reason))
    if batch_id is None:
        _skip(f"{erp}/{feed}: another process is at it; the next sweep looks again")
    return batch_id


@task
def load(batch_id: int) -> dict[str, Any]:
    """Judge and apply a landed batch; returns `run_id` and `state` (`done` or `held`)."""
    from sync.context import Context  # noqa: PLC0415 - heavy
    from sync.load import load as load_batch  # noqa: PLC0415 - heavy

    try:
        with Context.open(Settings.read()) as context:
            outcome = load_batch(context, batch_id)
    except NotNow as reason:
        _skip(str(reason))
    for stop in outcome.stops:
        log.warning("held by guard %s: %s", stop.get("guard"), stop.get("says"))
    if outcome.state == "held":
        says = "; ".join(str(stop.get("says")) for stop in outcome.stops)
        alarms.held(_dag_id(), outcome.run_id, says)
    return {"run_id": outcome.run_id, "state": outcome.state}


@task
def reconcile(loaded: dict[str, Any]) -> None:
    """Compare the totals of all sides, then retry what waited for this feed's rows."""
    from sync.context import Context  # noqa: PLC0415 - heavy
    from sync.reconcile import reconcile as reconcile_run  # noqa: PLC0415 - heavy
    from sync.retry import retry_waiting  # noqa: PLC0415 - heavy

    run_id = int(loaded["run_id"])
    if loaded["state"] == "held":
        _skip(f"run {run_id} is held: `waybill run {run_id}` says why")
    dag_id = _dag_id()
    erp, feed = dag_id.removesuffix("__sweep").rsplit("__", 1)
    with Context.open(Settings.read()) as context:
        for row in reconcile_run(context, run_id):
            if row["agrees"] is False:
                log.warning("totals do not agree: %s", row["says"])
        for outcome in retry_waiting(context, erp, feed):
            log.info("run %s retried records that waited: %s", outcome.run_id, outcome.counts)
    alarms.all_well(dag_id)


@task(retries=0, execution_timeout=timedelta(minutes=1))
def read_the_mapping(name: str) -> None:
    """Fail with the mapping's faults, as they are now."""
    found = read_mappings(Settings.read().mappings)
    if name in found.broken:
        raise found.broken[name]


def _dag_id() -> str:
    """Every running task has its DAG."""
    dag = get_current_context()["dag"]  # pyright: ignore[reportTypedDictNotRequiredAccess]
    return str(dag.dag_id)


def _skip(reason: str) -> NoReturn:
    log.warning("%s", reason)
    raise AirflowSkipException(reason)


_context = get_parsing_context()
globals().update(inbound_dags(read_mappings(Settings.read().mappings), _context.dag_id))
