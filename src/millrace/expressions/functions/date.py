"""Dates. Days, months and years are those of a clock in the scenario's time zone.

A text that spells a date is accepted wherever a date is expected; nothing stays nothing.
"""

# ruff: noqa: D103  (the text of each function stands in its decorator)

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from millrace.errors import ExpressionError
from millrace.expressions.convert import (
    Number,
    date_of,
    integer_of,
    is_empty,
    milliseconds,
    number_of,
    result,
    text_of,
)
from millrace.expressions.dates import (
    DAYS,
    MONTHS,
    from_wall,
    parse_date_text,
    to_wall,
    zone_named,
)
from millrace.expressions.functions.spec import FunctionTable
from millrace.expressions.moments import days_in_month, format_moment, parse_moment
from millrace.expressions.scope import Scope

date = FunctionTable("date")

_DATE = "2016-12-08T15:55:57.536Z"


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _zone(name: Any, scope: Scope) -> tzinfo:
    """The named zone; the scenario's when there is no such zone, as in Make."""
    if is_empty(name):
        return scope.zone
    return zone_named(text_of(name, scope)) or scope.zone


@date.add(
    "formatDate(date; format; [timezone])",
    "A date as text, by tokens such as `DD.MM.YYYY HH:mm`. Letters in [brackets] stand for "
    "themselves. "
    "A time zone that does not exist is ignored.",
    ("formatDate(2018-10-01T07:32:00Z; DD.MM.YYYY HH:mm; UTC)", "01.10.2018 07:32"),
    ("formatDate(2018-10-01T07:32:00Z; DD.MM.YYYY HH:mm; Europe/Prague)", "01.10.2018 09:32"),
    (
        'formatDate(2018-10-01T07:32:00Z; "dddd, MMMM Do YYYY [at] h A")',
        "Monday, October 1st 2018 at 7 AM",
    ),
    pure=False,
)
def format_date(scope: Scope, value: Any, form: Any, zone: Any = None) -> str | None:
    if is_empty(value):
        return None
    form_text = text_of(form, scope) or "YYYY-MM-DDTHH:mm:ssZ"
    return format_moment(date_of(value, scope), form_text, _zone(zone, scope))


@date.add(
    "parseDate(text; [format]; [timezone])",
    "The date that a text names. Without a format the common forms are understood; `X` stands "
    "for Unix "
    "seconds, `x` for milliseconds. Missing parts are today's, a missing time is midnight.",
    ("parseDate(2016-12-28; YYYY-MM-DD)", _utc("2016-12-28T00:00:00Z")),
    ("parseDate(1482940986; X)", _utc("2016-12-28T16:03:06Z")),
    ('parseDate("2016-12-28 04:03 pm"; YYYY-MM-DD hh:mm a)', _utc("2016-12-28T16:03:00Z")),
    pure=False,
)
def parse_date(scope: Scope, value: Any, form: Any = None, zone: Any = None) -> datetime | None:
    if is_empty(value):
        return None
    if isinstance(value, datetime):
        return value
    chosen = _zone(zone, scope)
    text = text_of(value, scope).strip()
    if not is_empty(form):
        return parse_moment(text, text_of(form, scope), chosen, scope.now)
    found = parse_date_text(text, chosen)
    if found is None:
        raise ExpressionError("the text is not a date in a common form; name its format")
    return found


def _shifted(scope: Scope, value: Any, amount: Any, seconds: int) -> datetime | None:
    if is_empty(value):
        return None
    return date_of(value, scope) + timedelta(milliseconds=round(number_of(amount) * seconds * 1000))


@date.add(
    "addSeconds(date; number)",
    "The date some seconds later; earlier when the number is negative.",
    (f"addSeconds({_DATE}; 2)", _utc("2016-12-08T15:55:59.536Z")),
)
def add_seconds(scope: Scope, value: Any, number: Any) -> datetime | None:
    return _shifted(scope, value, number, 1)


