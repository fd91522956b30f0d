"""Document sums: lines against their head, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pyarrow as pa

from mappings.feeds import PARTS
from quality.sums import children_sum, judge_sums
from tests.quality.tables import table

D = Decimal
INVOICE, LINE = PARTS["invoice"], PARTS["invoice_line"]


def failing(
    heads: Sequence[str | None], lines: Sequence[tuple[int, str | None]]
) -> list[bool | None]:
    """The mask of `net_not_sum_of_lines`."""
    root = table(INVOICE, [{"net": None if h is None else D(h)} for h in heads])
    child = table(LINE, [{"root_no": r, "net": None if n is None else D(n)} for r, n in lines])
    by_id = {v.check_id: v for v in judge_sums(INVOICE, root, {"invoice_line": child})}
    assert set(by_id) == {"net_not_sum_of_lines", "tax_not_sum_of_lines", "gross_not_sum_of_lines"}
    assert not by_id["tax_not_sum_of_lines"].any_failed  # nobody states any tax
    return by_id["net_not_sum_of_lines"].failed.to_pylist()


def test_lines_add_up_or_not() -> None:
    lines = [(1, "0.1"), (2, "1"), (1, "0.2"), (2, "1.0001")]
    assert failing(["0.3", "2"], lines) == [False, True]


def test_what_nobody_states_is_not_judged() -> None:
    lines = [(1, "1"), (2, None), (2, None), (3, None), (3, "5")]
    assert failing([None, "7", "5", "9"], lines) == [False, False, False, False]


def test_credit_notes_and_the_largest_amounts() -> None:
    most = "99999999999999.9999"
    assert failing([most, f"-{most}"], [(1, f"-{most}"), (2, f"-{most}")]) == [True, False]


def test_skipped_roots_and_absent_children() -> None:
    root = table(INVOICE, [{"net": D(1)}, {"net": D(1)}])
    child = table(LINE, [{"root_no": 1, "net": D(2)}, {"root_no": 2, "net": D(2)}])
    verdicts = judge_sums(INVOICE, root, {"invoice_line": child}, pa.array([True, None]))
    assert verdicts[0].failed.to_pylist() == [False, True]
    assert judge_sums(INVOICE, root, {}) == []
    nothing = judge_sums(INVOICE, root.slice(0, 0), {"invoice_line": child})
    assert [len(v.failed) for v in nothing] == [0, 0, 0]


def test_sums_keep_the_order_of_the_roots() -> None:
    root = table(INVOICE, [{"record_no": 7}, {"record_no": 3}, {"record_no": 5}])
    child = table(LINE, [{"root_no": r, "net": D(n)} for r, n in ((3, 1), (7, 2), (3, 4))])
    assert children_sum(root, child, "net").to_pylist() == [D(2), D(5), None]
