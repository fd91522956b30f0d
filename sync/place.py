"""Every error that leaves a verb of the engine says where it happened and what happens next.

Must not swallow anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mappings.errors import WaybillError
from portal_db.failures import as_waybill_error


@contextmanager
def placed(erp: str, feed: str) -> Iterator[None]:
    """Fill in the place of an error; a lost database becomes Transient."""
    try:
        yield
    except WaybillError as error:
        raise error.located(erp, feed) from error.__cause__
    except Exception as error:
        known = as_waybill_error(error)
        if known is None:
            raise
        raise known.located(erp, feed) from error
