"""Steps for ERPs that know the instant of some records and only the day of others."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from transforms.instants import iso_instant, midnight_of
from transforms.parsing import any_of, iso_dates
from transforms.registry import StepContext, StepResult, step


@step
def instant_or_midnight(columns: list[pa.Array], context: StepContext) -> list[StepResult]:
    """A bad instant is a rejection, never the day instead. A day counts where no instant came."""
    exact = iso_instant([columns[0]], context)
    unknown = pc.is_null(exact[-1].values)
    wrong = any_of([one.bad for one in exact if one.bad is not None])
    if wrong is not None:
        unknown = pc.and_not(unknown, wrong)
    day = iso_dates(pc.if_else(unknown, columns[1], None))
    midnight = midnight_of([day.values], context)
    values = pc.if_else(unknown, midnight.values, exact[-1].values)
    return [*exact, day, midnight, StepResult(values)]
