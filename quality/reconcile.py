"""Control totals: does what the ERP said agree with what landed, was read and is in the portal?

Plain numbers in, plain sentences out. Must not fetch a total itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Side = Literal["erp", "landed", "read", "accepted", "portal"]
"""`erp` declared by the ERP (count call, trailer, paging total) · `landed` counted in the landed
pages · `read` parsed out of them · `accepted` what the portal must hold after this run: accepted
records, and the last good rows kept for rejected and deferred keys · `portal` its live rows."""

MUST_AGREE: tuple[tuple[Side, Side], ...] = (
    ("erp", "landed"),
    ("erp", "read"),
    ("landed", "read"),
    ("accepted", "portal"),
)
"""Which sides are held against each other, each for the same part and name."""

_WORDS: dict[Side, str] = {
    "erp": "the ERP declared",
    "landed": "landed",
    "read": "were read",
    "accepted": "were expected in the portal",
    "portal": "are live in the portal",
}


@dataclass(frozen=True, slots=True)
class Total:
    """One figure of one side. `name` is `count` (records) or `sum:<field>`."""

    side: Side
    part: str
    name: str
    value: Decimal


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides of one total. `agrees` is None where the other side has no figure."""

    part: str
    name: str
    left: Total
    right: Total | None
    agrees: bool | None
    says: str

    @property
    def difference(self) -> Decimal | None:
        """Right minus left; None where there is no right."""
        return None if self.right is None else self.right.value - self.left.value


def compare(
    totals: Iterable[Total], tolerance: Decimal = Decimal(0), *, complete: bool = True
) -> list[Comparison]:
    """Every pair of `MUST_AGREE` that has figures, in the order of the totals.

    `complete`: the batch was a complete snapshot; without it the portal's whole is not compared.
    `tolerance` holds for sums; counts agree exactly or not at all. A figure of the ERP that nothing
    can be held against is given with `agrees=None`, so that it is not taken for agreement.
    ValueError where one side states the same total twice.
    """
    by_name: dict[tuple[str, str], dict[Side, Total]] = {}
    for total in totals:
        sides = by_name.setdefault((total.part, total.name), {})
        if total.side in sides:
            raise ValueError(f"{total.side} states {total.name} of {total.part} twice")
        sides[total.side] = total
    found: list[Comparison] = []
    for sides in by_name.values():
        pairs = [
            (sides[left], sides[right])
            for left, right in MUST_AGREE
            if left in sides and right in sides and (complete or right != "portal")
        ]
        found.extend(_compared(left, right, tolerance) for left, right in pairs)
        if "erp" in sides and not any(left.side == "erp" for left, _ in pairs):
            found.append(_alone(sides["erp"]))
    return found


def _compared(left: Total, right: Total, tolerance: Decimal) -> Comparison:
    allowed = Decimal(0) if left.name == "count" else tolerance
    gap = right.value - left.value
    agrees = abs(gap) <= allowed
    if agrees:
        says = f"{left.part} {_name(left)}: {_figure(left)} and {_figure(right)}."
    else:
        less = "fewer" if left.name == "count" else "less"
        more_or_less = "more" if gap > 0 else less
        says = (
            f"{left.part} {_name(left)}: {_figure(left)} but {_figure(right)}, "
            f"{_plain(abs(gap))} {more_or_less}."
        )
    return Comparison(left.part, left.name, left, right, agrees, says)


def _alone(total: Total) -> Comparison:
    says = f"{total.part} {_name(total)}: {_figure(total)}; nothing here to hold it against."
    return Comparison(total.part, total.name, total, None, None, says)


def _name(total: Total) -> str:
    return "count" if total.name == "count" else f"sum of {total.name.removeprefix('sum:')}"


def _figure(total: Total) -> str:
    if total.side == "erp":
        return f"{_WORDS['erp']} {_plain(total.value)}"
    return f"{_plain(total.value)} {_WORDS[total.side]}"


def _plain(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
