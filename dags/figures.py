"""One DAG: every night the business figures are worked out from the orders that the ERPs know.

Must not reach an ERP.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, get_parsing_context, task

from dags.retries import LONGEST_DELAY, RETRIES, RETRY_DELAY, ByErrorClass
from mappings.errors import WaybillError
from mappings.settings import Settings

log = logging.getLogger(__name__)
DAG_ID = "waybill__figures"


def figures_dag() -> DAG:
    """Work out and keep."""
    with DAG(
        dag_id=DAG_ID,
        description="Portal share, active dealers, error rate, entry to shipment, after hours",
        schedule=CronTriggerTimetable("20 5 * * *", timezone="UTC", run_immediately=timedelta(0)),
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
        tags=["figures"],
    ) as dag:

        @task
        def compute() -> int:
            """How many figures were worked out. One ERP's failure does not keep others back."""
            from sync.context import Context  # noqa: PLC0415 - heavy
            from sync.figures import compute as figures_of  # noqa: PLC0415 - heavy
            from sync.figures import supplying  # noqa: PLC0415 - heavy

            found, failed = 0, None
            with Context.open(Settings.read()) as ctx:
                for erp in supplying(ctx):
                    try:
                        found += len(figures_of(ctx, erp))
                    except WaybillError as error:
                        log.exception("%s", erp)
                        failed = failed or error
            if failed is not None:
                raise failed
            return found

        compute()
    return dag


if get_parsing_context().dag_id in {None, DAG_ID}:
    figures = figures_dag()
