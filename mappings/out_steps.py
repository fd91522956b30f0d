"""The closed list of out-steps: how an ERP wants a value of ours written.

Each takes one canonical text (`1234.5`, `2026-01-31`, `2026-01-31T10:00:00Z`, `true`) and gives
one. Declares only: `transforms/outward.py` holds a function of the same name for each, and a test
holds both lists against each other and executes every example.
"""

from __future__ import annotations

from dataclasses import dataclass

from mappings.vocabulary import Type


@dataclass(frozen=True, slots=True)
class OutStep:
    """`needs`: the types it can stand behind, or `text` for whatever comes out of another step."""

    name: str
    needs: tuple[Type, ...]
    says: str
    example: tuple[str, str]


_NUMBERS: tuple[Type, ...] = ("int", "qty", "price", "money", "pct")

_STEPS = (
    OutStep("decimal_comma_text", _NUMBERS, "Decimal comma, no thousands.", ("1234.50", "1234,50")),
    OutStep(
        "dotted_thousands_text",
        _NUMBERS,
        "Decimal comma and dots between thousands.",
        ("1234567.5", "1.234.567,5"),
    ),
    OutStep(
        "trailing_minus_text", _NUMBERS, "The minus stands behind the number.", ("-12.5", "12.5-")
    ),
    OutStep("two_decimals_text", _NUMBERS, "At least two decimals.", ("1234.5", "1234.50")),
    OutStep("yyyymmdd_text", ("date",), "20260131.", ("2026-01-31", "20260131")),
    OutStep("dotted_date_text", ("date",), "31.01.2026.", ("2026-01-31", "31.01.2026")),
    OutStep(
        "sap_timestamp_text",
        ("instant",),
        "20260131100000, UTC.",
        ("2026-01-31T10:00:00Z", "20260131100000"),
    ),
    OutStep(
        "local_instant_text",
        ("instant",),
        "2026-01-31 11:00:00, the ERP's own time.",
        ("2026-01-31T10:00:00Z", "2026-01-31 11:00:00"),
    ),
    OutStep(
        "dotted_instant_text",
        ("instant",),
        "31.01.2026 11:00:00, the ERP's own time.",
        ("2026-01-31T10:00:00Z", "31.01.2026 11:00:00"),
    ),
    OutStep("six_digits_text", ("int",), "Leading zeros up to six digits.", ("10", "000010")),
    OutStep("upper_text", ("text", "code", "ccy"), "a to z become capitals.", ("eur", "EUR")),
    OutStep(
        "one_line_text",
        ("text",),
        "Line breaks and runs of white space become one space.",
        ("a\nb", "a b"),
    ),
)

OUT_STEPS: dict[str, OutStep] = {one.name: one for one in _STEPS}
"""Out-step name → declaration."""
