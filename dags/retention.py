"""One DAG: every night what has been kept for its time is deleted, with the proof of it.

Must not decide how long: `mappings/retention.py`, the mappings and WAYBILL_KEEP do.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, get_parsing_context, task

from dags.retries import LONGEST_DELAY, RETRIES, RETRY_DELAY, ByErrorClass
from mappings.settings import Settings

log = logging.getLogger(__name__)
DAG_ID = "waybill__retention"


def retention_dag() -> DAG:
    """Delete what is due."""
    with DAG(
        dag_id=DAG_ID,
        description="Deletes what has been kept for its time; the audit keeps counts and hashes",
        schedule=CronTriggerTimetable("50 5 * * *", timezone="UTC", run_immediately=timedelta(0)),
        catchup=False,
        max_active_runs=1,
        default_args={
            "owner": "waybill",
            "retries": RETRIES,
            "retry_delay": RETRY_DELAY,
            "retry_exponential_backoff": 2.0,
            "max_retry_delay": LONGEST_DELAY,
            "retry_policy": ByErrorClass(),
        },
        tags=["retention"],
    ) as dag:

        @task
        def delete() -> int:
            """How many batches, rows and documents went."""
            from sync.context import Context  # noqa: PLC0415 - heavy
            from sync.retention import expire  # noqa: PLC0415 - heavy

            with Context.open(Settings.read()) as ctx:
                gone = expire(ctx)
            for one in gone:
                log.info(
                    "%s: %d of %s, SHA-256 %s", one.kept_as, one.taken, one.subject, one.sha256
                )
            return sum(one.taken for one in gone)

        delete()
    return dag


if get_parsing_context().dag_id in {None, DAG_ID}:
    retention = retention_dag()
