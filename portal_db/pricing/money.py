"""Rounding: rationals to decimals, once, by a currency's minor units. Exact until then."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Literal

Rounding = Literal["half_up", "half_even"]

# ISO 4217: currencies whose minor unit is not a hundredth
_MINOR = {
    **dict.fromkeys(
        (
            *("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX"),
            *("UYI", "VND", "VUV", "XAF", "XOF", "XPF"),
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}


def minor_units(currency: str) -> int:
    """Decimal places of a currency's amounts."""
    return _MINOR.get(currency, 2)


def rounded(value: Fraction, places: int, rounding: Rounding) -> Decimal:
    """The value with `places` decimals; a half goes away from zero, or to the even neighbour."""
    scaled = abs(value) * 10**places
    whole, rest = divmod(scaled.numerator, scaled.denominator)
    twice = 2 * rest
    up = twice > scaled.denominator or (
        twice == scaled.denominator and (rounding == "half_up" or whole % 2 == 1)
    )
    sign = -1 if value < 0 else 1
    return Decimal(sign * (whole + up)).scaleb(-places)


def shown(value: Fraction, currency: str) -> Decimal:
    """A unit price for people: two digits more than the currency has. Never added up."""
    return rounded(value, minor_units(currency) + 2, "half_up")
