"""The table of the sample documents in docs/file-formats.md: `python -m tests.samples.table`.

Made from the mappings and from what is expected of them, so that it needs no sample.
"""

from __future__ import annotations

from pathlib import Path

from mappings.settings import REPOSITORY
from tests.erps.samples import read_rows
from tests.samples.test_samples import CASES, HERE, Case

PAGE = REPOSITORY / "docs" / "file-formats.md"
START = "<!-- Made by `python -m tests.samples.table`. -->"
END = "<!-- End of what is made. -->"


def lines(mapping: str) -> int:
    """How many lines of YAML a mapping has, comments and blank ones left out."""
    text = (HERE / f"{mapping}.yaml").read_text(encoding="utf-8")
    return sum(1 for line in text.splitlines() if line.strip() and line.strip()[0] != "#")


def _came(case: Case) -> tuple[int, int, list[str]]:
    """Accepted records, rejected ones, and the fields and codes of the latter."""
    rows = read_rows(case.expected)
    no = [row for row in rows if row[3].startswith("rejected: ")]
    yes = {row[:2] for row in rows} - {row[:2] for row in no}
    return len(yes), len({row[:2] for row in no}), sorted({row[3].split(": ")[1] for row in no})


def table() -> str:
    """The table, with its marks."""
    made = [
        START,
        "",
        "| documents | mapping | feed | lines of YAML | records | rejected |",
        "|---|---|---|---|---|---|",
    ]
    for case in CASES:
        names = [Path(name).name for names in case.pages.values() for name in names]
        accepted, rejected, codes = _came(case)
        why = f" ({', '.join(codes)})" if codes else ""
        made.append(
            f"| {', '.join(names)} | `{case.mapping}.yaml` | {case.feed} | {lines(case.mapping)} "
            f"| {accepted} | {rejected}{why} |"
        )
    made.append(
        f"| edifact.ORDRSP.edi | `ordrsp.yaml` | order_status | {lines('ordrsp')} "
        "| held: UNZ repeats another reference than UNB gave | |"
    )
    return "\n".join([*made, "", END])


def written(text: str) -> str:
    """The page with the table as it is now."""
    head, _, rest = text.partition(START)
    return head + table() + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