@date.add(
    "addMinutes(date; number)",
    "The date some minutes later.",
    (f"addMinutes({_DATE}; -2)", _utc("2016-12-08T15:53:57.536Z")),
)
def add_minutes(scope: Scope, value: Any, number: Any) -> datetime | None:
    return _shifted(scope, value, number, 60)


@date.add(
    "addHours(date; number)",
    "The date some hours later.",
    (f"addHours({_DATE}; 2)", _utc("2016-12-08T17:55:57.536Z")),
)
def add_hours(scope: Scope, value: Any, number: Any) -> datetime | None:
    return _shifted(scope, value, number, 3600)


def _on_clock(scope: Scope, value: Any, change: Callable[[datetime], datetime]) -> datetime | None:
    """A change of what the clock of the scenario's zone shows."""
    if is_empty(value):
        return None
    return from_wall(change(to_wall(date_of(value, scope), scope.zone)), scope.zone)


def _nearest(number: Any) -> int:
    """Days and months are added whole; a half is rounded away from zero, as in Moment."""
    value = number_of(number)
    if abs(value) > 10_000_000:
        raise ExpressionError("the result is outside the years 1 to 9999")
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


@date.add(
    "addDays(date; number)",
    "The date some days later, at the same time of the day.",
    (f"addDays({_DATE}; 2)", _utc("2016-12-10T15:55:57.536Z")),
    pure=False,
)
def add_days(scope: Scope, value: Any, number: Any) -> datetime | None:
    delta = timedelta(days=_nearest(number))
    return _on_clock(scope, value, lambda wall: wall + delta)


@date.add(
    "addWeekDays(date; number)",
    "The date some days later, Saturdays and Sundays not counted. A fraction is dropped.",
    (f"addWeekDays({_DATE}; 2)", _utc("2016-12-12T15:55:57.536Z")),
    (f"addWeekDays({_DATE}; -2)", _utc("2016-12-06T15:55:57.536Z")),
    extra="F",
    pure=False,
)
def add_week_days(scope: Scope, value: Any, number: Any) -> datetime | None:
    count = math.floor(number_of(number))
    if abs(count) > 10_000_000:
        raise ExpressionError("the result is outside the years 1 to 9999")
    step = timedelta(days=1 if count > 0 else -1)

    def change(wall: datetime) -> datetime:
        weeks, rest = divmod(abs(count), 5)
        wall += step * (7 * weeks)
        while rest:
            wall += step
            if wall.isoweekday() < 6:
                rest -= 1
        # From a weekend, whole weeks end on a weekend: count back to the last day counted.
        while count and wall.isoweekday() > 5:
            wall -= step
        return wall

    return _on_clock(scope, value, change)


@date.add(
    "addMonths(date; number)",
    "The date some months later; at most the last day of the month.",
    ("addMonths(2016-08-08T15:55:57.536Z; 2)", _utc("2016-10-08T15:55:57.536Z")),
    ("addMonths(2016-01-31T12:00:00Z; 1)", _utc("2016-02-29T12:00:00Z")),
    pure=False,
)
def add_months(scope: Scope, value: Any, number: Any) -> datetime | None:
    count = _nearest(number)
    return _on_clock(scope, value, lambda wall: _month_moved(wall, count))


def _month_moved(wall: datetime, months: int) -> datetime:
    years, month = divmod(wall.year * 12 + wall.month - 1 + months, 12)
    if not 1 <= years <= 9999:
        raise ExpressionError("the result is outside the years 1 to 9999")
    day = min(wall.day, days_in_month(years, month + 1))
    return wall.replace(year=years, month=month + 1, day=day)


@date.add(
    "addYears(date; number)",
    "The date some years later.",
    ("addYears(2016-08-08T15:55:57.536Z; 2)", _utc("2018-08-08T15:55:57.536Z")),
    pure=False,
)
def add_years(scope: Scope, value: Any, number: Any) -> datetime | None:
    count = _nearest(number)
    return _on_clock(scope, value, lambda wall: _month_moved(wall, count * 12))


