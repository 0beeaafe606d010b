"""The ``schedule:`` of a scenario file: ``{every: 15 minutes}``, ``{daily: "07:00"}`` and so on."""

from __future__ import annotations

import re
from typing import Any

from millrace.scenario.formats.shape import (
    Either,
    Findings,
    Flag,
    Key,
    ListOf,
    Parts,
    Record,
    Text,
    Whole,
)
from millrace.scenario.model import Schedule
from millrace.scenario.problems import nearest

_UNITS = {"day": 86_400, "hour": 3_600, "minute": 60, "second": 1}
_SHORT = {"s": "second", "sec": "second", "m": "minute", "min": "minute", "h": "hour", "d": "day"}
_SPAN = re.compile(r"\s*(?:([1-9][0-9]{0,8})\s*)?([A-Za-z]+)\s*\Z")
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
_WAYS = ("every", "cron", "daily", "weekly", "monthly", "yearly", "once", "instant", "on-demand")


class _Span:
    """A span of time in words."""

    def read(self, value: Any, parts: Parts, findings: Findings) -> Any:
        match = _SPAN.match(value) if isinstance(value, str) else None
        unit = "" if match is None else match[2].lower()
        unit = _SHORT.get(unit, unit.removesuffix("s"))
        if match is None or unit not in _UNITS:
            findings.add(parts, "a number with a unit is expected, such as 15 minutes", "schedule")
            return None
        return int(match[1] or 1) * _UNITS[unit]

    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^([1-9][0-9]* *)?[A-Za-z]+$"}


class _Names:
    """A list of numbers or of English names; a name may be cut after three letters."""

    def __init__(self, names: tuple[str, ...], first: int) -> None:
        self.names = names
        self.first = first

    def read(self, value: Any, parts: Parts, findings: Findings) -> Any:
        items = value if isinstance(value, list) else [value]
        made: list[int] = []
        for index, item in enumerate(items):
            if isinstance(item, int) and not isinstance(item, bool):
                made.append(item)
                continue
            word = item.lower() if isinstance(item, str) else ""
            hits = [
                n for n, name in enumerate(self.names) if len(word) > 2 and name[:3] == word[:3]
            ]
            if hits and self.names[hits[0]].startswith(word):
                made.append(hits[0] + self.first)
            else:
                hint = nearest(word, self.names) if word else ""
                findings.add((*parts, index), f"a number or an English name is expected{hint}")
        return tuple(made)

    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        return {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "string"}]}}


_TIME = Text(pattern=r"^[0-2]?[0-9]:[0-5][0-9]$")
_WINDOW = Record(
    doc="A span of time in which a start is allowed.",
    keys={
        "days": Key(shape=_Names(_DAYS, 0), doc="Days of the week, 0 is Sunday."),
        "months": Key(shape=_Names(_MONTHS, 1), doc="Months, 1 is January."),
        "time": Key(shape=ListOf(item=_TIME, length=2), doc="From and to, local time HH:MM."),
    },
)


def _build(found: dict[str, Any], parts: Parts, findings: Findings) -> Schedule | None:
    ways = [way for way in _WAYS if way in found]
    if len(ways) != 1:
        findings.add(parts, f"exactly one of {', '.join(_WAYS)} is expected", "schedule")
        return None
    way, value = ways[0], found[ways[0]]
    if way in ("weekly", "monthly", "yearly") and "at" not in found:
        findings.add((*parts, "at"), "is missing: the local time HH:MM", "missing-key")
    if way == "yearly" and "months" not in found:
        findings.add((*parts, "months"), "is missing: the months, 1 to 12", "missing-key")
    for key, ways_with_it in (("at", ("weekly", "monthly", "yearly")), ("months", ("yearly",))):
        if key in found and way not in ways_with_it:
            findings.add((*parts, key), f"means nothing with {way}", "schedule")
    return Schedule(
        kind="interval" if way == "every" else way,
        every_seconds=value if way == "every" else None,
        cron=value if way == "cron" else None,
        at=value if way in ("daily", "once") else found.get("at"),
        days=value if way in ("weekly", "monthly", "yearly") else (),
        months=found.get("months", ()),
        start=found.get("start"),
        end=found.get("end"),
        windows=found.get("windows", ()),
    )


SCHEDULE = Either(
    expected="a way to start such as {every: 15 minutes}",
    by_type={
        str: Text(choices=("on-demand", "instant")),
        dict: Record(
            doc="When the scenario starts by itself; exactly one way.",
            build=_build,
            keys={
                "every": Key(shape=_Span(), doc="A span of time: 15 minutes, 2 hours, 1 day."),
                "cron": Key(shape=Text(), doc="Five fields: minute hour day month weekday."),
                "daily": Key(shape=_TIME, doc="Every day at this local time, HH:MM."),
                "weekly": Key(shape=_Names(_DAYS, 0), doc="Days of the week, 0 is Sunday."),
                "monthly": Key(
                    shape=ListOf(item=Whole()),
                    doc="Days of the month; a day that a month lacks is skipped.",
                ),
                "yearly": Key(shape=ListOf(item=Whole()), doc="Days of the months in `months`."),
                "once": Key(shape=Text(), doc="One instant, ISO 8601."),
                "instant": Key(shape=Flag(), doc="Whenever something arrives."),
                "on-demand": Key(shape=Flag(), doc="Only when someone asks."),
                "months": Key(shape=_Names(_MONTHS, 1), doc="With yearly: 1 is January."),
                "at": Key(shape=_TIME, doc="With weekly, monthly, yearly: local time HH:MM."),
                "start": Key(shape=Text(), doc="Nothing starts before this instant, ISO 8601."),
                "end": Key(shape=Text(), doc="Nothing starts after this instant, ISO 8601."),
                "windows": Key(
                    shape=ListOf(item=_WINDOW), doc="Only inside these; any of them is enough."
                ),
            },
        ),
    },
    build=lambda made: Schedule(kind=made) if isinstance(made, str) else made,
)
"""Read into a `Schedule`."""


def write_schedule(schedule: Schedule) -> Any:
    """The schedule as a file says it."""
    said: dict[str, Any] = {}
    match schedule.kind:
        case "on-demand" | "instant" as way:
            if not (schedule.start or schedule.end or schedule.windows):
                return way
            said[way] = True
        case "interval":
            said["every"] = _in_words(schedule.every_seconds or 0)
        case "cron":
            said["cron"] = schedule.cron
        case "daily" | "once" as way:
            said[way] = schedule.at
        case way:
            said[way] = list(schedule.days)
            if schedule.months:
                said["months"] = list(schedule.months)
            said["at"] = schedule.at
    if schedule.start:
        said["start"] = schedule.start
    if schedule.end:
        said["end"] = schedule.end
    if schedule.windows:
        said["windows"] = [
            {key: list(value) for key, value in window.items()} for window in schedule.windows
        ]
    return said


def _in_words(seconds: int) -> str:
    for unit, size in _UNITS.items():
        if seconds and seconds % size == 0:
            number = seconds // size
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return f"{seconds} seconds"
