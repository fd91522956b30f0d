"""Runs the battery alone and writes down how each of its tests ended: `make conformance`.

`python -m pytest -p tests.conformance.recorder` deselects every test without an ID in its name.
A test that did not run keeps no outcome; one that is gone loses it. Must not judge.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest

from tests.conformance.battery import OUTCOMES, carriers, outcomes

_RANK = {"passed": 0, "skipped": 1, "failed": 2}
_seen: dict[str, str] = {}


def _bare(node: str) -> str:
    return re.sub(r"\[.*\]$", "", node, flags=re.DOTALL)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Only tests that carry an ID."""
    wanted = {test.node for tests in carriers().values() for test in tests}
    others = [item for item in items if _bare(item.nodeid) not in wanted]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if _bare(item.nodeid) in wanted]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """The worst of set-up, call and tear-down of every parameter set."""
    if report.when == "call" or report.outcome != "passed":
        test = _bare(report.nodeid)
        before = _seen.get(test, "passed")
        _seen[test] = max(before, report.outcome, key=lambda one: _RANK[one])


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Merge what was seen into the file; with several workers only the first process writes."""
    if hasattr(session.config, "workerinput"):
        return
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    there = {test.node for tests in carriers().values() for test in tests}
    kept = {test: told for test, told in outcomes().items() if test in there}
    kept |= {test: f"{outcome} on {today}" for test, outcome in _seen.items() if test in there}
    OUTCOMES.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
