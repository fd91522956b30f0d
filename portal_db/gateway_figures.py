"""Figures of the real-time lane for readiness and metrics. Reads; must not write or decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg


@dataclass(frozen=True, slots=True)
class Figure:
    """One gauge. `says` is its help text."""

    name: str
    says: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


def outbox_age(connection: psycopg.Connection[Any]) -> float:
    """Seconds since the oldest message that is due and could go was due; 0 where none waits.

    Messages for an ERP that is down or closed do not count: they wait for the ERP, not for us.
    """
    row = connection.execute(
        "SELECT coalesce(extract(epoch FROM now() - min(o.next_at)), 0) FROM sync.outbox o "
        "LEFT JOIN sync.circuit c ON c.erp = o.erp WHERE o.state = 'pending' "
        "AND o.next_at <= now() AND coalesce(c.state, 'closed') = 'closed' "
        "AND (c.closed_until IS NULL OR c.closed_until < now())"
    ).fetchone()
    return max(0.0, float(row[0])) if row else 0.0


def figures(connection: psycopg.Connection[Any]) -> list[Figure]:
    """Everything that Prometheus reads out of the database."""
    found = [
        Figure(
            "waybill_outbox_oldest_due_seconds",
            "Age of the oldest message that is due and could go.",
            outbox_age(connection),
        )
    ]
    rows = connection.execute(
        "SELECT erp, state, count(*) FROM sync.outbox "
        "WHERE state NOT IN ('delivered', 'cancelled') GROUP BY 1, 2"
    ).fetchall()
    found += [
        Figure(
            "waybill_outbox_messages", "Messages by state.", float(count),
            {"erp": str(erp), "state": str(state)},
        )
        for erp, state, count in rows
    ]  # fmt: skip
    rows = connection.execute("SELECT erp, state <> 'closed' FROM sync.circuit").fetchall()
    found += [
        Figure("waybill_circuit_open", "1: the ERP is left alone.", float(open_), {"erp": str(erp)})
        for erp, open_ in rows
    ]
    rows = connection.execute(
        "SELECT erp, feed, extract(epoch FROM age), late FROM portal.feed_status"
    ).fetchall()
    for erp, feed, age, late in rows:
        labels = {"erp": str(erp), "feed": str(feed)}
        found.append(
            Figure("waybill_feed_age_seconds", "Since the last proof.", float(age), labels)
        )
        found.append(
            Figure("waybill_feed_late", "1: older than promised.", float(bool(late)), labels)
        )
    row = connection.execute("SELECT count(*) FROM sync.alert WHERE state = 'open'").fetchone()
    found.append(
        Figure("waybill_alerts_open", "Alerts not recovered.", float(row[0] if row else 0))
    )
    return found
