"""`python -m tests.conformance.page`: writes docs/conformance.md; a test holds it.

A behaviour has passed where every test that carries it passed when it was last run and recorded.
Must not: hold an outcome of its own.
"""

from __future__ import annotations

from itertools import groupby

from mappings.settings import REPOSITORY
from tests.conformance.battery import Behaviour, Carrier, behaviours, carriers, outcomes

PATH = REPOSITORY / "docs" / "conformance.md"
_HEAD = """# Conformance

<!-- Made by `python -m tests.conformance.page` from tests/conformance/; change that. -->

What goes wrong between ERPs and those who read them, each as a behaviour that tests show: `pytest
-k CUR_3` runs those of CUR-3. *Passed* is the outcome of the last `make conformance`, which runs
the battery and writes it down; a test of the suite fails while an ID has neither a test nor the
name of the work that will bring it, or while a recorded outcome is a failure. *Not recorded*: the
test is newer than the last recorded run of the battery; `make test` runs it all the same.
"""


def state(tests: list[Carrier], told: dict[str, str], later: str) -> str:
    """`passed on …`, the worst that was recorded, `not recorded`, or what it waits for."""
    if not tests:
        return f"not yet: {later}"
    found = [told.get(test.node, "not recorded") for test in tests]
    rank = ("failed", "not recorded", "skipped", "passed")
    return min(
        found, key=lambda one: (next(i for i, w in enumerate(rank) if one.startswith(w)), one)
    )


def text() -> str:
    """The page as it should be."""
    known, told = carriers(), outcomes()
    every = behaviours()
    passed = sum(state(known.get(b.id, []), told, b.later).startswith("passed") for b in every)
    lines = [_HEAD, f"{passed} of {len(every)} have passed.\n"]
    for title, group in groupby(every, key=lambda one: one.group):
        lines += [f"## {title}\n", "| ID | what | state | tests |", "|---|---|---|---|"]
        lines += [_line(one, known.get(one.id, []), told) for one in group]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _line(one: Behaviour, tests: list[Carrier], told: dict[str, str]) -> str:
    by_file: dict[str, list[str]] = {}
    for test in tests:
        by_file.setdefault(test.file, []).append(test.name.removeprefix("test_"))
    shown = "<br>".join(
        f"[{file.removeprefix('tests/')}](../{file}): " + ", ".join(f"`{n}`" for n in names)
        for file, names in by_file.items()
    )
    return f"| {one.id} | {one.says} | {state(tests, told, one.later)} | {shown or '–'} |"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
