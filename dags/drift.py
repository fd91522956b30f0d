"""One DAG: every night each feed of complete extracts is compared with the portal as a whole.

Loads skip what they know; this finds what somebody edited in the portal's tables, and repairs it.
Must not reach an ERP: it reads the landed bytes.
"""

from __future__ import annotations

import logging

from airflow.sdk import get_parsing_context

from dags.house import house_dag
from mappings.errors import WaybillError
from mappings.settings import Settings

log = logging.getLogger(__name__)
DAG_ID = "waybill__drift_check"


def compare() -> int:
    """How many rows were repaired. One feed's failure does not keep the others back."""
    from sync.context import Context  # noqa: PLC0415 - heavy
    from sync.drift import check_drift  # noqa: PLC0415 - heavy

    repaired, failed = 0, None
    with Context.open(Settings.read()) as ctx:
        for erp, mapping in sorted(ctx.mappings.mappings.items()):
            for feed in mapping.feeds:
                try:
                    for one in check_drift(ctx, erp, feed):
                        repaired += one.repaired
                        log.info("%s/%s %s: %s", erp, feed, one.scope_key, one.says)
                except WaybillError as error:
                    log.exception("%s/%s", erp, feed)
                    failed = failed or error
    if failed is not None:
        raise failed
    return repaired


if get_parsing_context().dag_id in {None, DAG_ID}:
    drift_check = house_dag(
        compare,
        dag_id=DAG_ID,
        description="Compares the portal with the last extracts and repairs what somebody edited",
        cron="40 4 * * *",
        tag="drift",
    )