@date.add(
    "setSecond(date; number)",
    "The date with that second; numbers outside 0 to 59 reach into other minutes.",
    ("setSecond(2015-10-07T11:36:39.138Z; 61)", _utc("2015-10-07T11:37:01.138Z")),
    pure=False,
)
def set_second(scope: Scope, value: Any, number: Any) -> datetime | None:
    delta = _whole(number)
    return _on_clock(scope, value, lambda wall: wall.replace(second=0) + timedelta(seconds=delta))


def _whole(number: Any) -> int:
    value = integer_of(number)
    if abs(value) > 10_000_000_000:
        raise ExpressionError("the result is outside the years 1 to 9999")
    return value


@date.add(
    "setMinute(date; number)",
    "The date with that minute; numbers outside 0 to 59 reach into other hours.",
    ("setMinute(2015-10-07T11:36:39.138Z; 61)", _utc("2015-10-07T12:01:39.138Z")),
    pure=False,
)
def set_minute(scope: Scope, value: Any, number: Any) -> datetime | None:
    delta = _whole(number)
    return _on_clock(scope, value, lambda wall: wall.replace(minute=0) + timedelta(minutes=delta))


@date.add(
    "setHour(date; number)",
    "The date with that hour; numbers outside 0 to 23 reach into other days.",
    ("setHour(2015-08-07T11:36:39.138Z; -6)", _utc("2015-08-06T18:36:39.138Z")),
    pure=False,
)
def set_hour(scope: Scope, value: Any, number: Any) -> datetime | None:
    delta = _whole(number)
    return _on_clock(scope, value, lambda wall: wall.replace(hour=0) + timedelta(hours=delta))


def _number_or_name(value: Any, names: tuple[str, ...], what: str, scope: Scope) -> int:
    """A number from 1, or the position of an English name or its beginning."""
    if isinstance(value, str):
        word = value.strip().lower()
        if len(word) >= 3 and word.isalpha():
            for index, name in enumerate(names, 1):
                if name.lower().startswith(word):
                    return index
            raise ExpressionError(f"{what} must be a number or an English name")
    return _whole(value)


@date.add(
    "setDay(date; day)",
    "The date on that day of its week: 1 is Sunday, 7 Saturday, or an English name. Other "
    "numbers reach "
    "into other weeks.",
    ("setDay(2018-06-27T11:36:39.138Z; Monday)", _utc("2018-06-25T11:36:39.138Z")),
    ("setDay(2018-06-27T11:36:39.138Z; 1)", _utc("2018-06-24T11:36:39.138Z")),
    ("setDay(2018-06-27T11:36:39.138Z; 7)", _utc("2018-06-30T11:36:39.138Z")),
    pure=False,
)
def set_day(scope: Scope, value: Any, day: Any) -> datetime | None:
    number = _number_or_name(day, DAYS, "the day", scope)
    return _on_clock(
        scope,
        value,
        lambda wall: wall + timedelta(days=number - 1 - wall.isoweekday() % 7),
    )


@date.add(
    "setDate(date; number)",
    "The date on that day of its month; numbers outside the month reach into other months.",
    ("setDate(2015-08-07T11:36:39.138Z; 5)", _utc("2015-08-05T11:36:39.138Z")),
    ("setDate(2015-08-07T11:36:39.138Z; 32)", _utc("2015-09-01T11:36:39.138Z")),
    pure=False,
)
def set_date(scope: Scope, value: Any, number: Any) -> datetime | None:
    delta = timedelta(days=_nearest(_whole(number)) - 1)
    return _on_clock(scope, value, lambda wall: wall.replace(day=1) + delta)


