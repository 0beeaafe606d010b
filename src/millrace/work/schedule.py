"""When a scenario starts next: pure functions of a schedule, a time zone and an instant.

Rules, also for the two days a year on which clocks change:

- Intervals are real time. They count from the scheduled start before, not from the end of an
  execution, and do not care about clocks.
- A local time that does not exist (clocks go forward) happens at the first instant after the gap.
- A local time that exists twice (clocks go back) happens once, the first time.
- A date that does not exist is skipped: day 31 of June, 29 February.
- ``cron`` follows the Debian cron: at fixed hours as above; with ``*`` in minutes or hours, real
time.
- A start that falls outside the windows, or before the beginning, is left out, not moved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from millrace.errors import ScenarioInvalid
from millrace.scenario.model import Schedule

_TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_HORIZON = timedelta(days=366 * 30)
"""Nothing farther away is looked for. The longest real gap is 8 years: 29 February around 2100."""

_ATTEMPTS = 5000
"""Starts looked at before giving up: a daily start that its windows never allow ends here."""


def next_due(
    schedule: Schedule, timezone: str, after: datetime, *, anchor: datetime | None = None
) -> datetime | None:
    """The first start later than `after`, in UTC; None when there is none.

    Args:
        schedule: When to start.
        timezone: An IANA name; local times and dates are of this zone.
        after: An aware instant: usually now, so that starts missed while nothing ran are not
            made up for one by one.
        anchor: The last scheduled start. Intervals go on from there; without it they begin at the
            schedule's own start, or else at `after`.

    Raises:
        ScenarioInvalid: the schedule or the time zone cannot be understood.
    """
    zone = _zone(timezone)
    following = _following(schedule, zone, after, anchor)
    if following is None:
        return None
    begin = _instant(schedule.start, zone) if schedule.start else None
    end = _instant(schedule.end, zone, is_end=True) if schedule.end else None
    windows = [_Window(window) for window in schedule.windows]
    position = after if begin is None else max(after, begin - _TICK)
    for _ in range(_ATTEMPTS):
        due = following(position)
        if due is None or due > after + _HORIZON or (end is not None and due > end):
            return None
        if not windows or any(window.is_open(due.astimezone(zone)) for window in windows):
            return due
        openings = [opening for w in windows if (opening := w.opening(due, zone)) is not None]
        if not openings:
            return None
        position = min(openings) - _TICK
    return None


def upcoming(
    schedule: Schedule, timezone: str, after: datetime, *, count: int
) -> Iterator[datetime]:
    """The next starts, at most `count` of them: what the editor shows beside a schedule.

    Raises:
        ScenarioInvalid: the schedule or the time zone cannot be understood.
    """
    anchor = None
    for _ in range(count):
        due = next_due(schedule, timezone, after, anchor=anchor)
        if due is None:
            return
        yield due
        after = anchor = due


def _following(
    schedule: Schedule, zone: ZoneInfo, after: datetime, anchor: datetime | None
) -> Callable[[datetime], datetime | None] | None:
    """A function from an instant to the first start later than it, of the schedule's kind."""
    match schedule.kind:
        case "on-demand" | "instant":
            return None
        case "interval":
            if not schedule.every_seconds or schedule.every_seconds < 1:
                raise ScenarioInvalid("The schedule's interval must be at least one second.")
            start = _instant(schedule.start, zone) if schedule.start else None
            base, every = anchor or start or after, timedelta(seconds=schedule.every_seconds)
            return lambda position: _step(position, base, every)
        case "once":
            if not schedule.at:
                raise ScenarioInvalid("The schedule says once, but not when.")
            once = _instant(schedule.at, zone)
            return lambda position: once if once > position else None
        case "cron":
            return lambda position: _cron(schedule.cron or "", zone, position)
        case "daily" | "weekly" | "monthly" | "yearly":
            at = _time(schedule.at or "00:00")
            is_day = _days(schedule)
            return lambda position: _dated(position, at, is_day, zone)
        case _:
            raise ScenarioInvalid(f"There is no schedule of the kind {schedule.kind!r}.")


