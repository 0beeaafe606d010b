"""Problems of a scenario's schedule, time zone and settings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

from millrace.scenario.model import Scenario, Schedule, Settings
from millrace.scenario.problems import Problem, nearest

_TIME = re.compile(r"([01]?[0-9]|2[0-3]):[0-5][0-9]\Z")
_MONTHS = (
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
)  # fmt: skip
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_CRON = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("weekday", 0, 7, _DAYS),
)
_NEEDS = {
    "interval": "every_seconds",
    "cron": "cron",
    "once": "at",
    "daily": "at",
    "weekly": "at",
    "monthly": "at",
    "yearly": "at",
}
_KINDS = (*_NEEDS, "instant", "on-demand")


def check_settings(scenario: Scenario) -> Iterator[Problem]:
    """Every problem of schedule, time zone and settings."""
    try:
        ZoneInfo(scenario.timezone)
    except (KeyError, ValueError, OSError):
        hint = nearest(scenario.timezone, available_timezones())
        message = f"there is no time zone {scenario.timezone}{hint}"
        yield Problem(path="timezone", message=message, code="timezone")
    for key, message in _settings(scenario.settings):
        yield Problem(path=f"settings.{key}", message=message, code="settings")
    if scenario.schedule is not None:
        for key, message in _schedule(scenario.schedule):
            path = f"schedule.{key}" if key else "schedule"
            yield Problem(path=path, message=message, code="schedule")


def _settings(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.cycles < 1:
        yield "cycles", "must be at least 1"
    if settings.max_errors < 1:
        yield "max_errors", "must be at least 1"
    if settings.keep_incomplete not in ("all", "listed", "none"):
        yield "keep_incomplete", "must be one of all, listed, none"


def _schedule(schedule: Schedule) -> Iterator[tuple[str, str]]:
    kind = schedule.kind
    if kind not in _KINDS:
        yield "", f"there is no schedule {kind}{nearest(kind, _KINDS)}"
        return
    if (needed := _NEEDS.get(kind)) and getattr(schedule, needed) is None:
        yield ("every" if kind == "interval" else kind), "does not say when"
    if schedule.every_seconds is not None and schedule.every_seconds < 1:
        yield "every", "must be at least one second"
    if schedule.cron is not None and (message := cron_problem(schedule.cron)):
        yield "cron", message
    if kind == "once":
        if schedule.at is not None and _instant(schedule.at) is None:
            yield "once", "an instant is expected, such as 2027-01-31T08:00:00Z"
    elif schedule.at is not None and not _TIME.match(schedule.at):
        yield ("daily" if kind == "daily" else "at"), "a time is expected, such as 07:30"
    low, high = (0, 6) if kind == "weekly" else (1, 31)
    if kind in ("weekly", "monthly", "yearly"):
        if not schedule.days:
            yield kind, "names no day"
        elif not all(low <= day <= high for day in schedule.days):
            yield kind, f"days are numbers from {low} to {high}"
    if kind == "yearly" and not schedule.months:
        yield "months", "names no month"
    if not all(1 <= month <= 12 for month in schedule.months):
        yield "months", "months are numbers from 1 to 12"
    yield from _span(schedule)
    for index, window in enumerate(schedule.windows):
        where = f"windows[{index}]"
        if not all(0 <= day <= 6 for day in window.get("days", ())):
            yield f"{where}.days", "days are numbers from 0 (Sunday) to 6"
        if not all(1 <= month <= 12 for month in window.get("months", ())):
            yield f"{where}.months", "months are numbers from 1 to 12"
        if not all(_TIME.match(str(time)) for time in window.get("time", ())):
            yield f"{where}.time", "two times are expected, such as 08:00 and 17:30"


def _span(schedule: Schedule) -> Iterator[tuple[str, str]]:
    ends: list[datetime] = []
    for key, text in (("start", schedule.start), ("end", schedule.end)):
        if text is None:
            continue
        if (found := _instant(text)) is None:
            yield key, "an instant is expected, such as 2027-01-31T08:00:00Z"
        else:
            ends.append(found)
    if len(ends) == 2 and ends[0] >= ends[1]:
        yield "end", "comes before the start"


def _instant(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def cron_problem(text: str) -> str:
    """What is wrong with a cron expression of five fields; empty when nothing is."""
    fields = text.split()
    if len(fields) != len(_CRON):
        return "five fields are expected: minute hour day month weekday, such as 0 7 * * 1-5"
    for said, (name, low, high, words) in zip(fields, _CRON, strict=True):
        for item in said.lower().split(","):
            if not _is_cron_item(item, low, high, words, name):
                return f"{said} is no {name}: numbers from {low} to {high} are expected"
    return ""


def _is_cron_item(item: str, low: int, high: int, words: tuple[str, ...], name: str) -> bool:
    span, slash, step = item.partition("/")
    if slash and not (step.isascii() and step.isdigit() and 1 <= int(step) <= high):
        return False
    if span == "*" or (name == "day" and span == "l" and not slash):
        return True
    if name == "weekday" and not slash:
        # Second Monday: 1#2; last Friday: 5l. The scheduler understands both.
        span = re.sub(r"(#[1-5]|l)\Z", "", span)
    first, dash, last = span.partition("-")
    numbers = [_cron_number(one, low, words) for one in ((first, last) if dash else (first,))]
    if any(number is None or not low <= number <= high for number in numbers):
        return False
    return not dash or name == "weekday" or (numbers[0] or 0) <= (numbers[1] or 0)


def _cron_number(text: str, low: int, words: tuple[str, ...]) -> int | None:
    if text in words:
        return words.index(text) + low
    return int(text) if text.isascii() and text.isdigit() and len(text) < 3 else None