@date.add(
    "setMonth(date; month)",
    "The date in that month: a number from 1, or an English name. Other numbers reach into other "
    "years.",
    ("setMonth(2015-08-07T11:36:39.138Z; 5)", _utc("2015-05-07T11:36:39.138Z")),
    ("setMonth(2015-08-07T11:36:39.138Z; 17)", _utc("2016-05-07T11:36:39.138Z")),
    ("setMonth(2015-08-07T11:36:39.138Z; january)", _utc("2015-01-07T11:36:39.138Z")),
    pure=False,
)
def set_month(scope: Scope, value: Any, month: Any) -> datetime | None:
    number = _number_or_name(month, MONTHS, "the month", scope)
    return _on_clock(scope, value, lambda wall: _month_moved(wall, number - wall.month))


@date.add(
    "setYear(date; number)",
    "The date in that year.",
    ("setYear(2015-08-07T11:36:39.138Z; 2017)", _utc("2017-08-07T11:36:39.138Z")),
    pure=False,
)
def set_year(scope: Scope, value: Any, number: Any) -> datetime | None:
    year = _whole(number)
    return _on_clock(scope, value, lambda wall: _month_moved(wall, (year - wall.year) * 12))


_UNITS = {
    "millisecond": 1,
    "second": 1_000,
    "minute": 60_000,
    "hour": 3_600_000,
    "day": 86_400_000,
    "week": 604_800_000,
}


@date.add(
    "dateDifference(date1; date2; [unit])",
    "The first date minus the second, in whole milliseconds, seconds, minutes, hours, days, "
    "weeks, months "
    "or years.",
    ("dateDifference(2021-05-11T18:10:00.000Z; 2021-05-11T18:00:00.000Z)", 600000),
    ("dateDifference(2021-06-11T18:10:00.000Z; 2021-05-11T18:00:00.000Z; months)", 1),
    ("dateDifference(2021-05-11T18:10:00.000Z; 2021-05-11T18:00:00.000Z; minutes)", 10),
    extra="F",
    pure=False,
)
def date_difference(scope: Scope, one: Any, other: Any, unit: Any = None) -> int | None:
    if is_empty(one) or is_empty(other):
        return None
    later, earlier = date_of(one, scope), date_of(other, scope)
    name = "millisecond" if is_empty(unit) else text_of(unit, scope).strip().lower().rstrip("s")
    if name in ("month", "year"):
        months = _months_between(to_wall(later, scope.zone), to_wall(earlier, scope.zone))
        return _towards_zero(months, 12) if name == "year" else months
    if name not in _UNITS:
        raise ExpressionError(
            "the unit must be milliseconds, seconds, minutes, hours, days, weeks, months or years"
        )
    if name in ("day", "week"):
        # Days are those of the calendar: one of 23 or 25 hours is a day too.
        later = to_wall(later, scope.zone).replace(tzinfo=UTC)
        earlier = to_wall(earlier, scope.zone).replace(tzinfo=UTC)
    return _towards_zero(milliseconds(later) - milliseconds(earlier), _UNITS[name])


