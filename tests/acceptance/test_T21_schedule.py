from __future__ import annotations

from datetime import UTC, datetime

from millrace.scenario.model import Schedule
from millrace.work.schedule import upcoming


def test_T21_day_31_skips_short_months() -> None:
    monthly = Schedule(kind="monthly", days=(31,), at="07:00")
    starts = list(upcoming(monthly, "UTC", datetime(2026, 1, 1, tzinfo=UTC), count=7))
    assert [start.month for start in starts] == [1, 3, 5, 7, 8, 10, 12]
    assert {(start.day, start.hour) for start in starts} == {(31, 7)}
