"""One DAG: every minute, fix jobs that nobody carries on are carried on.

The desk's own process does it at once; this is the net below it, with the same code, and the way
where the desk runs in Airflow alone. Must not reach an ERP: records come from the landed bytes.
"""

from __future__ import annotations

import logging

from airflow.sdk import get_parsing_context

from dags.house import EVERY_MINUTE, house_dag
from mappings.settings import Settings

log = logging.getLogger(__name__)
DAG_ID = "waybill__fix_jobs"


def carry_on() -> int:
    """How many pieces were done. A killed one is safe to run again."""
    import os  # noqa: PLC0415 - only here
    import socket  # noqa: PLC0415 - only here

    from sync import fix_work  # noqa: PLC0415 - heavy
    from sync.context import Context  # noqa: PLC0415 - heavy

    worker = f"airflow {socket.gethostname()} {os.getpid()}"
    with Context.open(Settings.read()) as ctx:
        return fix_work.carry_on(ctx, worker=worker)


if get_parsing_context().dag_id in {None, DAG_ID}:
    fix_jobs = house_dag(
        carry_on,
        dag_id=DAG_ID,
        description="Carries on what people asked for at the review desk",
        cron="* * * * *",
        tag="review",
        manner=EVERY_MINUTE,
    )
