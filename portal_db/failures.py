"""What the database's own errors mean for whoever must act: try again, or free space.

Must not hide a bug: an error that says nothing about the server stays what it is.
"""

from __future__ import annotations

import psycopg
from psycopg import errors
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFreeError

from mappings.errors import Misconfigured, Transient, WaybillError

_LASTING = (errors.DiskFull, errors.InvalidPassword, errors.InvalidAuthorizationSpecification)


def as_waybill_error(error: BaseException) -> WaybillError | None:
    """Transient for a lost or busy server, Misconfigured for a full disk or a refused sign-in.

    None for everything else, a WaybillError included.
    """
    if isinstance(error, NoConnectionFreeError):
        return Transient("every connection to the database is in use", code="database")
    if isinstance(error, DBAPIError):
        error = error.orig or error
    if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return None
    says = str(error).strip().splitlines()
    what = f"the database failed: {says[0] if says else type(error).__name__}"
    if isinstance(error, _LASTING):
        return Misconfigured(
            what,
            code="disk_full" if isinstance(error, errors.DiskFull) else "database",
            remedy="Free space or correct the database URL, then run it again.",
        )
    return Transient(what, code="database", remedy="It is tried again by itself.")
