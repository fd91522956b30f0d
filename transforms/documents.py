"""Steps that files and business documents (CSV, UBL) ask for. See `mappings/steps.py`."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from transforms.parsing import trimmed
from transforms.registry import StepContext, StepResult, step
from transforms.types import list_of


@step
def minus_if_marked(columns: list[pa.Array], _: StepContext) -> StepResult:
    """A credit note holds positive amounts; what is no number is left for the type to refuse."""
    amount, mark = trimmed(columns[0]), trimmed(columns[1])
    signless = pc.replace_substring_regex(amount, r"^\+", "")
    turned = pc.if_else(
        pc.starts_with(signless, "-"),
        pc.utf8_slice_codeunits(signless, 1),
        pc.binary_join_element_wise("-", signless, ""),
    )
    return StepResult(pc.if_else(pc.is_valid(mark), turned, amount))


@step
def split_bars(columns: list[pa.Array], _: StepContext) -> StepResult:
    """For lists whose values may hold commas."""
    return list_of(columns[0], "[|]")
