"""Cursors as texts: the start lies far enough back whatever the clock does, and no further."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.cursors import earlier

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC")
FORMS = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y%m%d%H%M%S")
# both changes of 2026 in most zones, and the days around them
NEAR = st.one_of(
    st.datetimes(datetime.fromisoformat("2026-03-07"), datetime.fromisoformat("2026-04-06")),
    st.datetimes(datetime.fromisoformat("2026-10-03"), datetime.fromisoformat("2026-11-03")),
)


@given(
    st.sampled_from(ZONES),
    st.sampled_from(FORMS),
    NEAR,
    st.integers(0, 180),
    st.integers(-180, 300),
)
def test_no_record_from_the_overlap_on_bears_a_label_before_the_start(
    zone: str, form: str, moment: datetime, minutes: int, later: int
) -> None:
    """Whatever its stamp in the ERP's local time reads: put back, put forward, or plain."""
    local = ZoneInfo(zone)
    read_at = moment.replace(tzinfo=UTC, microsecond=0)
    start = earlier(f"{read_at.astimezone(local):{form}}", timedelta(minutes=minutes), zone)
    committed = read_at + timedelta(minutes=max(later, -minutes))
    assert f"{committed.astimezone(local):{form}}" >= start


@given(st.sampled_from(ZONES), NEAR, st.integers(0, 180))
def test_a_label_in_utc_is_covered_too_and_nothing_goes_back_by_more_than_two_hours_more(
    zone: str, moment: datetime, minutes: int
) -> None:
    """A text without an offset may be UTC after all."""
    label = moment.replace(microsecond=0)
    start = earlier(f"{label:%Y-%m-%dT%H:%M:%S}", timedelta(minutes=minutes), zone)
    back = label - datetime.fromisoformat(start)
    assert timedelta(minutes=minutes) <= back <= timedelta(minutes=minutes + 120)


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("2026-01-10T10:05:00Z", "2026-01-10T09:55:00Z"),
        ("2026-01-10T10:05:00.9999999Z", "2026-01-10T09:55:00Z"),
        ("2026-10-25T02:30:00+01:00", "2026-10-25T02:20:00+01:00"),
        ("2026-01-10T10:05", "2026-01-10T09:55"),
        ("2026-01-10 10:05:00", "2026-01-10 09:55:00"),
        ("2026-01-10 10:05:00.25", "2026-01-10 09:55:00"),
        ("2026-01-10", "2026-01-09"),
        ("20260110", "20260109"),
        ("20260110100500", "20260110095500"),
        ("4711", "4711"),
        ("AB-17", "AB-17"),
    ],
)
def test_the_form_of_the_erp_is_kept(text: str, start: str) -> None:
    assert earlier(text, timedelta(minutes=10), "Europe/Berlin") == start
