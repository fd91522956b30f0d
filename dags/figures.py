"""One DAG: every night the business figures are worked out from the orders that the ERPs know.

Must not reach an ERP.
"""

from __future__ import annotations

import logging

from airflow.sdk import get_parsing_context

from dags.house import house_dag
from mappings.errors import WaybillError
from mappings.settings import Settings

log = logging.getLogger(__name__)
DAG_ID = "waybill__figures"


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


if get_parsing_context().dag_id in {None, DAG_ID}:
    figures = house_dag(
        compute,
        dag_id=DAG_ID,
        description="Portal share, active dealers, error rate, entry to shipment, after hours",
        cron="20 5 * * *",
        tag="figures",
    )
