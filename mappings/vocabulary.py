"""The words in which a feed is declared: fields, parts, checks, references, guards.

A declaration is data: `transforms` turns a field's type into an Arrow type, `portal_db` into a
column, `quality` turns a check into a row mask and into a Great Expectations expectation. This
module must not import anything heavy and must not judge, map or store anything itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Literal, LiteralString

Type = Literal[
    "text",  # str
    "code",  # text out of a closed list
    "int",  # int64
    "qty",  # NUMERIC(18,6)
    "price",  # NUMERIC(18,6)
    "money",  # NUMERIC(18,4)
    "pct",  # NUMERIC(9,6); 10 means 10 %
    "date",  # in the ERP's time zone
    "instant",  # UTC, microseconds
    "bool",
    "ccy",  # ISO 4217
    "json",  # text holding a JSON object
    "texts",  # list of text
    "codes",  # list of codes out of a closed list
]
"""The types of `feeds.md`; decimals are exact everywhere, (precision, scale) in `DECIMALS`."""

DECIMALS: dict[str, tuple[int, int]] = {
    "qty": (18, 6),
    "price": (18, 6),
    "money": (18, 4),
    "pct": (9, 6),
}

Need = Literal["R", "C", "-"]
"""R required, C required under the condition that a check names, - optional."""


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a part, declared once. `name` is ours.

    Names that become columns and tables are literal text: no value can get into a statement.
    """

    name: LiteralString
    type: Type
    need: Need
    meaning: str
    codes: tuple[str, ...] = ()
    absent: str | None = None
    """What an absent value becomes, as text of the type (`0001-01-01`); None is NULL."""
    copied_from: tuple[LiteralString, LiteralString] | None = None
    """(part, field): filled by the loader from the root or the referenced row; never mapped."""
    derived_from: LiteralString | None = None
    """Filled by the loader: that field with NULL as '' (a key column must not be NULL)."""
    personal: bool = False

    @property
    def mapped(self) -> bool:
        """True where a mapping must say something about this field."""
        return self.copied_from is None and self.derived_from is None


@dataclass(frozen=True, slots=True)
class When:
    """A condition on another field of the same record; a check without one always applies."""

    field: LiteralString
    is_: Literal["in", "not_in", "present", "absent"]
    values: tuple[LiteralString, ...] = ()


@dataclass(frozen=True, slots=True)
class RowCheck:
    """A check that depends on the record alone. `says` is what an operator reads when it fails.

    kinds and their arguments:
      not_null(field)                      null fails
      is_null(field)                       a value fails
      one_of(field, values)                null passes; for lists every element
      between(field, low, high)            inclusive, either may be None; null passes
      above(field, low)                    strictly greater; null passes
      matches(field, pattern)              whole value, RE2 syntax; null passes
      before(field, other)                 field < other; a null on either side passes
      not_after(field, other)              field <= other; a null on either side passes
      same_sign_within(field, other)       |field| <= |other| and not of opposite sign; nulls pass
    """

    id: str
    kind: Literal[
        "not_null",
        "is_null",
        "one_of",
        "between",
        "above",
        "matches",
        "before",
        "not_after",
        "same_sign_within",
    ]
    field: str
    says: str
    other: str | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    pattern: str | None = None
    values: tuple[str, ...] = ()
    when: tuple[When, ...] = ()


@dataclass(frozen=True, slots=True)
class SumCheck:
    """The children's `child_field` must add up to the root's `field` (null root value passes).

    Judged with the whole document: a root without any child of that part passes.
    """

    id: str
    field: LiteralString
    child: LiteralString
    child_field: LiteralString
    says: str
    tolerance: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Reference:
    """`field` must name a live row of part `to` (its key), in the code space the mapping names."""

    field: LiteralString
    to: LiteralString
    when: tuple[When, ...] = ()


@dataclass(frozen=True, slots=True)
class ChangeCheck:
    """Old against new of a changed row: new/old in `factors` is a separator suspect."""

    id: str
    field: LiteralString
    says: str
    factors: tuple[Decimal, ...] = (Decimal(10), Decimal(100), Decimal("0.1"), Decimal("0.01"))
    same: tuple[LiteralString, ...] = ()
    """Fields that must be unchanged for the comparison to mean anything (currency, uom, per)."""


