"""Corrections in a mapping: their words, what is refused, and that they do what the desk's do."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.corrections import ColumnCorrection
from mappings.errors import Misconfigured
from sync.fix_rules import Rule
from transforms.corrected import corrected

TEXTS = st.lists(st.one_of(st.none(), st.sampled_from(["", " ", "odd", " odd ", "1O,5", "x"])))
WORDS = [
    {"kind": "replace", "old": "odd", "new": "active"},
    {"kind": "map", "values": {"odd": "active", "x": "y"}},
    {"kind": "trim"},
    {"kind": "default", "new": "active"},
    {"kind": "regex", "old": r"(\d)O", "new": r"\10"},
]


@pytest.mark.parametrize("words", WORDS, ids=lambda words: str(words["kind"]))
@given(texts=TEXTS)
def test_a_mapping_corrects_as_the_desk_does(
    words: dict[str, object], texts: list[str | None]
) -> None:
    one = ColumnCorrection.model_validate({"column": "a", "until": "2026-12-31", **words})
    rule = Rule.of({"path": "a", **words})
    by_desk = [rule.changes({"a": text}).get("a", text) for text in texts]
    assert corrected(pa.array(texts, pa.string()), [one]).to_pylist() == by_desk


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"kind": "replace", "old": "odd"}, "takes `new`, `old`"),
        ({"kind": "trim", "new": "x"}, "takes nothing else"),
        ({"kind": "map"}, "takes `values`"),
        ({"kind": "sed", "new": "x"}, "kind"),
    ],
)
def test_a_correction_is_whole_or_refused(words: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ColumnCorrection.model_validate({"column": "a", "until": "2026-12-31", **words})


def test_a_pattern_that_cannot_be_read_says_where() -> None:
    words = {"column": "a", "kind": "regex", "old": "(", "new": "", "until": "2026-12-31"}
    with pytest.raises(Misconfigured, match="correction of a has a pattern"):
        corrected(pa.array(["x"]), [ColumnCorrection.model_validate(words)])
