"""Steps that read yes and no as ERPs write them. See `mappings/steps.py` for each."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from transforms.parsing import split, trimmed
from transforms.registry import StepContext, StepResult, step
from transforms.types import booleans


@step
def x_flag(columns: list[pa.Array], _: StepContext) -> StepResult:
    """SAP's flag: X, or blank for false. Absent stays NULL: nothing was said."""
    text = pc.utf8_trim_whitespace(columns[0])
    is_true = pc.equal(pc.ascii_upper(text), "X")
    return split(is_true, pc.or_(is_true, pc.equal(text, "")), "not_a_bool")


@step
def yes_no(columns: list[pa.Array], _: StepContext) -> StepResult:
    """Y and N, in full or by their letter."""
    letters = pc.ascii_upper(pc.utf8_trim_whitespace(columns[0]))
    letters = pc.if_else(pc.equal(letters, "YES"), "Y", letters)
    return booleans(pc.if_else(pc.equal(letters, "NO"), "N", letters), "Y", "N")


@step
def true_false(columns: list[pa.Array], _: StepContext) -> StepResult:
    """The words, however cased."""
    return booleans(pc.ascii_lower(columns[0]), "true", "false")


@step
def one_zero(columns: list[pa.Array], _: StepContext) -> StepResult:
    """Digits as flags."""
    return booleans(columns[0], "1", "0")


@step
def blank_is_false(columns: list[pa.Array], _: StepContext) -> StepResult:
    """For an ERP that sends an empty text and means no."""
    blank = pc.equal(pc.utf8_trim_whitespace(columns[0]), "")
    return StepResult(pc.if_else(blank, "false", columns[0]))


@step
def null_is_false(columns: list[pa.Array], _: StepContext) -> StepResult:
    """For an ERP that leaves a flag out and means no."""
    return StepResult(pc.fill_null(columns[0], "false"))


@step
def false_is_null(columns: list[pa.Array], _: StepContext) -> StepResult:
    """For an ERP that sends false where a text is empty (Odoo)."""
    empty = pc.fill_null(pc.equal(columns[0], "false"), False)
    return StepResult(pc.if_else(empty, pa.scalar(None, pa.string()), columns[0]))


@step
def not_null_flag(columns: list[pa.Array], _: StepContext) -> StepResult:
    """For an ERP that sets a date or a reason instead of a flag."""
    return StepResult(pc.is_valid(trimmed(columns[0])))


@step
def not_flag(columns: list[pa.Array], _: StepContext) -> StepResult:
    """For a flag that says the opposite (`inactive`)."""
    return StepResult(pc.invert(columns[0]))
