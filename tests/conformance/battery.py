"""The battery: which IDs there are, which tests carry them, and how those last ended.

Names are read from the tests' source, outcomes from `outcomes.json`, which a real run writes
(`recorder.py`). Must not run or import a test.
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from mappings.settings import REPOSITORY

FOLDER = Path(__file__).parent
IDS, OUTCOMES = FOLDER / "ids.yaml", FOLDER / "outcomes.json"
TESTS = REPOSITORY / "tests"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One ID. `later`: the subject of the work it belongs to while no test carries it."""

    id: str
    group: str
    says: str
    later: str


@dataclass(frozen=True, slots=True)
class Carrier:
    """One test function that carries IDs. `file` is relative to the repository."""

    file: str
    name: str

    @property
    def node(self) -> str:
        """As pytest names it, without its parameters."""
        return f"{self.file}::{self.name}"


def behaviours() -> list[Behaviour]:
    """Every ID, in the order of the list."""
    found = []
    for group, told in yaml.safe_load(IDS.read_text(encoding="utf-8")).items():
        for name, given in told["ids"].items():
            own = given if isinstance(given, dict) else {"says": given}
            if not name.startswith(f"{group}-"):
                raise ValueError(f"{name} stands under {group}")
            found.append(
                Behaviour(name, told["title"], own["says"], own.get("later", told.get("later", "")))
            )
    return found


def carriers() -> dict[str, list[Carrier]]:
    """ID → the tests that carry it, by file and name."""
    found: dict[str, list[Carrier]] = {}
    groups = "|".join(yaml.safe_load(IDS.read_text(encoding="utf-8")))
    pattern = re.compile(rf"(?<![a-zA-Z0-9])({groups})_(\d+)_(?=[a-zA-Z])", re.IGNORECASE)
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if not pattern.search(text):
            continue
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
                continue
            carrier = Carrier(path.relative_to(REPOSITORY).as_posix(), node.name)
            for group, number in dict.fromkeys(pattern.findall(node.name)):
                found.setdefault(f"{group.upper()}-{int(number)}", []).append(carrier)
    return {name: sorted(tests, key=lambda t: t.node) for name, tests in found.items()}


def outcomes() -> dict[str, str]:
    """Test (as `Carrier.node`) → `passed on 2026-01-31`, `skipped …`, `failed …`."""
    if not OUTCOMES.exists():
        return {}
    return dict(json.loads(OUTCOMES.read_text(encoding="utf-8")))
