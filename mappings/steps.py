"""The closed list of steps that `through` may name: what each takes, gives and does.

Declares only: `transforms/` holds one function of the same name for each, and a test holds both
lists against each other and executes every example. To add a step: one line in `_STEPS` here, one
function under `transforms/` decorated with `@step`. This module must not import Arrow.

Between steps flow *kinds*: `text`; `number` (canonical decimal text, `-1234.50`); `date`,
`instant`, `bool` (typed columns); `texts` (lists). A step that takes one column and stands before
one that takes several is applied to each of the columns named in `from`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mappings.vocabulary import Type

Kind = Literal["text", "number", "date", "instant", "bool", "texts"]

ANY = 0
"""As `takes`: one column or more."""

ACCEPTED: dict[Type, tuple[Kind, ...]] = {
    "text": ("text", "number"),
    "code": ("text",),
    "int": ("text", "number"),
    "qty": ("text", "number"),
    "price": ("text", "number"),
    "money": ("text", "number"),
    "pct": ("text", "number"),
    "date": ("text", "date"),
    "instant": ("text", "instant"),
    "bool": ("text", "bool"),
    "ccy": ("text",),
    "json": ("text",),
    "texts": ("text", "texts"),
    "codes": ("text", "texts"),
}
"""Which kinds the last step may give to a field of each type."""


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One step. `takes`: number of columns, 0 for one or more. `needs` and `gives`: kinds.

    `example`: the texts that come in (None = absent) and what comes out, written canonically
    (`-1234.50`, `2026-01-31`, `2026-01-31T10:00:00Z`, `true`, `a|b` for lists, None for NULL).
    """

    name: str
    takes: int
    needs: Kind
    gives: Kind
    says: str
    example: tuple[tuple[str | None, ...], str | None]


def _one(
    name: str, gives: Kind, says: str, came: str | None, goes: str | None, needs: Kind = "text"
) -> StepSpec:
    return StepSpec(name, 1, needs, gives, says, ((came,), goes))


