"""What the database says that people should hear of: dead messages, ERPs that are down, a lane that
stands still, subscriptions that cannot be kept.

Each is an alert with one fingerprint, raised while it lasts and recovered when it is over. Both
lanes look: the gateway in its rounds, Airflow's sweep each minute. Must not tell anybody itself.
"""

from __future__ import annotations

from portal_db.alerts import Alert
from portal_db.watching import conditions, open_fingerprints
from sync import alerts
from sync.context import Context

_PREFIX = "state/"


def look(ctx: Context) -> None:
    """Raise what began or grew, recover what is over."""
    with ctx.connection() as connection:
        found = conditions(connection)
        known = open_fingerprints(connection, _PREFIX)
    now = {f"{_PREFIX}{one.name}": one for one in found}
    for fingerprint, one in now.items():
        grown = one.times - known.get(fingerprint, 0)
        if grown > 0:
            alert = Alert(fingerprint, one.kind, one.says, erp=one.erp, remedy=one.remedy)
            alerts.raised(ctx, alert, grown)
    for fingerprint in known.keys() - now.keys():
        alerts.recovered(ctx, fingerprint)
