"""What every DAG shares: how tasks are tried again and who hears of a failure; and the shape of the
DAGs that belong to no ERP, one task each.

Must not know what such a task does, or import anything heavy: every parse loads this.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, task

from dags import alarms
from dags.retries import LONGEST_DELAY, RETRIES, RETRY_DELAY, ByErrorClass

PATIENT: dict[str, Any] = {
    "retries": RETRIES,
    "retry_delay": RETRY_DELAY,
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": LONGEST_DELAY,
    "retry_policy": ByErrorClass(),
    "on_failure_callback": alarms.task_failed,
}
"""For work whose next turn is hours away."""

EVERY_MINUTE: dict[str, Any] = {
    "retries": 1,
    "retry_delay": timedelta(seconds=15),
    "retry_policy": ByErrorClass(),
    "execution_timeout": timedelta(minutes=30),
    "on_failure_callback": alarms.task_failed,
}
"""For sweeps: the next minute tries anyway."""


def house_dag(
    work: Callable[[], int],
    *,
    dag_id: str,
    description: str,
    cron: str,
    tag: str,
    manner: dict[str, Any] = PATIENT,
) -> DAG:
    """A DAG of one task that calls `work`; a failure is an alert, which the next good run ends."""
    with DAG(
        dag_id=dag_id,
        description=description,
        schedule=CronTriggerTimetable(cron, timezone="UTC", run_immediately=timedelta(0)),
        catchup=False,
        max_active_runs=1,
        default_args={"owner": "waybill", **manner},
        tags=[tag],
    ) as dag:

        def done() -> int:
            found = work()
            alarms.all_well(dag_id)
            return found

        done.__doc__ = work.__doc__
        task(task_id=work.__name__)(done)()
    return dag
