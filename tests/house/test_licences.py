import importlib.util

import pytest

from mappings.settings import REPOSITORY

_spec = importlib.util.spec_from_file_location("licences", REPOSITORY / "scripts" / "licences.py")
assert _spec is not None
assert _spec.loader is not None
licences = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(licences)


def refused(text: str, allowed: dict[str, str] | None = None) -> list[str]:
    return licences.refusals([{"Name": "package", "License": text}], allowed or {})


@pytest.mark.parametrize(
    "text",
    [
        "MIT",
        "Apache-2.0 OR BSD-2-Clause",
        "LGPL-3.0-only",
        "GNU Lesser General Public License v3 (LGPLv3)",
        "GNU Library or Lesser General Public License (LGPL)",
        "Mozilla Public License 2.0 (MPL 2.0)",
        "GPL-2.0-or-later OR MIT",
    ],
)
def test_fine(text: str) -> None:
    assert refused(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "GPL-3.0-only",
        "AGPL-3.0",
        "GPLv2+",
        "GNU Affero General Public License v3",
        "GNU General Public License v2 or later (GPLv2+)",
        "MIT AND GPL-3.0-only",
        "Artistic License; GNU General Public License (GPL)",
        "UNKNOWN",
        "",
    ],
)
def test_refused(text: str) -> None:
    assert refused(text) == [f"package: {text}"]
    assert refused(text, {"package": "a reason"}) == []


def test_an_exception_that_is_not_needed_is_refused_too() -> None:
    assert refused("MIT", {"package": "a reason"}) == ["package: needs no exception"]
