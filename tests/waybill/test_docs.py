from __future__ import annotations

import re
from pathlib import Path

import pytest

from mappings.settings import REPOSITORY
from waybill import cli, docs

PAGES = sorted([*(REPOSITORY / "docs").rglob("*.md"), *REPOSITORY.glob("*.md")])


def test_the_generated_pages_are_what_the_declarations_say() -> None:
    for path, text in docs.written().items():
        assert path.read_text(encoding="utf-8") == text, "run `python -m waybill.docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(
        r"!\[[^]]*\]\([^)]*\)", "", page.read_text(encoding="utf-8")
    )  # pictures come later
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text):
        if not target.startswith(("http:", "https:")):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_are_named_exist(page: Path) -> None:
    for line in re.findall(r"`waybill ([a-z-]+)", page.read_text(encoding="utf-8")):
        assert line in cli._PLACES, f"waybill {line}"
