"""Steps over texts: trimming, joining, choosing, splitting. See `mappings/steps.py` for each."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.compute as pc

from transforms.parsing import split, trimmed
from transforms.registry import StepContext, StepResult, step
from transforms.types import list_of

KEY_SEPARATOR = "|"
_CONTROL = r"[\x00-\x1f]"


@step
def strip(columns: list[pa.Array], _: StepContext) -> StepResult:
    """Without white space at both ends; blank stays a present, empty text."""
    return StepResult(pc.utf8_trim_whitespace(columns[0]))


@step
def upper(columns: list[pa.Array], _: StepContext) -> StepResult:
    """ASCII only: a Turkish i in a key must not turn into another letter."""
    return StepResult(pc.ascii_upper(columns[0]))


@step
def lower(columns: list[pa.Array], _: StepContext) -> StepResult:
    """ASCII only, as `upper`."""
    return StepResult(pc.ascii_lower(columns[0]))


@step
def empty_is_null(columns: list[pa.Array], _: StepContext) -> StepResult:
    """Blank becomes NULL, other text keeps its white space."""
    blank = pc.equal(pc.utf8_trim_whitespace(columns[0]), "")
    return StepResult(pc.if_else(blank, None, columns[0]))


@step
def null_word(columns: list[pa.Array], _: StepContext) -> StepResult:
    """Exports that write the word NULL for it."""
    word = pc.equal(pc.ascii_upper(pc.utf8_trim_whitespace(columns[0])), "NULL")
    return StepResult(pc.if_else(word, None, columns[0]))


@step
def strip_leading_zeros(columns: list[pa.Array], _: StepContext) -> StepResult:
    """As SAP's ALPHA conversion: only purely numeric text is cut; zeros alone become 0."""
    return StepResult(pc.replace_substring_regex(columns[0], r"^\s*0+([0-9]+)\s*$", r"\1"))


@step
def plain_code(columns: list[pa.Array], _: StepContext) -> StepResult:
    """A number in scientific notation has lost its digits: it must not become a key."""
    mangled = pc.match_substring_regex(columns[0], r"^\s*[0-9]+[.,]?[0-9]*[eE]\+[0-9]+\s*$")
    return split(columns[0], pc.invert(mangled), "scientific_notation")


@step
def last_segment(columns: list[pa.Array], _: StepContext) -> StepResult:
    """The file's name out of its path."""
    return StepResult(pc.replace_substring_regex(columns[0], r"(?s)^.*/", ""))


@step
def first_present(columns: list[pa.Array], _: StepContext) -> StepResult:
    """The first that is not blank, from left to right."""
    return StepResult(pc.coalesce(*(trimmed(column) for column in columns)))


@step
def join_key(columns: list[pa.Array], _: StepContext) -> StepResult:
    """Two different lists of parts never give one key: the separator is escaped in the parts."""
    present = [trimmed(column) for column in columns]
    parts = [
        pc.fill_null(pc.replace_substring_regex(one, r"([\\|])", r"\\\1"), "") for one in present
    ]
    joined = pc.binary_join_element_wise(*parts, KEY_SEPARATOR)
    return StepResult(pc.if_else(_none_present(present), None, joined))


@step
def join_text(columns: list[pa.Array], _: StepContext) -> StepResult:
    """Names and lines of addresses in one; blank ones leave no gap."""
    present = [trimmed(column) for column in columns]
    joined = _joined_present(present, " ")
    return StepResult(pc.if_else(_none_present(present), None, joined))


@step
def json_object(columns: list[pa.Array], context: StepContext) -> StepResult:
    """Named by the last segment of each path, without @, [] and a namespace prefix."""
    present = [trimmed(column) for column in columns]
    members: list[pa.Array] = []
    for number, column in enumerate(present, start=1):
        path = context.paths[number - 1] if number <= len(context.paths) else f"c{number}"
        name = path.rsplit("/", 1)[-1].rsplit(":", 1)[-1].lstrip("@").removesuffix("[]")
        start = pa.scalar(json.dumps(name or f"c{number}", ensure_ascii=False) + ':"')
        members.append(pc.binary_join_element_wise(start, _json_text(column), '"', ""))
    body = _joined_present(members, ",")
    whole = pc.binary_join_element_wise("{", body, "}", "")
    return StepResult(pc.if_else(_none_present(present), None, whole))


@step
def split_list(columns: list[pa.Array], _: StepContext) -> StepResult:
    """A field that holds several values."""
    return list_of(columns[0], "[|,\x1f]")


def _json_text(column: pa.Array) -> pa.Array:
    """The inside of a JSON string."""
    if pc.any(pc.match_substring_regex(column, _CONTROL)).as_py():
        texts = [
            None if one is None else json.dumps(one, ensure_ascii=False)[1:-1]
            for one in column.to_pylist()
        ]
        return pa.array(texts, pa.string())
    return pc.replace_substring_regex(column, r'([\\"])', r"\\\1")


def _joined_present(columns: list[pa.Array], separator: str) -> pa.Array:
    """Joins what is not null. The leading '' matters: Arrow drops a row in which all are null."""
    first = pa.repeat("", len(columns[0]))
    joined = pc.binary_join_element_wise(first, *columns, separator, null_handling="skip")
    return pc.utf8_slice_codeunits(joined, len(separator))


def _none_present(columns: list[pa.Array]) -> pa.BooleanArray:
    nothing = pc.is_null(columns[0])
    for column in columns[1:]:
        nothing = pc.and_(nothing, pc.is_null(column))
    return nothing
