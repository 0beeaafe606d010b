from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millrace.errors import ScenarioInvalid
from millrace.scenario.model import Schedule
from millrace.work.schedule import next_due, upcoming

PRAGUE = (
    "Europe/Prague"  # clocks: forward 2026-03-29 02:00 to 03:00, back 2026-10-25 03:00 to 02:00
)


def at(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def starts(after: str, count: int = 3, zone: str = "UTC", **schedule: Any) -> list[str]:
    """The next starts as local times with their offset."""
    found = upcoming(Schedule(**schedule), zone, at(after), count=count)
    return [due.astimezone(ZoneInfo(zone)).isoformat() for due in found]


@pytest.mark.parametrize("kind", ["on-demand", "instant"])
def test_what_starts_by_itself_never_has_no_next_start(kind: str) -> None:
    assert next_due(Schedule(kind=kind), "UTC", at("2026-01-01")) is None


def test_an_interval_counts_from_the_scheduled_start_before() -> None:
    every_15 = Schedule(kind="interval", every_seconds=900)
    anchor = at("2026-01-01T10:00:00")
    late = at("2026-01-01T10:00:07")
    assert next_due(every_15, "UTC", late, anchor=anchor) == at("2026-01-01T10:15:00")
    much_later = at("2026-01-01T12:40:00")
    assert next_due(every_15, "UTC", much_later, anchor=anchor) == at("2026-01-01T12:45:00")
    assert next_due(every_15, "UTC", late) == at("2026-01-01T10:15:07")


def test_an_interval_with_a_start_begins_exactly_there() -> None:
    hourly = Schedule(kind="interval", every_seconds=3600, start="2026-01-01T10:10:00Z")
    assert next_due(hourly, "UTC", at("2025-12-24")) == at("2026-01-01T10:10:00")
    assert next_due(hourly, "UTC", at("2026-01-01T10:10:00")) == at("2026-01-01T11:10:00")


def test_an_interval_is_real_time_when_clocks_change() -> None:
    found = starts("2026-03-28T23:30:00", zone=PRAGUE, kind="interval", every_seconds=3600)
    assert found == [
        "2026-03-29T01:30:00+01:00",
        "2026-03-29T03:30:00+02:00",
        "2026-03-29T04:30:00+02:00",
    ]


def test_once_happens_once() -> None:
    once = Schedule(kind="once", at="2026-05-05T08:00:00")
    assert next_due(once, PRAGUE, at("2026-05-05T05:59:59")) == at("2026-05-05T06:00:00")
    assert next_due(once, PRAGUE, at("2026-05-05T06:00:00")) is None


def test_every_day_at_a_local_time() -> None:
    assert starts("2026-06-01T05:00:00", 2, PRAGUE, kind="daily", at="07:00") == [
        "2026-06-02T07:00:00+02:00",
        "2026-06-03T07:00:00+02:00",
    ]


def test_weekdays_are_counted_from_sunday() -> None:
    # 2026-11-21 is a Saturday.
    assert starts("2026-11-21T12:00:00", kind="weekly", days=(0, 6), at="06:00") == [
        "2026-11-22T06:00:00+00:00",
        "2026-11-28T06:00:00+00:00",
        "2026-11-29T06:00:00+00:00",
    ]


def test_a_day_that_a_month_lacks_is_skipped() -> None:
    assert starts("2026-01-31T12:00:00", 4, kind="monthly", days=(31,), at="06:00") == [
        "2026-03-31T06:00:00+00:00",
        "2026-05-31T06:00:00+00:00",
        "2026-07-31T06:00:00+00:00",
        "2026-08-31T06:00:00+00:00",
    ]


def test_the_29th_of_february_waits_for_a_leap_year() -> None:
    yearly = {"kind": "yearly", "months": (2,), "days": (29,), "at": "00:00"}
    assert starts("2026-01-01", 2, **yearly) == [
        "2028-02-29T00:00:00+00:00",
        "2032-02-29T00:00:00+00:00",
    ]
    assert starts("2096-03-01", 1, **yearly) == ["2104-02-29T00:00:00+00:00"]
    assert starts("2026-01-01", 1, **{**yearly, "days": (30,)}) == []


@pytest.mark.parametrize(
    "schedule", [{"kind": "daily", "at": "02:30"}, {"kind": "cron", "cron": "30 2 * * *"}]
)
def test_a_time_in_the_gap_happens_right_after_it(schedule: dict[str, Any]) -> None:
    assert starts("2026-03-27T12:00:00", 3, PRAGUE, **schedule) == [
        "2026-03-28T02:30:00+01:00",
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:30:00+02:00",
    ]


@pytest.mark.parametrize(
    "schedule", [{"kind": "daily", "at": "02:30"}, {"kind": "cron", "cron": "30 2 * * *"}]
)
def test_a_time_that_exists_twice_happens_once(schedule: dict[str, Any]) -> None:
    assert starts("2026-10-24T12:00:00", 2, PRAGUE, **schedule) == [
        "2026-10-25T02:30:00+02:00",
        "2026-10-26T02:30:00+01:00",
    ]
    in_the_second_pass = "2026-10-25T01:15:00"
    assert starts(in_the_second_pass, 1, PRAGUE, **schedule) == ["2026-10-26T02:30:00+01:00"]


def test_a_date_that_a_country_left_out_happens_when_the_next_one_begins() -> None:
    # Samoa went from 29 to 31 December 2011.
    found = starts("2011-12-29T20:00:00", 2, "Pacific/Apia", kind="daily", at="07:00")
    assert found == ["2011-12-31T00:00:00+14:00", "2011-12-31T07:00:00+14:00"]


def test_a_gap_at_midnight_is_not_passed_over() -> None:
    # Beirut, 2026-03-29: 00:00 does not exist.
    found = starts("2026-03-28T12:00:00", 2, "Asia/Beirut", kind="daily", at="00:00")
    assert found == ["2026-03-29T01:00:00+03:00", "2026-03-30T00:00:00+03:00"]


def test_cron_on_working_days() -> None:
    assert starts("2026-11-20T12:00:00", 2, PRAGUE, kind="cron", cron="0 7 * * 1-5") == [
        "2026-11-23T07:00:00+01:00",
        "2026-11-24T07:00:00+01:00",
    ]


def test_cron_every_half_hour_goes_on_through_the_repeated_hour() -> None:
    found = starts("2026-10-25T00:15:00", 3, PRAGUE, kind="cron", cron="*/30 * * * *")
    assert found == [
        "2026-10-25T02:30:00+02:00",
        "2026-10-25T02:00:00+01:00",
        "2026-10-25T02:30:00+01:00",
    ]


def test_nothing_starts_before_the_start_or_after_the_end() -> None:
    daily = {"kind": "daily", "at": "07:00"}
    assert starts(
        "2026-01-01", 9, start="2026-02-01T07:00:00", end="2026-02-03T06:59:59", **daily
    ) == ["2026-02-01T07:00:00+00:00", "2026-02-02T07:00:00+00:00"]
    assert len(starts("2026-01-01", 9, start="2026-02-01", end="2026-02-03", **daily)) == 3


def test_starts_outside_the_windows_are_left_out() -> None:
    office = ({"days": [1, 2, 3, 4, 5], "time": ["09:00", "17:00"]},)
    found = starts(
        "2026-11-20T15:30:00", 3, kind="interval", every_seconds=3600, windows=office
    )  # a Friday
    assert found == [
        "2026-11-20T16:30:00+00:00",
        "2026-11-23T09:30:00+00:00",
        "2026-11-23T10:30:00+00:00",
    ]


def test_any_window_is_enough_and_one_may_reach_over_midnight() -> None:
    windows = (
        {"days": [5], "time": ["22:00", "02:00"]},
        {"months": [12], "time": ["12:00", "12:00"]},
    )
    found = starts("2026-11-27T12:00:00", 7, kind="cron", cron="0 * * * *", windows=windows)
    assert found[:6] == [
        "2026-11-27T22:00:00+00:00",
        "2026-11-27T23:00:00+00:00",
        "2026-11-28T00:00:00+00:00",
        "2026-11-28T01:00:00+00:00",
        "2026-11-28T02:00:00+00:00",
        "2026-12-01T12:00:00+00:00",
    ]


def test_windows_that_never_allow_a_start_end_the_search() -> None:
    never = ({"time": ["09:00", "10:00"]},)
    assert starts("2026-01-01", 1, kind="daily", at="03:00", windows=never) == []


def test_a_second_interval_far_from_its_window_is_found_at_once() -> None:
    window = ({"months": [12]},)
    found = starts("2026-01-01", 1, kind="interval", every_seconds=1, windows=window)
    assert found == ["2026-12-01T00:00:00+00:00"]


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ({"kind": "hourly"}, "no schedule of the kind"),
        ({"kind": "interval"}, "at least one second"),
        ({"kind": "interval", "every_seconds": 0}, "at least one second"),
        ({"kind": "once"}, "not when"),
        ({"kind": "once", "at": "tomorrow"}, "is not like"),
        ({"kind": "daily", "at": "7 o'clock"}, "is not like 07:30"),
        ({"kind": "daily", "at": "07:00Z"}, "leave the zone out"),
        ({"kind": "weekly", "at": "07:00"}, "names no days"),
        ({"kind": "weekly", "days": (7,)}, "from 0 to 6"),
        ({"kind": "monthly", "days": (0,)}, "from 1 to 31"),
        ({"kind": "yearly", "days": (1,)}, "names no months"),
        ({"kind": "yearly", "days": (1,), "months": (13,)}, "from 1 to 12"),
        ({"kind": "cron", "cron": "61 * * * *"}, "cron line"),
        ({"kind": "cron"}, "cron line"),
        ({"kind": "daily", "start": "soon"}, "is not like"),
        ({"kind": "daily", "windows": ({"days": [8]},)}, "from 0 to 6"),
        ({"kind": "daily", "windows": ({"time": ["09:00"]},)}, "window"),
        ({"kind": "daily", "windows": ("always",)}, "window"),
    ],
)
def test_a_schedule_that_cannot_be_understood_says_why(
    schedule: dict[str, Any], message: str
) -> None:
    with pytest.raises(ScenarioInvalid, match=message):
        next_due(Schedule(**schedule), "UTC", at("2026-01-01"))


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "", "../etc/passwd", "Europe"])
def test_an_unknown_time_zone_is_named(zone: str) -> None:
    with pytest.raises(ScenarioInvalid, match="no time zone"):
        next_due(Schedule(kind="daily"), zone, at("2026-01-01"))


@settings(max_examples=150, deadline=None)
@given(
    after=st.integers(1_577_836_800, 2_114_380_800).map(
        lambda seconds: datetime.fromtimestamp(seconds, UTC)
    ),
    schedule=st.sampled_from(
        [
            Schedule(kind="daily", at="02:30"),
            Schedule(kind="weekly", days=(0, 3), at="00:00"),
            Schedule(kind="monthly", days=(1, 15, 31), at="23:59"),
            Schedule(kind="cron", cron="15 1,2,3 * * *"),
            Schedule(kind="cron", cron="*/20 * * * *"),
            Schedule(kind="interval", every_seconds=1234),
        ]
    ),
    zone=st.sampled_from([PRAGUE, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_the_next_start_is_later_and_nothing_lies_between(
    after: datetime, schedule: Schedule, zone: str
) -> None:
    anchor = datetime(2020, 1, 1, tzinfo=UTC)
    due = next_due(schedule, zone, after, anchor=anchor)
    assert due is not None
    assert due > after
    between = after + (due - after) / 2
    assert next_due(schedule, zone, between, anchor=anchor) == due
    assert next_due(schedule, zone, due - timedelta(microseconds=1), anchor=anchor) == due