_STEPS: tuple[StepSpec, ...] = (
    # texts
    _one("strip", "text", "Removes white space (NBSP too) at both ends.", "  A1 ", "A1"),
    _one("upper", "text", "a to z become capitals; no other letter changes.", "eur", "EUR"),
    _one("lower", "text", "A to Z become small; no other letter changes.", "EUR", "eur"),
    _one("empty_is_null", "text", "Blank becomes NULL (typing does that too).", "  ", None),
    _one("null_word", "text", "The word NULL, however cased, becomes NULL.", "NULL", None),
    _one(
        "strip_leading_zeros",
        "text",
        "Removes leading zeros of purely numeric text; any other text stays.",
        "0000004711",
        "4711",
    ),
    _one(
        "plain_code",
        "text",
        "Rejects a code that a spreadsheet turned into scientific notation (8,69E+12).",
        "8690000000001",
        "8690000000001",
    ),
    _one("last_segment", "text", "What follows the last / of a path.", "out/pdf/1.pdf", "1.pdf"),
    StepSpec(
        "first_present", ANY, "text", "text", "The first that is not blank.", (("", "B"), "B")
    ),
    StepSpec(
        "join_key",
        ANY,
        "text",
        "text",
        r"A composed key: joined by |, with | and \ inside a part escaped; all blank is NULL.",
        (("L", "a|b", None), "L|a\\|b|"),
    ),
    StepSpec(
        "join_text",
        ANY,
        "text",
        "text",
        "Those not blank, joined by a space.",
        (("A", "", "B"), "A B"),
    ),
    StepSpec(
        "json_object",
        ANY,
        "text",
        "text",
        "A JSON object of those not blank, each under the last name of its path.",
        (("1.5", None), '{"c1":"1.5"}'),
    ),
    _one(
        "split_list",
        "texts",
        "Splits at | or , or U+001F; blank parts fall away.",
        "a, b|c",
        "a|b|c",
    ),
    _one("split_bars", "texts", "Splits at | alone; blank parts fall away.", "a, b|c", "a, b|c"),
    # flags
    _one("x_flag", "bool", "X is true, blank is false; anything else is rejected.", "X", "true"),
    _one("yes_no", "bool", "Y, YES, N, NO, however cased.", "y", "true"),
    _one("true_false", "bool", "TRUE or FALSE, however cased.", "False", "false"),
    _one("one_zero", "bool", "1 is true, 0 is false.", "0", "false"),
    _one(
        "blank_is_false",
        "text",
        "Present but blank becomes false; absent stays NULL.",
        " ",
        "false",
    ),
    _one("null_is_false", "text", "Absent becomes false.", None, "false"),
    _one(
        "false_is_null",
        "text",
        "A text false becomes NULL: Odoo's way to say empty.",
        "false",
        None,
    ),
    _one(
        "not_null_flag",
        "bool",
        "True where there is a text, false where blank or absent.",
        "x",
        "true",
    ),
    _one("not_flag", "bool", "Turns a flag round.", "true", "false", "bool"),
    # numbers
    _one("decimal_point", "number", "1234.50; no thousands, no exponent.", "1234.50", "1234.50"),
    _one(
        "decimal_comma",
        "number",
        "1.234,50 or 1234,50; thousands by dot, apostrophe or (narrow) NBSP in right groups.",
        "1.234,50",
        "1234.50",
    ),
    _one(
        "thousands_comma",
        "number",
        "1,234.50 or 1234.50; groups must be right.",
        "1,234.50",
        "1234.50",
    ),
    _one(
        "either_mark",
        "number",
        "A source without a declared decimal mark: what can be read two ways (1.234) is rejected.",
        "1.234,50",
        "1234.50",
    ),
    _one("trailing_minus", "text", "12.50- becomes -12.50.", "12,50-", "-12,50"),
    _one("parentheses_minus", "text", "(12.50) becomes -12.50.", "(12,50)", "-12,50"),
    _one(
        "currency_sign",
        "text",
        "Removes one of € $ £ ¥ ₺ or three capitals, or TL, at either end.",
        "€ 12,50",
        "12,50",
    ),
    StepSpec(
        "decimal_marked",
        2,
        "text",
        "number",
        "A number whose decimal mark (, or .) is the second column's text, as EDIFACT's UNA says.",
        (("1234,5", ","), "1234.5"),
    ),
    _one("percent_sign", "text", "Removes one % at the end.", "12,5 %", "12,5"),
    _one("decimal_exponent", "number", "Reads 1.5E+2 too, exactly.", "1.5E+2", "150"),
    _one("implied_hundredths", "number", "The last two digits are decimals.", "-12345", "-123.45"),
    _one("negate", "number", "Turns the sign.", "12.50", "-12.50", "number"),
    _one("absolute", "number", "Drops the sign.", "-12.50", "12.50", "number"),
    _one("share_to_pct", "number", "0.15 becomes 15.", "0.15", "15", "number"),
    _one("zero_is_null", "number", "0 becomes NULL.", "0.00", None, "number"),
    _one(
        "one_if_zero",
        "number",
        "0 becomes 1 (a first quantity of 0 means any).",
        "0.00",
        "1",
        "number",
    ),
    _one(
        "null_is_zero",
        "number",
        "Absent or blank becomes 0; only where the ERP means it.",
        None,
        "0",
        "number",
    ),
    _one("null_is_one", "number", "Absent or blank becomes 1.", None, "1", "number"),
    StepSpec(
        "minus_if_marked",
        2,
        "text",
        "text",
        "The first, its sign turned where the second is not blank (credit notes of UBL).",
        (("12.50", "381"), "-12.50"),
    ),
    StepSpec(
        "difference",
        2,
        "number",
        "number",
        "The first less the second, exactly.",
        (("10.5", "3"), "7.5"),
    ),
    # dates; 0000-00-00 and everything from 9999-12-31 on are open ends: NULL
    _one(
        "yyyymmdd",
        "date",
        "20260131; zeros, blank and from 99991231 on are NULL.",
        "20260131",
        "2026-01-31",
    ),
    _one("iso_date", "date", "2026-01-31.", "2026-01-31", "2026-01-31"),
    _one("dotted_date", "date", "31.01.2026, day first.", "31.01.2026", "2026-01-31"),
    _one("us_date", "date", "01/31/2026, month first.", "01/31/2026", "2026-01-31"),
    _one(
        "excel_serial_date",
        "date",
        "Days of Excel's calendar from 1900 on (46053); a part of a day is rejected.",
        "46053",
        "2026-01-31",
    ),
    StepSpec(
        "edifact_date",
        2,
        "text",
        "date",
        "A DTM value and its format code: 102, 203, 204, 303 (the day of it), 101 is rejected.",
        (("20260131", "102"), "2026-01-31"),
    ),
    StepSpec(
        "edifact_instant",
        2,
        "text",
        "instant",
        "A DTM value and its format code: 203, 204 in the ERP's zone, 303 in its own, 102 at 0:00.",
        (("202601311200", "203"), "2026-01-31T11:00:00Z"),
    ),
    _one(
        "midnight_date",
        "date",
        "A date written as its midnight (2026-01-31T00:00:00, Z or not); another time is rejected.",
        "2026-01-31T00:00:00",
        "2026-01-31",
    ),
    _one(
        "date_end_inclusive",
        "date",
        "The last valid day becomes the first day after; open ends stay NULL.",
        "2026-01-31",
        "2026-02-01",
        "date",
    ),
    _one(
        "local_date",
        "date",
        "The day of an instant in the ERP's zone.",
        "2026-01-31T23:30:00Z",
        "2026-02-01",
        "instant",
    ),
    StepSpec(
        "plus_days",
        2,
        "text",
        "date",
        "ISO date plus a number of days.",
        (("2026-01-31", "7"), "2026-02-07"),
    ),
    StepSpec(
        "yyyymmdd_plus_days",
        2,
        "text",
        "date",
        "The same from 20260131.",
        (("20260131", "7"), "2026-02-07"),
    ),
    StepSpec(
        "dotted_plus_days",
        2,
        "text",
        "date",
        "The same from 31.01.2026.",
        (("31.01.2026", "7"), "2026-02-07"),
    ),
    # instants
    _one(
        "iso_instant",
        "instant",
        "ISO 8601 with offset or Z.",
        "2026-01-31T12:00:00+02:00",
        "2026-01-31T10:00:00Z",
    ),
    _one(
        "local_instant",
        "instant",
        "Local time of the ERP's zone, no offset; twice there: the earlier; never there: rejected.",
        "2026-01-31 11:00:00",
        "2026-01-31T10:00:00Z",
    ),
    _one(
        "dotted_instant",
        "instant",
        "31.01.2026 11:00 (or with seconds), local time as above.",
        "31.01.2026 11:00",
        "2026-01-31T10:00:00Z",
    ),
    StepSpec(
        "sap_instant",
        2,
        "text",
        "instant",
        "Date 20260131 and time 110000, local time; 00000000 is NULL.",
        (("20260131", "110000"), "2026-01-31T10:00:00Z"),
    ),
    _one(
        "sap_timestamp", "instant", "20260131100000, UTC.", "20260131100000", "2026-01-31T10:00:00Z"
    ),
    _one(
        "odata_epoch",
        "instant",
        "/Date(1769853600000)/, OData v2.",
        "/Date(1769853600000)/",
        "2026-01-31T10:00:00Z",
    ),
    _one(
        "cut_to_micros",
        "text",
        "Cuts a time's digits beyond the sixth (clocks that count 100 ns).",
        "2026-01-31T10:00:00.1234567Z",
        "2026-01-31T10:00:00.123456Z",
    ),
    StepSpec(
        "instant_or_midnight",
        2,
        "text",
        "instant",
        "ISO instant with offset; where it is blank, the first instant of the ISO date beside it.",
        (("", "2026-01-31"), "2026-01-30T23:00:00Z"),
    ),
    _one(
        "midnight_of",
        "instant",
        "The first instant of a day in the ERP's zone.",
        "2026-01-31",
        "2026-01-30T23:00:00Z",
        "date",
    ),
)

STEPS: dict[str, StepSpec] = {one.name: one for one in _STEPS}
"""Step name → declaration."""
