"""An instant where one is known, else the first instant of the day."""

import pyarrow as pa
import pytest

from transforms.registry import StepContext
from transforms.values import FUNCTIONS


@pytest.mark.parametrize(
    ("exact", "day", "expected", "bad"),
    [
        ("2026-01-31T11:00:00+01:00", "2026-01-31", "2026-01-31 10:00:00Z", False),
        (None, "2026-01-31", "2026-01-30 23:00:00Z", False),
        ("", "2026-07-31", "2026-07-30 22:00:00Z", False),
        ("2026-01-31 11:00", "2026-01-31", None, True),
        (None, "2026-02-30", None, True),
        ("2026-01-31T11:00:00Z", "2026-02-30", "2026-01-31 11:00:00Z", False),
        (None, None, None, False),
    ],
)
def test_instant_or_midnight(
    exact: str | None, day: str | None, expected: str | None, *, bad: bool
) -> None:
    columns = [pa.array([one], pa.string()) for one in (exact, day)]
    results = FUNCTIONS["instant_or_midnight"](columns, StepContext("Europe/Berlin"))
    assert isinstance(results, list)
    found = results[-1].values.cast(pa.timestamp("s", "UTC")).cast(pa.string())[0].as_py()
    assert found == expected
    assert any(one.bad is not None and one.bad[0].as_py() for one in results) == bad
