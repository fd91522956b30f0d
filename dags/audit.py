"""One DAG: every hour the audit's new lines are sealed and the chain's head is anchored.

Sealing belongs to no person's action, so that acting is never slowed by it. Must not: check the
chain, which is for those who do not believe this one.
"""

from __future__ import annotations

import logging

from airflow.sdk import get_parsing_context

from dags.house import house_dag
from mappings.settings import Settings

log = logging.getLogger(__name__)
DAG_ID = "waybill__audit_seal"


def seal() -> int:
    """How many lines were sealed."""
    from sync.anchoring import seal_and_anchor  # noqa: PLC0415 - heavy
    from sync.context import Context  # noqa: PLC0415 - heavy

    with Context.open(Settings.read()) as ctx:
        done = seal_and_anchor(ctx)
    log.info("%d sealed, head anchored at %s", done.sealed, ", ".join(done.places) or "–")
    return done.sealed


if get_parsing_context().dag_id in {None, DAG_ID}:
    audit_seal = house_dag(
        seal,
        dag_id=DAG_ID,
        description="Seals the audit's new lines and writes the chain's head down outside",
        cron="7 * * * *",
        tag="audit",
    )
