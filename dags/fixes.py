"""One DAG: every minute, fix jobs that nobody carries on are carried on.

The desk's own process does it at once; this is the net below it, with the same code, and the way
where the desk runs in Airflow alone. Must not reach an ERP: records come from the landed bytes.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, get_parsing_context, task

from dags.retries import ByErrorClass
from mappings.settings import Settings

log = logging.getLogger(__name__)
DAG_ID = "waybill__fix_jobs"


def fix_dag() -> DAG:
    """Carry on what is due."""
    with DAG(
        dag_id=DAG_ID,
        description="Carries on what people asked for at the review desk",
        schedule=CronTriggerTimetable("* * * * *", timezone="UTC", run_immediately=timedelta(0)),
        catchup=False,
        max_active_runs=1,
        default_args={
            "owner": "waybill",
            "retries": 1,
            "retry_delay": timedelta(seconds=15),
            "retry_policy": ByErrorClass(),
            "execution_timeout": timedelta(minutes=30),
        },
        tags=["review"],
    ) as dag:

        @task
        def carry_on() -> int:
            """How many pieces were done. A killed one is safe to run again."""
            import os  # noqa: PLC0415 - only here
            import socket  # noqa: PLC0415 - only here

            from sync import fix_work  # noqa: PLC0415 - heavy
            from sync.context import Context  # noqa: PLC0415 - heavy

            worker = f"airflow {socket.gethostname()} {os.getpid()}"
            with Context.open(Settings.read()) as ctx:
                return fix_work.carry_on(ctx, worker=worker)

        carry_on()
    return dag


if get_parsing_context().dag_id in {None, DAG_ID}:
    fix_jobs = fix_dag()