def _towards_zero(number: int, divisor: int) -> int:
    return -(-number // divisor) if number < 0 else number // divisor


def _months_between(later: datetime, earlier: datetime) -> int:
    """Whole months, towards zero."""
    if later < earlier:
        return -_months_between(earlier, later)
    months = (later.year - earlier.year) * 12 + later.month - earlier.month
    if months and _month_moved(earlier, months) > later:
        months -= 1
    return months


def _shown(scope: Scope, value: Any) -> datetime:
    return to_wall(date_of(value, scope), scope.zone)


@date.add("year(date)", "The year.", (f"year({_DATE})", 2016), extra="F", pure=False)
def year_(scope: Scope, value: Any) -> int | None:
    return None if is_empty(value) else _shown(scope, value).year


@date.add("month(date)", "The month, 1 to 12.", (f"month({_DATE})", 12), extra="F", pure=False)
def month_(scope: Scope, value: Any) -> int | None:
    return None if is_empty(value) else _shown(scope, value).month


@date.add(
    "dayOfMonth(date)",
    "The day of the month, 1 to 31.",
    (f"dayOfMonth({_DATE})", 8),
    extra="F",
    pure=False,
)
def day_of_month(scope: Scope, value: Any) -> int | None:
    return None if is_empty(value) else _shown(scope, value).day


@date.add(
    "dayOfWeek(date)",
    "The day of the week: 1 is Sunday, 7 Saturday.",
    ("dayOfWeek(2016-12-28T16:03:06.372Z)", 4),
    ("dayOfWeek(2016-12-25T16:03:06.372Z)", 1),
    extra="F",
    pure=False,
)
def day_of_week(scope: Scope, value: Any) -> int | None:
    return None if is_empty(value) else _shown(scope, value).isoweekday() % 7 + 1


@date.add("hour(date)", "The hour, 0 to 23.", (f"hour({_DATE})", 15), extra="F", pure=False)
def hour_(scope: Scope, value: Any) -> int | None:
    return None if is_empty(value) else _shown(scope, value).hour


@date.add("minute(date)", "The minute.", (f"minute({_DATE})", 55), extra="F", pure=False)
def minute_(scope: Scope, value: Any) -> int | None:
    return None if is_empty(value) else _shown(scope, value).minute


@date.add("second(date)", "The second.", (f"second({_DATE})", 57), extra="F", pure=False)
def second_(scope: Scope, value: Any) -> int | None:
    return None if is_empty(value) else _shown(scope, value).second


@date.add(
    "daysInMonth(date)",
    "How many days the month of the date has.",
    ("daysInMonth(2016-02-01T00:00:00.000Z)", 29),
    extra="F",
    pure=False,
)
def days_in_month_(scope: Scope, value: Any) -> int | None:
    if is_empty(value):
        return None
    shown = _shown(scope, value)
    return days_in_month(shown.year, shown.month)


@date.add(
    "daysInYear(date)",
    "How many days the year of the date has.",
    ("daysInYear(2016-06-01T00:00:00.000Z)", 366),
    extra="F",
    pure=False,
)
def days_in_year(scope: Scope, value: Any) -> int | None:
    if is_empty(value):
        return None
    return 337 + days_in_month(_shown(scope, value).year, 2)


@date.add(
    "daysInSplitWeek(date)",
    "How many of the days from Monday to Friday are left in the week or in the month of the date, "
    "whichever ends first, the date included.",
    ("daysInSplitWeek(2016-12-28T16:03:06.372Z)", 3),
    ("daysInSplitWeek(2016-01-25T16:03:06.372Z)", 5),
    extra="F",
    pure=False,
)
def days_in_split_week(scope: Scope, value: Any) -> int | None:
    if is_empty(value):
        return None
    shown = _shown(scope, value)
    left_in_month = days_in_month(shown.year, shown.month) - shown.day
    last = min(5, shown.isoweekday() + left_in_month)
    return max(0, last - shown.isoweekday() + 1)


@date.add(
    "isWeekend(date)",
    "Whether the date is a Saturday or a Sunday.",
    ("isWeekend(2016-12-10T00:00:00.000Z)", True),
    ("isWeekend(2016-12-12T00:00:00.000Z)", False),
    extra="F",
    pure=False,
)
def is_weekend(scope: Scope, value: Any) -> bool | None:
    return None if is_empty(value) else _shown(scope, value).isoweekday() > 5


@date.add(
    "startOfMonth(date)",
    "The first moment of the month.",
    ("startOfMonth(2016-06-15T12:30:00.000Z)", _utc("2016-06-01T00:00:00Z")),
    extra="F",
    pure=False,
)
def start_of_month(scope: Scope, value: Any) -> datetime | None:
    return _on_clock(scope, value, _month_start)


def _month_start(wall: datetime) -> datetime:
    return wall.replace(day=1, hour=0, minute=0, second=0, microsecond=0, fold=0)


@date.add(
    "endOfMonth(date)",
    "The last millisecond of the month.",
    ("endOfMonth(2016-02-01T00:00:00.000Z)", _utc("2016-02-29T23:59:59.999Z")),
    extra="F",
    pure=False,
)
def end_of_month(scope: Scope, value: Any) -> datetime | None:
    def change(wall: datetime) -> datetime:
        last = days_in_month(wall.year, wall.month)
        return wall.replace(day=last, hour=23, minute=59, second=59, microsecond=999_000, fold=1)

    return _on_clock(scope, value, change)


def _dates(values: tuple[Any, ...], scope: Scope) -> list[datetime]:
    found: list[datetime] = []
    for value in values:
        items = value if isinstance(value, list) else [value]
        scope.spend(len(items))
        found.extend(date_of(item, scope) for item in items if not is_empty(item))
    return found


@date.add(
    "dateMax(date; ...)",
    "The latest of the dates; null when there is none.",
    (
        "dateMax(2015-01-01T00:00:00Z; 2016-06-15T00:00:00Z; 2014-03-20T00:00:00Z)",
        _utc("2016-06-15T00:00:00Z"),
    ),
    extra="F",
    pure=False,
)
def date_max(scope: Scope, *values: Any) -> datetime | None:
    return max(_dates(values, scope), default=None)


@date.add(
    "dateMin(date; ...)",
    "The earliest of the dates; null when there is none.",
    (
        "dateMin(2016-06-01T00:00:00Z; 2016-12-01T00:00:00Z)",
        _utc("2016-06-01T00:00:00Z"),
    ),
    extra="F",
    pure=False,
)
def date_min(scope: Scope, *values: Any) -> datetime | None:
    return min(_dates(values, scope), default=None)


@date.add(
    "weekDayDiff(date2; date1)",
    "Days from the second date to the first, Saturdays and Sundays not counted; parts of days "
    "count as "
    "parts.",
    ("weekDayDiff(2016-12-07T12:00:00.000Z; 2016-12-05T00:00:00.000Z)", 2.5),
    ("weekDayDiff(2016-12-09T15:00:00.000Z; 2016-12-05T15:00:00.000Z)", 4),
    extra="F",
    pure=False,
)
def week_day_diff(scope: Scope, later: Any, earlier: Any) -> Number | None:
    if is_empty(later) or is_empty(earlier):
        return None
    return result(
        (_week_time(_shown(scope, later)) - _week_time(_shown(scope, earlier))) / 86_400_000
    )


def _week_time(wall: datetime) -> int:
    """Milliseconds of weekdays since a Monday long ago."""
    weeks, day = divmod(wall.toordinal() - 1, 7)
    spent = min(day, 5) * 86_400_000
    if day < 5:
        spent += milliseconds(wall.replace(tzinfo=UTC)) % 86_400_000
    return weeks * 5 * 86_400_000 + spent


@date.add(
    "workMinutesDiff(date1; date2)",
    "Minutes of work from the first date to the second, Monday to Friday from 9 to 17.",
    ("workMinutesDiff(2016-12-05T09:00:00.000Z; 2016-12-06T17:00:00.000Z)", 960),
    extra="F",
    pure=False,
)
def work_minutes_diff(scope: Scope, earlier: Any, later: Any) -> Number | None:
    if is_empty(later) or is_empty(earlier):
        return None
    return result(_work_minutes(_shown(scope, later)) - _work_minutes(_shown(scope, earlier)))


def _work_minutes(wall: datetime) -> float:
    weeks, day = divmod(wall.toordinal() - 1, 7)
    minutes = (weeks * 5 + min(day, 5)) * 480.0
    if day < 5:
        shown = wall.hour * 60 + wall.minute + wall.second / 60
        minutes += min(max(shown - 540, 0), 480)
    return minutes
