"""One DAG an ERP that takes messages: every minute, what is due is delivered.

The gateway delivers the moment a message is written; this is the net below it, with the same code.
A message that fails is recorded with the message and does not make the DAG red: the desk, the
command and the alarm about the ERP's outage carry that. Must not: read an ERP, a database or a
secret while it is parsed.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, get_parsing_context, task

from dags import alarms, pages
from dags.house import EVERY_MINUTE
from mappings.messages import KINDS
from mappings.reading import MappingSet, read_mappings
from mappings.settings import Settings
from mappings.spec import ErpMapping

log = logging.getLogger(__name__)

LIMIT = 2000
"""Attempts of one sweep; what is left is the next one's."""
THREADS = 4
"""Dealers of one ERP at a time."""


def delivery_dag(erp: ErpMapping) -> DAG:
    """The DAG that sweeps the outbox of one ERP."""
    with DAG(
        dag_id=pages.delivery_dag_id(erp.erp),
        description=f"{erp.title or erp.erp}: delivers orders and other messages that are due",
        schedule=CronTriggerTimetable("* * * * *", timezone="UTC", run_immediately=timedelta(0)),
        catchup=False,
        max_active_runs=1,
        default_args={"owner": erp.owner, **EVERY_MINUTE},
        tags=[erp.erp, "deliveries"],
        doc_md=pages.delivery_page(erp),
    ) as dag:
        deliver(erp.erp)
    return dag


def delivery_dags(found: MappingSet, only: str | None = None) -> dict[str, DAG]:
    """DAG id → DAG, for every ERP that takes messages, or for the one id asked for."""
    dags: dict[str, DAG] = {}
    for name, erp in found.mappings.items():
        takes = any(erp.outbound(kind) is not None for kind in KINDS)
        if takes and only in (None, pages.delivery_dag_id(name)):
            dags[pages.delivery_dag_id(name)] = delivery_dag(erp)
    return dags


@task
def deliver(erp: str) -> dict[str, int]:
    """Deliver what is due; returns outcomes by name. A killed one is safe to run again."""
    from sync import alerts, watch  # noqa: PLC0415 - heavy
    from sync.context import Context  # noqa: PLC0415 - heavy
    from sync.deliver import deliver_due  # noqa: PLC0415 - heavy

    with Context.open(Settings.read()) as context:
        report = deliver_due(context, erp=erp, limit=LIMIT, threads=THREADS)
        try:  # the gateway does it too, where there is one
            watch.look(context)
            alerts.tell(context)
        except Exception:  # an alert that cannot be told fails no delivery
            log.exception("what is wrong could not be told")
    for name, why in report.left_alone.items():
        log.warning("%s: %s", name, why)
    alarms.all_well(pages.delivery_dag_id(erp))
    return dict(report.outcomes)


_context = get_parsing_context()
globals().update(delivery_dags(read_mappings(Settings.read().mappings), _context.dag_id))
