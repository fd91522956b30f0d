"""Steps over numbers: what ERPs write becomes canonical decimal text, `-1234.50`, exactly.

Numbers stay text until the field's type is known, so that no digit can be lost on the way. A step
that needs a number gets canonical text. See `mappings/steps.py` for each.
"""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from transforms.parsing import NUMBER, matched, replaced, seen, split, trimmed
from transforms.registry import StepContext, StepResult, step

_SPACE_MARKS = "\u00a0\u202f\u2009'\u2019"
_SPACES = f"[{_SPACE_MARKS}]"  # NBSP, narrow NBSP, thin space, apostrophes
_COMMA = (
    rf"^[+-]?(?:[1-9][0-9]{{0,2}}(?:\.[0-9]{{3}})+|[1-9][0-9]{{0,2}}(?:{_SPACES}[0-9]{{3}})+|[0-9]+)(?:,[0-9]+)?$"
    r"|^[+-]?,[0-9]+$"
)
_POINT = (
    rf"^[+-]?(?:[1-9][0-9]{{0,2}}(?:,[0-9]{{3}})+|[1-9][0-9]{{0,2}}(?:{_SPACES}[0-9]{{3}})+|[0-9]+)(?:\.[0-9]+)?$"
    r"|^[+-]?\.[0-9]+$"
)
_SIGN = "(?:[€$£¥₺]|[A-Z]{3}|TL)"
_GAP = "[\\s\u00a0\u202f]*"
_TWO_WAYS = r"^[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}$"
_ZERO = r"^[+-]?(?:0+(?:\.0+)?|\.0+)$"
_SUBTRACTABLE = r"^[+-]?[0-9]{0,22}(?:\.[0-9]{1,6}0*)?$"
_MOST_EXPONENT = 60


@step
def decimal_point(columns: list[pa.Array], _: StepContext) -> StepResult:
    """Digits with a point; a thousands mark is refused, not removed."""
    return matched(columns[0], NUMBER, "not_a_number")


@step
def decimal_comma(columns: list[pa.Array], _: StepContext) -> StepResult:
    """`13.75` is no number here: a dot only separates groups of three."""
    return _comma(columns[0])


@step
def thousands_comma(columns: list[pa.Array], _: StepContext) -> StepResult:
    """`13,75` is no number here: a comma only separates groups of three."""
    return _point(columns[0])


@step
def either_mark(columns: list[pa.Array], _: StepContext) -> list[StepResult]:
    """Only what can be read one way: two different marks, or one that is no thousands mark."""
    texts = trimmed(columns[0])
    two_ways = pc.match_substring_regex(texts, _TWO_WAYS)
    clear = split(texts, pc.invert(two_ways), "ambiguous_number")
    comma, point = _comma(clear.values), _point(clear.values)
    values = pc.coalesce(comma.values, point.values)
    unread = pc.and_(pc.is_null(values), pc.is_valid(clear.values))
    return [clear, StepResult(values, unread, "not_a_number")]


@step
def trailing_minus(columns: list[pa.Array], _: StepContext) -> StepResult:
    """SAP writes the sign behind; a sign in front as well is left for the next step to refuse."""
    return StepResult(replaced(columns[0], "-", r"^\s*([^\s+-][^+-]*?)\s*-\s*$", r"-\1"))


@step
def parentheses_minus(columns: list[pa.Array], _: StepContext) -> StepResult:
    """Bookkeeping's minus."""
    return StepResult(replaced(columns[0], "(", r"^\s*\(\s*([^\s()+-][^()]*?)\s*\)\s*$", r"-\1"))


@step
def percent_sign(columns: list[pa.Array], _: StepContext) -> StepResult:
    """The sign alone goes; 12.5 % stays 12.5."""
    return StepResult(replaced(columns[0], "%", "[\\s\u00a0\u202f]*%\\s*$", ""))


@step
def currency_sign(columns: list[pa.Array], _: StepContext) -> StepResult:
    """One sign at one end, or the step after it has something to refuse."""
    texts = pc.replace_substring_regex(columns[0], f"^\\s*{_SIGN}{_GAP}([^A-Z€$£¥₺]*)$", r"\1")
    return StepResult(
        pc.replace_substring_regex(texts, f"^([^A-Z€$£¥₺]*[^A-Z€$£¥₺\\s]){_GAP}{_SIGN}\\s*$", r"\1")
    )


@step
def decimal_exponent(columns: list[pa.Array], _: StepContext) -> StepResult:
    """A JSON number may be written 1.5E+2: exact, as long as its exponent is sane."""
    found = matched(
        columns[0], r"^[+-]?[0-9]{1,76}(?:\.[0-9]{1,76})?(?:[eE][+-]?[0-9]{1,3})?$", "not_a_number"
    )
    if not seen(found.values, "e", "E"):
        return found
    texts = [None if one is None else _written_out(one) for one in found.values.to_pylist()]
    values = pa.array(texts, pa.string())
    lost = pc.and_(pc.is_null(values), pc.is_valid(found.values))
    return StepResult(values, pc.or_(found.bad, lost) if found.bad else lost, "not_a_number")


