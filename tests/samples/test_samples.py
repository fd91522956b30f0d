"""A mapping for each public sample document, and what comes of it. They are read, never committed.

`expected/<mapping>.<feed>.csv` holds every accepted value and, behind them, what was rejected.
`python -m tests.samples.record` writes them anew; then review the difference.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from mappings.errors import BatchRefused
from mappings.reading import read_mapping
from mappings.settings import REPOSITORY
from tests.erps.samples import Row, read_rows, run

HERE = Path(__file__).parent
SHARED = Path(os.environ.get("WAYBILL_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
SAMPLES = SHARED / "samples"


@dataclass(frozen=True, slots=True)
class Case:
    """One feed of a mapping; `pages`: part → the sample documents that its source reads."""

    mapping: str
    feed: str
    pages: dict[str, tuple[str, ...]]

    @property
    def expected(self) -> Path:
        return HERE / "expected" / f"{self.mapping}.{self.feed}.csv"


CASES = (
    Case("pricat", "prices", {"price": ("edifact/PRICAT_D96A_EAN008_synthetic.edi",)}),
    Case(
        "invrpt",
        "stock",
        {
            "stock": ("edifact/INVRPT_D96A_EAN004_synthetic.edi",),
            "stock_expected": ("edifact/D96ADESADV.edi",),
        },
    ),
    Case("datanorm4", "products", {"product": ("datanorm/DATANORM_v4.001",)}),
    Case("datanorm4", "prices", {"price": ("datanorm/DATANORM_v4.001",)}),
    Case("datanorm5", "prices", {"price": ("datanorm/DATANORM_v5_synthetic.001",)}),
    Case(
        "ubl",
        "invoices",
        {
            "invoice": (
                "ubl/ubl-tc434-creditnote1.xml",
                "ubl/ubl-tc434-example1.xml",
                "ubl/ubl-tc434-example2.xml",
            )
        },
    ),
    Case("cii", "invoices", {"invoice": ("cii/CII_example1.xml", "cii/XRechnung-O.xml")}),
    Case(
        "zugferd",
        "invoices",
        {"invoice": ("zugferd/EN16931_Einfach.pdf", "zugferd/EN16931_Rabatte.pdf")},
    ),
)


def came(case: Case, folder: Path) -> list[Row]:
    """What the pipeline makes of the documents: accepted values, then rejections."""
    for part, names in case.pages.items():
        for number, name in enumerate(names, 1):
            (folder / f"input.{part}.{number:02d}.x").symlink_to(SAMPLES / name)
    sample = run(read_mapping(HERE / f"{case.mapping}.yaml"), case.feed, folder)
    return [
        *sample.accepted,
        *((p, n, f, f"rejected: {code}") for p, n, f, code in sample.rejected),
    ]


needed = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample documents are not here")


@needed
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.mapping}-{case.feed}")
def test_a_sample_gives_what_is_expected(case: Case, tmp_path: Path) -> None:
    assert came(case, tmp_path) == read_rows(case.expected)


@needed
def test_the_order_response_that_contradicts_itself_is_held(tmp_path: Path) -> None:
    """UNZ repeats another reference than UNB gave: nothing in it can be trusted."""
    case = Case("ordrsp", "order_status", {"sales_order": ("edifact/edifact.ORDRSP.edi",)})
    with pytest.raises(BatchRefused) as held:
        came(case, tmp_path)
    assert held.value.code == "trailer"
    assert "'DAREFNR00001', UNB said 'DAREFNR0000001'" in str(held.value)


@needed
def test_every_sample_is_used() -> None:
    used = {name for case in CASES for names in case.pages.values() for name in names}
    others = {
        "edifact/edifact.ORDRSP.edi",  # above
        # an airline's messages, for which there is no feed: test_edifact_samples.py
        "edifact/example_release_character.edi",
        "edifact/example_wrapped.edi",
    }
    there = {str(path.relative_to(SAMPLES)) for path in SAMPLES.glob("*/*")}
    assert there == used | others


def test_the_page_of_file_formats_holds_the_table() -> None:
    from tests.samples.table import PAGE, written  # noqa: PLC0415  it needs CASES of this module

    page = PAGE.read_text(encoding="utf-8")
    assert written(page) == page, "run `python -m tests.samples.table`"
