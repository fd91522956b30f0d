"""Every command opens the installation one way: its database started, at the right version."""

from __future__ import annotations

import re

from mappings.settings import REPOSITORY


def test_no_command_opens_the_engine_by_itself() -> None:
    files = sorted((REPOSITORY / "waybill").glob("cli*.py"))
    opening = [path.name for path in files if re.search(r"\bContext\.open\(", path.read_text())]
    assert len(files) > 10
    assert opening == [], "use `waybill.installation.opened`"
