"""The field types of a feed as Arrow types, and the strict last step from text to them.

Nothing is rounded, guessed or coerced: what is no canonical text of the type is null and bad.
"""

from __future__ import annotations

import json
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from mappings.vocabulary import DECIMALS, Type
from transforms.parsing import clocks, decimals, integers, iso_dates, printed, split, trimmed
from transforms.registry import FORBIDDEN_CHARACTER, StepResult

INSTANT = pa.timestamp("us", tz="UTC")
_MOST_EXPONENT = 1000

ARROW: dict[Type, pa.DataType] = {
    "text": pa.string(),
    "code": pa.string(),
    "int": pa.int64(),
    "qty": pa.decimal128(*DECIMALS["qty"]),
    "price": pa.decimal128(*DECIMALS["price"]),
    "money": pa.decimal128(*DECIMALS["money"]),
    "pct": pa.decimal128(*DECIMALS["pct"]),
    "date": pa.date32(),
    "instant": INSTANT,
    "bool": pa.bool_(),
    "ccy": pa.string(),
    "json": pa.string(),
    "texts": pa.list_(pa.string()),
    "codes": pa.list_(pa.string()),
}
"""Field type → Arrow type; decimals are decimal128(precision, scale)."""


def typed(values: pa.Array, type_name: Type, *, canonical: bool = False) -> list[StepResult]:
    """A column as the type. Each result names one kind of bad rows; the last holds the values.

    Values that are bad in an earlier result are null in the last one too. `canonical`: a step gave
    numbers already.
    """
    target = ARROW[type_name]
    if values.type != pa.string():
        return [StepResult(values if values.type == target else pc.cast(values, target))]
    if type_name in DECIMALS:
        return decimals(values, type_name, canonical=canonical)
    if type_name == "int":
        return integers(values)
    if type_name == "date":
        return [iso_dates(values)]
    if type_name == "instant":
        results = clocks(values, offset=True)
        last = results[-1]
        return [results[0], StepResult(last.values.cast(INSTANT), last.bad, last.code)]
    if type_name == "bool":
        return [booleans(values, "true", "false")]
    if type_name in ("texts", "codes"):
        return [lists(values)]
    return [json_objects(values) if type_name == "json" else plain_texts(values)]


def booleans(texts: pa.Array, true: str, false: str) -> StepResult:
    """Two words as bool; blank is null, anything else `not_a_bool`."""
    texts = trimmed(texts)
    is_true = pc.equal(texts, true)
    known = pc.or_(is_true, pc.equal(texts, false))
    return split(is_true, known, "not_a_bool")


def plain_texts(texts: pa.Array) -> StepResult:
    """Text as it is; blank is null, and a NUL character (PostgreSQL has none) is bad."""
    plain = printed(texts)
    blank = pc.equal(texts if plain else pc.utf8_trim_whitespace(texts), "")
    if pc.any(blank).as_py():
        texts = pc.if_else(blank, None, texts)
    if plain:
        return StepResult(texts)
    return split(texts, pc.invert(pc.match_substring(texts, "\x00")), FORBIDDEN_CHARACTER)


def lists(texts: pa.Array) -> StepResult:
    """The parts between U+001F; parts are stripped, blank ones fall away, none left is null."""
    return list_of(texts, "\x1f")


def list_of(texts: pa.Array, pattern: str) -> StepResult:
    """The parts between matches of a regular expression, as in `lists`."""
    first = plain_texts(texts)
    if first.values.null_count == len(first.values):
        return StepResult(pa.nulls(len(texts), pa.list_(pa.string())), first.bad, first.code)
    lists_ = [
        [part.strip() for part in parts if part.strip()] or None if parts is not None else None
        for parts in pc.split_pattern_regex(first.values, pattern).to_pylist()
    ]
    return StepResult(pa.array(lists_, pa.list_(pa.string())), first.bad, first.code)


def json_objects(texts: pa.Array) -> StepResult:
    """Texts that hold a JSON object which PostgreSQL's jsonb takes; others `not_a_json_object`."""
    texts = trimmed(texts)
    fits = pa.array(
        [None if text is None else _is_object(text) for text in texts.to_pylist()], pa.bool_()
    )
    return split(texts, fits, "not_a_json_object")


def _is_object(text: str) -> bool:
    try:
        value = json.loads(text, parse_float=_bounded, parse_constant=_bounded)
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except (ValueError, ArithmeticError, RecursionError):
        return False
    return isinstance(value, dict) and "\x00" not in text and "\\u0000" not in text


def _bounded(text: str) -> Decimal:
    """A number with an exponent that a database can hold. Raises ValueError, ArithmeticError."""
    number = Decimal(text)
    if not number.is_finite() or abs(number.adjusted()) > _MOST_EXPONENT:
        raise ValueError(text)
    return number