def _step(position: datetime, base: datetime, every: timedelta) -> datetime:
    """The first of base, base + every, base + 2 every … later than `position`."""
    if position < base:
        return base.astimezone(UTC)
    return (base + ((position - base) // every + 1) * every).astimezone(UTC)


def _cron(text: str, zone: ZoneInfo, position: datetime) -> datetime | None:
    from cronsim import CronSim, CronSimError

    try:
        starts = CronSim(text, position.astimezone(zone))
    except CronSimError as error:
        raise ScenarioInvalid(
            f"The schedule's cron line {text!r} is not valid: {error}."
        ) from error
    for start in starts:
        due = start.astimezone(UTC)
        # In the repeated hour cronsim answers with its first pass, which may be over.
        if due > position:
            return due
    return None


def _days(schedule: Schedule) -> Callable[[date], bool]:
    """Whether something starts on a date."""
    days, months = frozenset(schedule.days), frozenset(schedule.months)
    if schedule.kind == "daily":
        return lambda day: True
    if schedule.kind == "yearly" and not months:
        raise ScenarioInvalid("The schedule says yearly, but names no months.")
    if not days:
        raise ScenarioInvalid(f"The schedule says {schedule.kind}, but names no days.")
    if schedule.kind == "weekly":
        _within(days, 0, 6, "weekly schedule's days")
        return lambda day: _weekday(day) in days
    _within(days, 1, 31, f"{schedule.kind} schedule's days")
    if schedule.kind == "monthly":
        return lambda day: day.day in days
    _within(months, 1, 12, "schedule's months")
    return lambda day: day.month in months and day.day in days


def _dated(
    position: datetime, at: time, is_day: Callable[[date], bool], zone: ZoneInfo
) -> datetime | None:
    # One day early: where clocks went forward over midnight, yesterday's start may be today.
    day = position.astimezone(zone).date() - _DAY
    last = day + _HORIZON
    while day < last:
        if is_day(day):
            due = _resolved(datetime.combine(day, at), zone)
            if due > position:
                return due
        day += _DAY
    return None


def _resolved(local: datetime, zone: ZoneInfo) -> datetime:
    """The instant of a local time; in a gap, the first instant after it; the first of two."""
    first = local.replace(tzinfo=zone, fold=0)
    instant = first.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local:
        return instant
    # In a gap `fold` chooses between the offsets before and after it: the change lies between.
    early = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    late = instant
    offset = late.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            late = middle
        else:
            early = middle
    return late.replace(microsecond=0)


class _Window:
    """A part of the week and year in which starts are allowed; both its times belong to it."""

    def __init__(self, said: Any) -> None:
        try:
            self._days = frozenset(said.get("days") or ())
            self._months = frozenset(said.get("months") or ())
            begin, end = said.get("time") or ("00:00", "23:59")
            self._begin, self._end = _time(begin), _time(end)
        except (AttributeError, TypeError, ValueError) as error:
            raise ScenarioInvalid(
                "A window of the schedule needs days, months or a time as [from, to]."
            ) from error
        _within(self._days, 0, 6, "window's days")
        _within(self._months, 1, 12, "window's months")

    def is_open(self, local: datetime) -> bool:
        """Whether a start at this local time is allowed."""
        now = local.time().replace(second=0, microsecond=0)
        today = local.date()
        if self._begin <= self._end:
            return self._is_day(today) and self._begin <= now <= self._end
        # Over midnight: the small hours belong to the day before.
        return (now >= self._begin and self._is_day(today)) or (
            now <= self._end and self._is_day(today - _DAY)
        )

    def opening(self, after: datetime, zone: ZoneInfo) -> datetime | None:
        """When it opens next after an instant at which it is closed; None: never."""
        return _dated(after, self._begin, self._is_day, zone)

    def _is_day(self, day: date) -> bool:
        return (not self._days or _weekday(day) in self._days) and (
            not self._months or day.month in self._months
        )


def _weekday(day: date) -> int:
    """0 for Sunday to 6 for Saturday."""
    return day.isoweekday() % 7


def _within(numbers: frozenset[int], least: int, most: int, what: str) -> None:
    for number in numbers:
        if not isinstance(number, int) or not least <= number <= most:
            raise ScenarioInvalid(f"The {what} are numbers from {least} to {most}, not {number!r}.")


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ScenarioInvalid(
            f"There is no time zone {name!r}. Use a name such as Europe/Prague or UTC."
        ) from error


def _time(text: str) -> time:
    try:
        found = time.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise ScenarioInvalid(f"The schedule's time {text!r} is not like 07:30.") from error
    if found.tzinfo is not None:
        raise ScenarioInvalid(f"The schedule's time {text!r} is local: leave the zone out.")
    return found


def _instant(text: str, zone: ZoneInfo, *, is_end: bool = False) -> datetime:
    """An ISO instant; without an offset it is local, and a bare date ends with its last second."""
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise ScenarioInvalid(
            f"The schedule's date {text!r} is not like 2026-03-29T07:30:00+02:00."
        ) from error
    if is_end and len(text.strip()) <= len("2026-03-29"):
        found += _DAY - timedelta(seconds=1)
    return found.astimezone(UTC) if found.tzinfo else _resolved(found, zone)