@dataclass(frozen=True, slots=True)
class Part:
    """One table. A part without `parent` is a root; a child lives and dies with its root."""

    name: LiteralString
    meaning: str
    key: tuple[LiteralString, ...]
    fields: tuple[Field, ...]
    parent: LiteralString | None = None
    parent_field: LiteralString | None = None
    """The column of a child that holds its root's key; filled by the loader."""
    checks: tuple[RowCheck, ...] = ()
    sums: tuple[SumCheck, ...] = ()
    references: tuple[Reference, ...] = ()
    changes: tuple[ChangeCheck, ...] = ()
    amount: LiteralString | None = None
    """The field that control totals add up (reconciliation)."""
    owned: bool = False
    """Dealer-owned: forced row-level security on dealer_key and account_key."""
    feed: str = ""

    def field(self, name: str) -> Field:
        """The declaration of one column; KeyError where there is none."""
        for one in self.fields:
            if one.name == name:
                return one
        raise KeyError(f"{self.name} has no field {name}")

    @property
    def mapped_fields(self) -> tuple[Field, ...]:
        """What a mapping must speak about, in order."""
        return tuple(f for f in self.fields if f.mapped and f.name != self.parent_field)

    @property
    def row_checks(self) -> tuple[RowCheck, ...]:
        """The declared checks plus those that follow from need and codes."""
        implied: list[RowCheck] = []
        for f in self.fields:
            if f.need == "R" and f.mapped and f.name != self.parent_field and f.absent is None:
                implied.append(
                    RowCheck(f"{f.name}_missing", "not_null", f.name, f"{f.name} is required")
                )
            if f.codes:
                allowed = ", ".join(f.codes)
                implied.append(
                    RowCheck(
                        f"{f.name}_unknown_code",
                        "one_of",
                        f.name,
                        f"{f.name} must be one of {allowed}",
                        values=f.codes,
                    )
                )
            if f.type == "ccy":
                implied.append(
                    RowCheck(
                        f"{f.name}_not_iso4217",
                        "matches",
                        f.name,
                        f"{f.name} must be three capital letters (ISO 4217)",
                        pattern="[A-Z]{3}",
                    )
                )
        return (*implied, *self.checks)


@dataclass(frozen=True, slots=True)
class Guards:
    """Limits that stop a whole batch; every one a share between 0 and 1 unless it says otherwise.

    A mapping may override any of them. None switches nothing off: it is not allowed.
    """

    rejected_share: Decimal = Decimal("0.05")
    """More than this share of read root records rejected (deferred ones do not count)."""
    rejected_least: int = 10
    """… and at least this many, so that 1 bad row of 3 does not hold a feed."""
    fall_share: Decimal = Decimal("0.20")
    """A complete snapshot with this much fewer live rows than the portal holds in its scope."""
    changed_share: Decimal = Decimal("0.30")
    """More than this share of prices changed …"""
    changed_by: Decimal = Decimal("0.25")
    """… by more than this share of their old value."""
    suspect_share: Decimal = Decimal("0.005")
    """More than this share of changed rows failing a change check …"""
    suspect_least: int = 20
    """… and at least this many; fewer are quarantined singly."""
    empty: bool = False
    """True lets an empty complete snapshot through (never by default)."""


@dataclass(frozen=True, slots=True)
class Feed:
    """What the portal needs, of which parts it consists, and when it is due."""

    name: str
    meaning: str
    parts: tuple[Part, ...]
    main: LiteralString
    """The root part that a mapping's feed-level `source` and `fields` speak about."""
    schedule: str
    promise_minutes: int
    """Older than this, the feed is late (`portal.feed_status`)."""
    requires: tuple[str, ...] = ()
    guards: Guards = field(default_factory=Guards)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(replace(p, feed=self.name) for p in self.parts))

    def part(self, name: str) -> Part:
        """The declaration of one part; KeyError where there is none."""
        for one in self.parts:
            if one.name == name:
                return one
        raise KeyError(f"{self.name} has no part {name}")

    @property
    def roots(self) -> tuple[Part, ...]:
        """Parts without a parent, in loading order."""
        return tuple(p for p in self.parts if p.parent is None)

    def children(self, root: str) -> tuple[Part, ...]:
        """The parts that live inside one root."""
        return tuple(p for p in self.parts if p.parent == root)
