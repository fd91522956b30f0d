"""Do the lines of a document add up to its head? Exact sums over root and child tables.

A child value that is NULL adds nothing; a root of which no child states the value is not judged
(its sum is unknown, not 0), nor is a root whose own value is NULL. Must not see half a document:
the caller brings all children of the roots it brings.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from mappings.vocabulary import Part, SumCheck
from quality.checks import joined
from quality.verdicts import Verdict, nowhere

_WIDE = pa.decimal256(50, 6)
"""Any sum of any of our decimals, exactly."""


def judge_sums(
    part: Part,
    root: pa.Table,
    children: Mapping[str, pa.Table],
    skip: pa.BooleanArray | None = None,
) -> list[Verdict]:
    """One verdict over the root rows per sum check whose child part is in `children`.

    `root` has `record_no`, each child table `root_no`; both hold typed columns. `skip` marks roots
    that are not judged.
    """
    judged = None if skip is None else pc.invert(pc.fill_null(skip, fill_value=False))
    verdicts: list[Verdict] = []
    for check in part.sums:
        if check.child not in children:
            continue
        failed = _failed(check, root, children[check.child])
        if judged is not None:
            failed = pc.and_(failed, judged)
        verdicts.append(
            Verdict(
                check.id,
                check.says,
                check.field,
                failed,
                frozenset({check.field, f"{check.child}.{check.child_field}"}),
            )
        )
    return verdicts


def children_sum(root: pa.Table, children: pa.Table, field: str) -> pa.Array:
    """Per root row the sum of its children's `field`; null where no child states one."""
    stated = children.select(["root_no", field]).filter(children.column(field).is_valid())
    totals = stated.group_by("root_no").aggregate([(field, "sum")])
    at = pc.index_in(joined(root.column("record_no")), value_set=joined(totals.column("root_no")))
    return joined(totals.column(f"{field}_sum")).take(at)


def _failed(check: SumCheck, root: pa.Table, children: pa.Table) -> pa.BooleanArray:
    if not len(root):
        return nowhere(0)
    stated = joined(root.column(check.field)).cast(_WIDE)
    gap = pc.subtract(stated, children_sum(root, children, check.child_field).cast(_WIDE))
    return pc.fill_null(pc.greater(pc.abs(gap), pa.scalar(check.tolerance)), fill_value=False)
