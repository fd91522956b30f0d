"""What Airflow tells people goes the way of all alerts: one row a fingerprint, told when it is new.

A task that failed for good, and a run that is not through by its deadline, each begin or continue
an alert of their (ERP, feed); a run that came to its end ends it. What is heavy is imported when
something happens. Must not send anything itself, and must not fail a task that did not.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions.callback import SyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from mappings.errors import WaybillError
from mappings.settings import Settings
from mappings.vocabulary import Feed

if TYPE_CHECKING:
    from portal_db.alerts import Alert

log = logging.getLogger(__name__)

LONGEST_RUN = timedelta(hours=6)
"""No feed's run takes longer, whatever its promise."""
_KINDS = ("task_failed", "run_late", "held")


def deadline(dag_id: str, feed: Feed) -> DeadlineAlert:
    """A run that is not through after its feed's promise, counted from when it was queued."""
    within = min(timedelta(minutes=feed.promise_minutes), LONGEST_RUN)
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=within,
        callback=SyncCallback(
            "dags.alarms.run_late", kwargs={"dag_id": dag_id, "minutes": within.seconds // 60}
        ),
    )


def task_failed(context: Any) -> None:  # noqa: ANN401 - Airflow's context, a mapping of anything
    """A task failed and will not be tried again."""
    dag_id = str(context["dag"].dag_id)
    error = context.get("exception")
    known = error if isinstance(error, WaybillError) else None
    says = known.what if known else f"{type(error).__name__}: see the log of the task"
    task = getattr(context.get("task_instance"), "task_id", "a task")
    remedy = (known.remedy if known else None) or f"The DAG {dag_id} shows it: task {task}."
    _raise(_alert("task_failed", dag_id, f"{task} failed: {says}", remedy))


def run_late(dag_id: str, minutes: int, **_context: object) -> None:
    """A run's deadline has passed."""
    says = f"a run is not through after {minutes} minutes"
    _raise(_alert("run_late", dag_id, says, f"The DAG {dag_id} shows which task it waits for."))


def held(dag_id: str, run_id: int, says: str) -> None:
    """A batch was stopped by a guard: a person decides."""
    remedy = f"`waybill run {run_id}` says why; then `waybill release` or `waybill refuse`."
    _raise(_alert("held", dag_id, f"a batch is held: {says}", remedy))


def all_well(dag_id: str) -> None:
    """A run came to its end: what was wrong with this feed is over."""
    erp, _, _ = dag_id.partition("__")
    from dags.pages import broken_dag_id  # noqa: PLC0415 - beside its user
    from sync import alerts  # noqa: PLC0415 - heavy
    from sync.context import Context  # noqa: PLC0415 - heavy

    try:
        with Context.open(Settings.read()) as ctx:
            for kind in _KINDS:
                alerts.recovered(ctx, f"{kind}/{dag_id}")
            alerts.recovered(ctx, f"task_failed/{broken_dag_id(erp)}")
    except Exception:
        log.exception("an alert could not be ended")


def _alert(kind: str, dag_id: str, says: str, remedy: str) -> Alert:
    from portal_db.alerts import Alert  # noqa: PLC0415 - heavy

    erp, _, feed = dag_id.partition("__")
    return Alert(f"{kind}/{dag_id}", kind, says, erp=erp, feed=feed or None, remedy=remedy)


def _raise(alert: Alert) -> None:
    """Write it down and tell at once: the gateway may be down, and its rounds with it."""
    from sync import alerts  # noqa: PLC0415 - heavy
    from sync.context import Context  # noqa: PLC0415 - heavy

    try:
        with Context.open(Settings.read()) as ctx:
            alerts.raised(ctx, alert)
            alerts.tell(ctx)
    except Exception:
        log.exception("an alert could not be raised: %s", alert.says)
