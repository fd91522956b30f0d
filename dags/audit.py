"""One DAG: every hour the audit's new lines are sealed and the chain's head is anchored.

Sealing belongs to no person's action, so that acting is never slowed by it. Must not: check the
chain, which is for those who do not believe this one.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, get_parsing_context, task

from dags.retries import LONGEST_DELAY, RETRIES, RETRY_DELAY, ByErrorClass
from mappings.settings import Settings

log = logging.getLogger(__name__)
DAG_ID = "waybill__audit_seal"


def audit_dag() -> DAG:
    """Seal and anchor."""
    with DAG(
        dag_id=DAG_ID,
        description="Seals the audit's new lines and writes the chain's head down outside",
        schedule=CronTriggerTimetable("7 * * * *", timezone="UTC", run_immediately=timedelta(0)),
        catchup=False,
        max_active_runs=1,
        default_args={
            "owner": "audit",
            "retries": RETRIES,
            "retry_delay": RETRY_DELAY,
            "retry_exponential_backoff": 2.0,
            "max_retry_delay": LONGEST_DELAY,
            "retry_policy": ByErrorClass(),
        },
        tags=["audit"],
    ) as dag:

        @task
        def seal() -> int:
            """How many lines were sealed."""
            from sync.anchoring import seal_and_anchor  # noqa: PLC0415 - heavy
            from sync.context import Context  # noqa: PLC0415 - heavy

            with Context.open(Settings.read()) as ctx:
                done = seal_and_anchor(ctx)
            log.info("%d sealed, head anchored at %s", done.sealed, ", ".join(done.places) or "–")
            return done.sealed

        seal()
    return dag


if get_parsing_context().dag_id in {None, DAG_ID}:
    audit_seal = audit_dag()
