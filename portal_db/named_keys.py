"""Which keys the rows of a first list refer to, gathered while they are copied.

Millions of prices name a few thousand products: those are asked for, not each row's. Must not ask
anything itself, and gives up where there are too many to be worth it.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from mappings.vocabulary import Part, Reference

_MOST = 500_000
"""Different keys of one field, beyond which the rows themselves are compared."""


class NamedKeys:
    """Different keys by the reference that names them; no more of them than rows were copied."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._found: dict[Reference, pa.Array] = {}
        self._given_up: set[Reference] = set()

    def add(self, part: Part, table: pa.Table) -> None:
        """Take in the references of rows that are about to be copied."""
        for reference in part.references:
            if reference in self._given_up:
                continue
            fresh = pc.unique(_naming(reference, table).column(reference.field))
            known = self._found.get(reference, fresh.slice(0, 0))
            every = pc.unique(pa.concat_arrays([known, fresh]))
            if len(every) > self._most:
                self._given_up.add(reference)
                self._found.pop(reference, None)
            else:
                self._found[reference] = every

    def of(self, reference: Reference) -> list[str] | None:
        """Every key that some row names by it; None where that is not known."""
        found = self._found.get(reference)
        return None if found is None else found.drop_null().to_pylist()


def _naming(reference: Reference, table: pa.Table) -> pa.Table:
    """The rows that may name something: those of the wrong kind are left out where that is plain.

    More than the right ones do no harm.
    """
    for when in reference.when:
        if when.is_ != "in":
            continue
        kinds = table.column(when.field)
        wanted = pa.array(when.values, kinds.type)
        if not pc.all(pc.is_in(pc.unique(kinds), value_set=wanted)).as_py():
            table = table.filter(pc.is_in(kinds, value_set=wanted))
    return table
