"""Steps for ERPs that know the instant of some records and only the day of others."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from transforms.instants import iso_instant, midnight_of
from transforms.parsing import any_of, iso_dates
from transforms.registry import StepContext, StepResult, step


@step
def instant_or_midnight(columns: list[pa.Array], context: StepContext) -> StepResult:
    """A bad instant is a rejection, never the day instead. A day counts where no instant came."""
    exact = iso_instant([columns[0]], context)
    unknown = pc.is_null(exact.values)
    if exact.bad is not None:
        unknown = pc.and_not(unknown, exact.bad)
    day = iso_dates(columns[1])
    midnight = midnight_of([day.values], context)
    values = pc.if_else(unknown, midnight.values, exact.values)
    found = [pc.and_(one.bad, unknown) for one in (day, midnight) if one.bad is not None]
    bad = any_of(found if exact.bad is None else [exact.bad, *found])
    return StepResult(values, bad, "not_an_instant" if bad is not None else "")
