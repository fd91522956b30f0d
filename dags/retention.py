"""One DAG: every night what has been kept for its time is deleted, with the proof of it.

Must not decide how long: `mappings/retention.py`, the mappings and WAYBILL_KEEP do.
"""

from __future__ import annotations

import logging

from airflow.sdk import get_parsing_context

from dags.house import house_dag
from mappings.settings import Settings

log = logging.getLogger(__name__)
DAG_ID = "waybill__retention"


def delete() -> int:
    """How many batches, rows and documents went."""
    from sync.context import Context  # noqa: PLC0415 - heavy
    from sync.retention import expire  # noqa: PLC0415 - heavy

    with Context.open(Settings.read()) as ctx:
        gone = expire(ctx)
    for one in gone:
        log.info("%s: %d of %s, SHA-256 %s", one.kept_as, one.taken, one.subject, one.sha256)
    return sum(one.taken for one in gone)


if get_parsing_context().dag_id in {None, DAG_ID}:
    retention = house_dag(
        delete,
        dag_id=DAG_ID,
        description="Deletes what has been kept for its time; the audit keeps counts and hashes",
        cron="50 5 * * *",
        tag="retention",
    )
