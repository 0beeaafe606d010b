"""What an export of Make's says beside its modules: settings, schedule, inputs; both ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from millrace.scenario.formats.make_modules import Json, same, truth, whole_number
from millrace.scenario.model import Input, Schedule, Settings

MAKE_DEFAULTS = {
    "roundtrips": 1,
    "maxErrors": 3,
    "autoCommit": True,
    "autoCommitTriggerLast": True,
    "sequential": False,
    "confidential": False,
    "dataloss": False,
    "dlq": False,
    "freshVariables": False,
}
"""What Make does when an export says nothing: the values of nearly all public exports."""

_FLAGS = {
    "autoCommit": "auto_commit",
    "autoCommitTriggerLast": "commit_trigger_last",
    "sequential": "sequential",
    "confidential": "confidential",
    "dataloss": "drop_when_full",
    "freshVariables": "fresh_variables",
}


def read_settings(said: Any, *, is_instant: bool) -> Settings:
    """Make's behaviour as explicit settings of ours."""
    given: Json = {**MAKE_DEFAULTS, **(said if isinstance(said, dict) else {})}
    flags: Json = {
        ours: truth(given[make], bool(MAKE_DEFAULTS[make])) for make, ours in _FLAGS.items()
    }
    return Settings(
        cycles=max(1, whole_number(given["roundtrips"]) or 1),
        max_errors=max(1, whole_number(given["maxErrors"]) or 3),
        keep_incomplete="listed" if truth(given["dlq"], False) else "none",
        pause_at_first_error=is_instant,
        **flags,
    )


def write_settings(settings: Settings, original: Any) -> Json:
    """``metadata.scenario``; values of the original stay wherever they still mean the same."""
    made: Json = {
        "roundtrips": settings.cycles,
        "maxErrors": settings.max_errors,
        **{make: getattr(settings, ours) for make, ours in _FLAGS.items()},
        "dlq": settings.keep_incomplete != "none",
    }
    if not isinstance(original, dict):
        return made
    kept = dict(original)
    for key, value in made.items():
        now = {**kept, key: value}
        instant = settings.pause_at_first_error
        if read_settings(now, is_instant=instant) != read_settings(kept, is_instant=instant):
            kept[key] = value
    return kept


def read_schedule(said: Any) -> Schedule | None:
    """``scheduling``; None when it says nothing that we know."""
    if not isinstance(said, dict):
        return None
    between = said.get("between")
    between = between if isinstance(between, list) else []
    start, end = [*(one if isinstance(one, str) else None for one in between[:2]), None, None][:2]
    restrict = said.get("restrict")
    windows = tuple(
        window
        for one in (restrict if isinstance(restrict, list) else [])
        if isinstance(one, dict) and (window := _window(one))
    )
    time = said.get("time")
    numbers = {key: _numbers(said.get(key)) for key in ("days", "months")}
    kind = str(said.get("type") or "indefinitely")
    common: Json = {"start": start, "end": end, "windows": windows}
    match kind:
        case "immediately":
            return Schedule(kind="instant", **common)
        case "indefinitely":
            seconds = whole_number(said.get("interval")) or 900
            return Schedule(kind="interval", every_seconds=seconds, **common)
        case "on-demand":
            return Schedule(kind="on-demand", **common)
        case "once":
            date = said.get("date")
            return Schedule(kind="once", at=date if isinstance(date, str) else None, **common)
        case "daily" | "weekly" | "monthly" | "yearly":
            at = time[:5] if isinstance(time, str) else None
            days = () if kind == "daily" else numbers["days"]
            months = numbers["months"] if kind == "yearly" else ()
            return Schedule(kind=kind, at=at, days=days, months=months, **common)
        case _:
            return None


def _window(said: Json) -> Json:
    window: Json = {
        key: numbers for key in ("days", "months") if (numbers := _numbers(said.get(key)))
    }
    time = said.get("time")
    if isinstance(time, list) and len(time) == 2 and all(isinstance(one, str) for one in time):
        window["time"] = tuple(one[:5] for one in time)
    return window


def _numbers(said: Any) -> tuple[int, ...]:
    items = said if isinstance(said, list) else []
    return tuple(number for item in items if (number := whole_number(item)) is not None)


def write_schedule(schedule: Schedule) -> Json:
    """``scheduling`` as Make's API has it; a cron expression has no place there."""
    made: Json = {"type": schedule.kind}
    match schedule.kind:
        case "instant":
            made["type"] = "immediately"
        case "interval":
            made |= {"type": "indefinitely", "interval": schedule.every_seconds}
        case "once":
            made["date"] = schedule.at
        case "daily" | "weekly" | "monthly" | "yearly":
            made["time"] = schedule.at
            if schedule.months:
                made["months"] = list(schedule.months)
            if schedule.days:
                made["days"] = list(schedule.days)
        case _:
            pass
    if schedule.start or schedule.end:
        made["between"] = [schedule.start, schedule.end]
    if schedule.windows:
        made["restrict"] = [
            {key: list(value) for key, value in window.items()} for window in schedule.windows
        ]
    return made


def read_inputs(blueprint: Mapping[str, Any]) -> tuple[Input, ...]:
    """What a caller passes in: ``interface.input``, or ``io.input_spec`` of newer exports."""
    interface, io = blueprint.get("interface"), blueprint.get("io")
    said = interface.get("input") if isinstance(interface, dict) else None
    if said is None and isinstance(io, dict):
        said = io.get("input_spec")
    return tuple(
        Input(
            name=str(one["name"]),
            type=str(one.get("type") or "text"),
            label=str(one.get("label") or ""),
            help=str(one.get("help") or ""),
            is_required=truth(one.get("required"), False),
            default=one.get("default"),
        )
        for one in (said if isinstance(said, list) else [])
        if isinstance(one, dict) and one.get("name")
    )


def write_inputs(inputs: tuple[Input, ...], blueprint: Json) -> Json:
    """The blueprint with these inputs, left as it is when it says the same already."""
    if read_inputs(blueprint) == inputs:
        return blueprint
    said = [
        {"name": one.name, "type": one.type, "label": one.label, "required": one.is_required}
        | ({} if one.default is None else {"default": one.default})
        for one in inputs
    ]
    interface = blueprint.get("interface")
    return {**blueprint, "interface": {**(interface if isinstance(interface, dict) else {}),
                                       "input": said}}  # fmt: skip


__all__ = [
    "MAKE_DEFAULTS",
    "read_inputs",
    "read_schedule",
    "read_settings",
    "same",
    "write_inputs",
    "write_schedule",
    "write_settings",
]