@step
def implied_hundredths(columns: list[pa.Array], _: StepContext) -> StepResult:
    """Host files without a decimal mark."""
    found = matched(columns[0], "^[+-]?[0-9]+$", "not_a_number")
    sign, digits = _groups(found.values, "^(?P<a>[+-]?)(?P<b>[0-9]+)$")
    digits = pc.utf8_lpad(digits, 3, "0")
    whole, cents = pc.utf8_slice_codeunits(digits, 0, -2), pc.utf8_slice_codeunits(digits, -2)
    values = pc.binary_join_element_wise(sign, whole, ".", cents, "")
    return StepResult(values, found.bad, found.code)


@step
def negate(columns: list[pa.Array], _: StepContext) -> StepResult:
    """Signs differ between ledgers; zero keeps none."""
    text = columns[0]
    minus = pc.starts_with(text, "-")
    bare = pc.utf8_ltrim(text, "+-")
    zero = pc.match_substring_regex(text, _ZERO)
    signed = pc.binary_join_element_wise("-", bare, "")
    return StepResult(pc.if_else(pc.or_(minus, zero), bare, signed))


@step
def absolute(columns: list[pa.Array], _: StepContext) -> StepResult:
    """For a field whose sign another field tells."""
    return StepResult(pc.utf8_ltrim(columns[0], "+-"))


@step
def share_to_pct(columns: list[pa.Array], _: StepContext) -> StepResult:
    """Moves the point two places to the right."""
    sign, whole, part = _groups(columns[0], r"^(?P<a>[+-]?)(?P<b>[0-9]*)(?:\.(?P<c>[0-9]*))?$")
    part = pc.utf8_rpad(part, 3, "0")
    moved, rest = pc.utf8_slice_codeunits(part, 0, 2), pc.utf8_slice_codeunits(part, 2)
    return StepResult(pc.binary_join_element_wise(sign, whole, moved, ".", rest, ""))


@step
def zero_is_null(columns: list[pa.Array], _: StepContext) -> StepResult:
    """For an ERP that writes 0 and means nothing."""
    return StepResult(pc.if_else(pc.match_substring_regex(columns[0], _ZERO), None, columns[0]))


@step
def one_if_zero(columns: list[pa.Array], _: StepContext) -> StepResult:
    """For an ERP whose first break begins at 0."""
    return StepResult(pc.if_else(pc.match_substring_regex(columns[0], _ZERO), "1", columns[0]))


@step
def null_is_zero(columns: list[pa.Array], _: StepContext) -> StepResult:
    """For an ERP that leaves a zero out."""
    return StepResult(pc.fill_null(columns[0], "0"))


@step
def null_is_one(columns: list[pa.Array], _: StepContext) -> StepResult:
    """For an ERP that leaves a one out (price per 1)."""
    return StepResult(pc.fill_null(columns[0], "1"))


@step
def difference(columns: list[pa.Array], _: StepContext) -> StepResult:
    """NULL on either side gives NULL; more than six decimals are refused, not cut."""
    both = (pc.match_substring_regex(column, _SUBTRACTABLE) for column in columns)
    fits = pc.and_(*(pc.fill_null(one, pa.scalar(value=True)) for one in both))
    first, second = (split(column, fits, "too_many_digits") for column in columns)
    numbers = [pc.cast(one.values, pa.decimal128(30, 6)) for one in (first, second)]
    # with six decimals Arrow writes no exponent, so the text is canonical
    values = pc.cast(pc.subtract(numbers[0], numbers[1]), pa.string())
    return StepResult(values, first.bad, first.code)


def _comma(texts: pa.Array) -> StepResult:
    found = matched(texts, _COMMA, "not_a_number")
    values = found.values
    if seen(values, "."):
        values = pc.replace_substring(values, ".", "")
    values = pc.replace_substring(_without_spaces(values), ",", ".")
    return StepResult(values, found.bad, found.code)


def _point(texts: pa.Array) -> StepResult:
    found = matched(texts, _POINT, "not_a_number")
    values = _without_spaces(found.values)
    if seen(values, ","):
        values = pc.replace_substring(values, ",", "")
    return StepResult(values, found.bad, found.code)


def _groups(texts: pa.Array, pattern: str) -> list[pa.Array]:
    """The groups of a pattern as columns; null where the text is."""
    found = pc.extract_regex(texts, pattern)
    return [
        pc.if_else(pc.is_valid(texts), pc.fill_null(pc.struct_field(found, field.name), ""), None)
        for field in found.type
    ]


def _without_spaces(texts: pa.Array) -> pa.Array:
    if seen(texts, *_SPACE_MARKS):
        return pc.replace_substring_regex(texts, _SPACES, "")
    return texts


def _written_out(text: str) -> str | None:
    """A number without exponent, or None where that would be absurdly long."""
    number = Decimal(text)
    if abs(number.adjusted()) > _MOST_EXPONENT:
        return None
    return f"{number:f}"
