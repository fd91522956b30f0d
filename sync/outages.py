"""What a message's outcome says about its ERP: is it there, is it down, must a person act.

Tells the ERP's circuit, and nobody else. Must not touch the message.
"""

from __future__ import annotations

from mappings.errors import RateLimited
from mappings.outbound import Outbound
from portal_db import circuits, outbox
from portal_db.failures import as_waybill_error
from portal_db.outcomes import Move
from sync import sending


def tell_circuit(
    connection: outbox.Connection,
    erp: str,
    how: Outbound | None,
    move: Move,
    error: Exception | None,
    *,
    worker: str,
    asked: bool,
) -> None:
    """Open, hold or close the circuit of an ERP. `asked`: the ERP was called for this message."""
    if how is None or (error is not None and as_waybill_error(error) is not None):
        # our own database says nothing about the ERP: the next message may try
        circuits.nobody_waits(connection, erp, worker=worker)
    elif error is None or not _is_a_failure(error, move):
        if asked:
            circuits.answered(connection, erp)
        else:
            circuits.nobody_waits(connection, erp, worker=worker)
    elif sending.pauses(error):
        _open(connection, erp, error, sending.probe_wait(how, 0, pause=True), pause=True)
    elif isinstance(error, RateLimited):
        wait = error.retry_after or how.retry.probe_seconds / 10
        circuits.hold(connection, erp, code=error.code, says=str(error), wait=wait)
    else:
        wait = sending.probe_wait(how, circuits.openings(connection, erp), pause=False)
        _open(connection, erp, error, wait, pause=False)


def _is_a_failure(error: Exception, move: Move) -> bool:
    return (
        sending.pauses(error)
        or isinstance(error, RateLimited)
        or sending.counts_as_outage(error, move)
    )


def _open(
    connection: outbox.Connection, erp: str, error: Exception, wait: float, *, pause: bool
) -> None:
    code = getattr(error, "code", "bug")
    circuits.failed(connection, erp, code=code, says=str(error), wait=wait, pause=pause)
