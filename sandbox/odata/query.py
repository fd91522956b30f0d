"""System query options: $filter as row masks, the rest as plain facts. Knows no HTTP.

What this service does not support is `Unsupported` (501), what it does not understand is
`Misunderstood` (400): never an option ignored.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sandbox.odata.entities import Entity
from sandbox.odata.rows import wire_column

_TOKEN = re.compile(r"\s*(?:(\()|(\))|('(?:[^']|'')*')|([^\s()']+))")
_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": pc.equal,
    "ne": pc.not_equal,
    "gt": pc.greater,
    "ge": pc.greater_equal,
    "lt": pc.less,
    "le": pc.less_equal,
}
KNOWN = frozenset({"$filter", "$expand", "$count", "$orderby", "$skiptoken", "$format"})


class MisunderstoodError(Exception):
    """The query names what is not there or is not well-formed."""


class UnsupportedError(Exception):
    """A standard option that this service does not offer."""


@dataclass(frozen=True)
class Comparison:
    """property op literal, the literal as it was written."""

    name: str
    operator: str
    text: str


@dataclass(frozen=True)
class Query:
    """What a request asks of one entity set."""

    comparisons: tuple[Comparison, ...]
    expand: tuple[str, ...]
    count: bool
    skiptoken: str | None

    @property
    def is_delta(self) -> bool:
        """True where it asks for what changed since some instant."""
        return any(
            one.name == "ModifiedAt" and one.operator in {"ge", "gt"} for one in self.comparisons
        )


def understood(options: Mapping[str, str], entity: Entity) -> Query:
    """The query of one request. MisunderstoodError, UnsupportedError."""
    for name in options:
        if name.startswith("$") and name not in KNOWN:
            raise UnsupportedError(f"The query option {name} is not supported.")
    order = options.get("$orderby", "").replace(" asc", "").replace(" ", "")
    if order and tuple(order.split(",")) != entity.key:
        raise UnsupportedError(f"Sorted by {','.join(entity.key)} only.")
    expand = tuple(one.strip() for one in options.get("$expand", "").split(",") if one.strip())
    for one in expand:
        if one not in entity.navigation:
            raise MisunderstoodError(f"Could not find a property named '{one}'.")
    comparisons = _parsed(options["$filter"]) if options.get("$filter") else ()
    for comparison in comparisons:
        if entity.column_of(comparison.name) is None:
            raise MisunderstoodError(f"Could not find a property named '{comparison.name}'.")
    count = options.get("$count", "false")
    if count not in {"true", "false"}:
        raise MisunderstoodError("$count must be true or false.")
    return Query(comparisons, expand, count == "true", options.get("$skiptoken"))


def selected(table: pa.Table, entity: Entity, comparisons: Sequence[Comparison]) -> pa.Table:
    """The rows for which all comparisons hold."""
    for one in comparisons:
        column = entity.column_of(one.name)
        values = wire_column(table, str(column))
        table = table.filter(_COMPARE[one.operator](values, _scalar(one.text, values.type)))
    return table


def selected_removed(table: pa.Table, comparisons: Sequence[Comparison]) -> pa.Table:
    """The deletion markers that a delta asks for: only their time is known."""
    for one in comparisons:
        if one.name == "ModifiedAt":
            values = table["modified_at"]
            table = table.filter(_COMPARE[one.operator](values, _scalar(one.text, values.type)))
    return table


def _parsed(text: str) -> tuple[Comparison, ...]:
    tokens: list[str] = []
    at = 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None:
            raise MisunderstoodError(f"$filter is not understood at position {at}.")
        tokens.append(found.group().strip())
        at = found.end()
    comparisons, rest = _conjunction(tokens)
    if rest:
        raise MisunderstoodError(f"$filter is not understood at '{rest[0]}'.")
    return tuple(comparisons)


def _conjunction(tokens: list[str]) -> tuple[list[Comparison], list[str]]:
    comparisons: list[Comparison] = []
    while True:
        if tokens and tokens[0] == "(":
            inner, tokens = _conjunction(tokens[1:])
            if tokens[:1] != [")"]:
                raise MisunderstoodError("$filter: a parenthesis is not closed.")
            comparisons += inner
            tokens = tokens[1:]
        elif len(tokens) >= 3 and tokens[1] in _COMPARE:  # noqa: PLR2004  property, operator, literal
            comparisons.append(Comparison(*tokens[:3]))
            tokens = tokens[3:]
        else:
            raise MisunderstoodError("$filter: expected a property, an operator and a literal.")
        if tokens[:1] != ["and"]:
            return comparisons, tokens
        tokens = tokens[1:]


def _scalar(text: str, kind: pa.DataType) -> pa.Scalar:
    try:
        if text == "null":
            return pa.scalar(None, kind)
        if pa.types.is_string(kind):
            return pa.scalar(_unquoted(text))
        if pa.types.is_timestamp(kind):
            return pa.scalar(_instant(text), kind)
        if pa.types.is_date(kind):
            return pa.scalar(date.fromisoformat(text))
        if pa.types.is_boolean(kind):
            return pa.scalar({"true": True, "false": False}[text])
        return pa.scalar(Decimal(text)).cast(kind)
    except (ValueError, KeyError, InvalidOperation, pa.ArrowInvalid) as error:
        message = f"'{text}' is not a literal of the property's type."
        raise MisunderstoodError(message) from error


def _unquoted(text: str) -> str:
    if not text.startswith("'"):
        raise ValueError(text)
    return text[1:-1].replace("''", "'")


def _instant(text: str) -> datetime:
    found = re.fullmatch(r"(.{10}T[\d:]{5,8})(?:\.(\d{1,12}))?(Z|[+-]\d\d:\d\d)", text)
    if found is None:
        raise ValueError(text)
    clock, fraction, zone = found.groups()
    moment = datetime.fromisoformat(clock + zone).astimezone(UTC)
    return moment.replace(microsecond=int(((fraction or "") + "000000")[:6]))
