"""The scenario file: read and written. The format is described in docs/reference/scenario.md.

The declarations below are the format: they read, they complain, and ``scenario/schema.py``
publishes them. What depends on more than one module (references, routes and merges) is the concern
of ``scenario/check.py``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from millrace.scenario.formats import emit
from millrace.scenario.formats.schedule import SCHEDULE, write_schedule
from millrace.scenario.formats.shape import (
    Anything,
    Either,
    Findings,
    Flag,
    Key,
    ListOf,
    MapOf,
    Named,
    Number,
    Parts,
    Record,
    Text,
    Whole,
)
from millrace.scenario.formats.text import read_data
from millrace.scenario.model import Filter, Input, Module, Route, Scenario, Settings
from millrace.scenario.problems import invalid

VERSION = 1
RESOURCES = ("connection", "webhook", "data_store", "key", "structure")
"""What a module may name of the team's belongings."""

_OWNERS = {
    "routes": ("flow:router",),
    "branches": ("flow:if",),
    "else": ("flow:if",),
    "triggers": ("flow:any-of",),
    "flow": ("flow:for-each",),
    "merge": ("flow:router", "flow:if"),
}
_MAKE = Key(shape=Anything(), doc="What an import from Make kept for the way back.")


def read_native(source: Any) -> Scenario:
    """The scenario that a native file says, as YAML, as JSON or already as plain data.

    Raises:
        ScenarioInvalid: With every problem of the file in `problems`, each with its path.
    """
    data = read_data(source) if isinstance(source, str | bytes) else source
    findings = Findings()
    scenario = SCENARIO.read(data, (), findings)
    if findings.problems:
        raise invalid(findings.problems)
    return scenario


def write_native(scenario: Scenario, *, as_json: bool = False) -> str:
    """The scenario as a file: YAML for people, JSON for machines.

    The order of keys is that of the format's description, so that two versions compare well in git;
    what equals the default is not written.
    """
    data = native_data(scenario)
    if as_json:
        return json.dumps(data, ensure_ascii=False, indent=2) + "\n"
    return emit.to_yaml(data)


def native_data(scenario: Scenario) -> dict[str, Any]:
    """The scenario as the plain data of a native file."""
    said: dict[str, Any] = {
        "millrace": VERSION,
        "name": scenario.name,
        "description": scenario.description,
        "inputs": [_write_input(item) for item in scenario.inputs],
        "outputs": dict(scenario.outputs),
        "schedule": None if scenario.schedule is None else write_schedule(scenario.schedule),
        "timezone": "" if scenario.timezone == "UTC" else scenario.timezone,
        "settings": _write_settings(scenario.settings),
        "setup": [dict(item) for item in scenario.setup],
    }
    said = {key: value for key, value in said.items() if value}
    said["flow"] = _write_flow(scenario.flow)
    layout = {key: list(place) for key, place in scenario.layout.items()}
    notes = [_write_ids(item, "on") for item in scenario.notes]
    needs = [_write_ids(item, "for") for item in scenario.needs]
    for key, value in (("layout", layout), ("notes", notes), ("needs", needs)):
        if value:
            said[key] = value
    return said | _write_make(scenario.extra)


def _id(text: str) -> str | int:
    return int(text) if text.isascii() and text.isdigit() and str(int(text)) == text else text


def _write_ids(item: Mapping[str, Any], key: str) -> dict[str, Any]:
    said = dict(item)
    if isinstance(value := said.get(key), str):
        said[key] = _id(value)
    elif isinstance(value, list | tuple):
        said[key] = [_id(one) if isinstance(one, str) else one for one in value]
    return said


def _write_make(extra: Mapping[str, Any]) -> dict[str, Any]:
    return {"make": extra["make"]} if "make" in extra else {}


def _write_input(item: Input) -> dict[str, Any]:
    said: dict[str, Any] = {"name": item.name}
    if item.type != "text":
        said["type"] = item.type
    for key, value in (("label", item.label), ("help", item.help), ("required", item.is_required)):
        if value:
            said[key] = value
    if item.default is not None:
        said["default"] = item.default
    return said | dict(item.extra)


def _write_settings(settings: Settings) -> dict[str, Any]:
    default = Settings()
    return {
        each.name: value
        for each in fields(Settings)
        if (value := getattr(settings, each.name)) != getattr(default, each.name)
    }


def _write_flow(flow: tuple[Module, ...]) -> list[dict[str, Any]]:
    return [_write_module(module) for module in flow]


def _write_module(module: Module) -> dict[str, Any]:
    version = "" if module.version is None else f"@{module.version}"
    said: dict[str, Any] = {"id": _id(module.id), "module": module.module + version}
    if module.name:
        said["name"] = module.name
    said |= {word: module.resources[word] for word in RESOURCES if word in module.resources}
    if module.filter is not None:
        said["filter"] = _write_filter(module.filter)
    if module.parameters:
        said["parameters"] = dict(module.parameters)
    said |= _write_routes(module)
    if module.flow or module.module == "flow:for-each":
        said["flow"] = _write_flow(module.flow)
    if module.merge is not None:
        said["merge"] = {name: list(values) for name, values in module.merge.items()}
    if module.on_error is not None:
        said["on_error"] = _write_flow(module.on_error)
    if module.is_disabled:
        said["disabled"] = True
    return said | _write_make(module.extra)


def _write_routes(module: Module) -> dict[str, Any]:
    if module.module == "flow:if":
        said: dict[str, Any] = {
            "branches": [_write_route(route) for route in module.routes if not route.is_fallback]
        }
        for route in module.routes:
            if route.is_fallback:
                whole = _write_route(route)
                whole.pop("fallback")
                said["else"] = whole["flow"] if len(whole) == 1 else whole
        return said
    if module.module == "flow:any-of":
        return {"triggers": [_write_trigger(route) for route in module.routes]}
    if module.routes or module.module == "flow:router":
        return {"routes": [_write_route(route) for route in module.routes]}
    return {}


def _write_trigger(route: Route) -> dict[str, Any]:
    if route == Route(flow=route.flow) and len(route.flow) == 1:
        return _write_module(route.flow[0])
    return _write_route(route)


def _write_route(route: Route) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if route.name:
        said["name"] = route.name
    if route.filter is not None:
        said["filter"] = _write_filter(route.filter)
    if route.is_fallback:
        said["fallback"] = True
    if route.is_disabled:
        said["disabled"] = True
    said["flow"] = _write_flow(route.flow)
    return said | _write_make(route.extra)


def _write_filter(condition: Filter) -> Any:
    rows = [[dict(one) for one in row] for row in condition.conditions]
    if condition.name:
        said: dict[str, Any] = {"name": condition.name}
        if condition.expression is not None:
            return said | {"expression": condition.expression}
        return said | ({"conditions": rows} if rows else {})
    return rows if condition.expression is None else condition.expression


_ID = Either(expected="a number or a word", by_type={int: Whole(minimum=0), str: Text()}, build=str)
_FLOW = Named(name="flow", get=lambda: ListOf(item=MODULE))
_CONDITION = Record(
    doc="One comparison.",
    keys={
        "a": Key(shape=Anything(), doc="The left side, usually with a hole."),
        "o": Key(shape=Text(), doc="The operator, such as text:equal; exist when left out."),
        "b": Key(shape=Anything(), doc="The right side; none for exist and notexist."),
    },
)
_CONDITIONS = ListOf(
    item=ListOf(item=_CONDITION, hint="write a list of lists: the outer is OR, the inner AND"),
    hint="write a list of lists: the outer is OR, the inner AND",
)
_FILTER = Named(
    name="filter",
    get=lambda: Either(
        expected="conditions or one expression",
        by_type={
            str: Text(),
            list: _CONDITIONS,
            dict: Record(
                doc="A condition with a name.",
                keys={
                    "name": Key(shape=Text(), doc="Shown on the link."),
                    "conditions": Key(shape=_CONDITIONS, doc="Outer list OR, inner list AND."),
                    "expression": Key(shape=Text(), doc="One boolean expression instead."),
                },
                build=lambda found, parts, findings: _filter(found, parts, findings),
            ),
        },
        build=lambda made: (
            made
            if isinstance(made, Filter)
            else Filter(expression=made)
            if isinstance(made, str)
            else Filter(conditions=made)
        ),
    ),
)


def _filter(found: dict[str, Any], parts: Parts, findings: Findings) -> Filter:
    if "conditions" in found and "expression" in found:
        findings.add(parts, "has conditions and an expression; keep one of them")
    return Filter(
        name=found.get("name", ""),
        conditions=found.get("conditions", ()),
        expression=found.get("expression"),
    )


def _extra(found: dict[str, Any]) -> dict[str, Any]:
    return {"make": found["make"]} if "make" in found else {}


def _route(found: dict[str, Any], parts: Parts, findings: Findings) -> Route:
    return Route(
        name=found.get("name", ""),
        filter=found.get("filter"),
        is_fallback=found.get("fallback", False),
        is_disabled=found.get("disabled", False),
        flow=found.get("flow", ()),
        extra=_extra(found),
    )


_ROUTE = Record(
    doc="A way onward.",
    build=_route,
    keys={
        "name": Key(shape=Text(), doc="Shown on the canvas."),
        "filter": Key(shape=_FILTER, doc="Who may pass; on a branch of an if: its condition."),
        "fallback": Key(
            shape=Flag(), doc="Taken by bundles that passed no other route.", default=False
        ),
        "disabled": Key(shape=Flag(), doc="Never taken.", default=False),
        "flow": Key(shape=_FLOW, doc="The modules on this way.", is_required=True),
        "make": _MAKE,
    },
)
_ELSE = Either(
    expected="a list of modules",
    by_type={list: _FLOW, dict: _ROUTE},
    build=lambda made: made if isinstance(made, Route) else Route(flow=made),
)


class _Trigger:
    """One trigger of an any-of: a module, or a route that begins with one."""

    def read(self, value: Any, parts: Parts, findings: Findings) -> Any:
        if isinstance(value, dict) and "module" not in value and "flow" in value:
            return _ROUTE.read(value, parts, findings)
        module = MODULE.read(value, parts, findings)
        return None if module is None else Route(flow=(module,))

    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        return {"anyOf": [_MODULE.schema(definitions), _ROUTE.schema(definitions)]}


def _module(found: dict[str, Any], parts: Parts, findings: Findings) -> Module | None:
    name, _, pinned = found["module"].partition("@")
    if pinned and not (pinned.isascii() and pinned.isdigit() and len(pinned) < 10):
        findings.add((*parts, "module"), "after @ comes a version number, such as http:request@1")
        return None
    for key, owners in _OWNERS.items():
        if key in found and name not in owners:
            owner = " and ".join(owners)
            findings.add((*parts, key), f"belongs to {owner} only, not to {name}", "unknown-key")
    routes: tuple[Route, ...] = found.get("routes") or found.get("triggers") or ()
    if name == "flow:if":
        routes = found.get("branches", ())
        if (last := found.get("else")) is not None:
            routes += (_as_else(last),)
    return Module(
        id=found["id"],
        module=name,
        version=int(pinned) if pinned else None,
        name=found.get("name", ""),
        parameters=found.get("parameters", {}),
        resources={word: found[word] for word in RESOURCES if word in found},
        filter=found.get("filter"),
        routes=routes,
        flow=found.get("flow", ()),
        merge=found.get("merge"),
        on_error=found.get("on_error"),
        is_disabled=found.get("disabled", False),
        extra=_extra(found),
    )


def _as_else(route: Route) -> Route:
    return Route(
        name=route.name,
        filter=route.filter,
        is_fallback=True,
        is_disabled=route.is_disabled,
        flow=route.flow,
        extra=route.extra,
    )


_RECORD = Record(
    doc="One thing placed in a scenario.",
    build=_module,
    keys={
        "id": Key(shape=_ID, doc="A number or a word, unique in the file.", is_required=True),
        "module": Key(
            shape=Text(pattern=r"^[^@\s]+(@[0-9]+)?$"),
            doc="app:module, with @version when it is pinned.",
            is_required=True,
        ),
        "name": Key(shape=Text(), doc="Shown on the canvas instead of the module's label."),
        "connection": Key(shape=Text(), doc="The name of a connection of the team."),
        "webhook": Key(shape=Text(), doc="The name of a webhook of the team."),
        "data_store": Key(shape=Text(), doc="The name of a data store of the team."),
        "key": Key(shape=Text(), doc="The name of a key of the team."),
        "structure": Key(shape=Text(), doc="The name of a data structure of the team."),
        "filter": Key(shape=_FILTER, doc="The condition on the link into this module."),
        "parameters": Key(
            shape=MapOf(value=Anything()), doc="What the module is told; texts may hold {{ }}."
        ),
        "routes": Key(shape=ListOf(item=_ROUTE), doc="flow:router: the ways onward."),
        "branches": Key(shape=ListOf(item=_ROUTE), doc="flow:if: the first true one is taken."),
        "else": Key(shape=_ELSE, doc="flow:if: taken when no branch is true."),
        "triggers": Key(
            shape=ListOf(item=_Trigger()), doc="flow:any-of: whichever fires; others are empty."
        ),
        "flow": Key(shape=_FLOW, doc="flow:for-each: what is done for each item."),
        "merge": Key(
            shape=MapOf(value=ListOf(item=Anything())),
            doc="Router and if: field to one expression per route, in their order, else last.",
        ),
        "on_error": Key(shape=_FLOW, doc="The error route; its last module may be a directive."),
        "disabled": Key(shape=Flag(), doc="Passed over.", default=False),
        "make": _MAKE,
    },
)
_MODULE = Named(name="module", get=lambda: _RECORD)
MODULE = _MODULE


def _input(found: dict[str, Any], parts: Parts, findings: Findings) -> Input:
    kept = ("options", "make")
    return Input(
        name=found["name"],
        type=found.get("type", "text"),
        label=found.get("label", ""),
        help=found.get("help", ""),
        is_required=found.get("required", False),
        default=found.get("default"),
        extra={key: found[key] for key in kept if key in found},
    )


_INPUT = Record(
    doc="A value that a caller passes in; expressions say {{var.input.name}}.",
    build=_input,
    keys={
        "name": Key(shape=Text(), doc="What expressions call it.", is_required=True),
        "type": Key(shape=Text(), doc="A parameter type.", default="text"),
        "label": Key(shape=Text(), doc="What people call it."),
        "help": Key(shape=Text(), doc="A sentence below the field."),
        "required": Key(shape=Flag(), doc="Must be given.", default=False),
        "default": Key(shape=Anything(), doc="Taken when it is not given."),
        "options": Key(shape=Anything(), doc="The values to choose from."),
        "make": _MAKE,
    },
)
_SETTINGS = Record(
    doc="How the scenario runs.",
    build=lambda found, parts, findings: Settings(**found),
    keys={
        "sequential": Key(
            shape=Flag(), doc="One execution at a time, in order of arrival.", default=False
        ),
        "confidential": Key(shape=Flag(), doc="Keep no bundle data in the history.", default=False),
        "cycles": Key(shape=Whole(minimum=1), doc="Most cycles of one execution.", default=1),
        "auto_commit": Key(
            shape=Flag(), doc="Each module commits after its own operation.", default=True
        ),
        "commit_trigger_last": Key(
            shape=Flag(), doc="The trigger commits when the cycle is done.", default=True
        ),
        "keep_incomplete": Key(
            shape=Text(choices=("all", "listed", "none")),
            doc="Which failed bundles are kept; listed: the error types that Make keeps.",
            default="all",
        ),
        "drop_when_full": Key(
            shape=Flag(), doc="What does not fit is dropped instead of stopping.", default=False
        ),
        "max_errors": Key(
            shape=Whole(minimum=1), doc="Failed executions in a row before a pause.", default=10
        ),
        "pause_at_first_error": Key(
            shape=Flag(), doc="One failed execution pauses the scenario.", default=False
        ),
        "order_by": Key(shape=Text(), doc="Events with the same value run in order of arrival."),
        "fresh_variables": Key(
            shape=Flag(), doc="Variables are forgotten at each cycle.", default=False
        ),
    },
)
_NOTE = Record(
    doc="A remark on the canvas.",
    keys={
        "on": Key(shape=_ID, doc="The module it stands at."),
        "text": Key(shape=Text(), doc="The remark.", is_required=True),
        "at": Key(shape=ListOf(item=Number(), length=2), doc="x and y on the canvas."),
        "color": Key(shape=Text(), doc="A CSS colour."),
        "make": _MAKE,
    },
)
_NEED = Record(
    doc="Something of the team's that the importer must provide.",
    keys={
        **{
            word: Key(shape=Text(), doc=f"The name of a {word} in this file.") for word in RESOURCES
        },
        "app": Key(shape=Text(), doc="The app it belongs to."),
        "type": Key(shape=Text(), doc="What kind, when the app has several."),
        "label": Key(shape=Text(), doc="What people called it."),
        "for": Key(shape=ListOf(item=_ID), doc="The modules that use it."),
        "make": _MAKE,
    },
)


def _scenario(found: dict[str, Any], parts: Parts, findings: Findings) -> Scenario:
    return Scenario(
        name=found.get("name", ""),
        description=found.get("description", ""),
        inputs=found.get("inputs", ()),
        outputs=found.get("outputs", {}),
        schedule=found.get("schedule"),
        timezone=found.get("timezone", "UTC"),
        settings=found.get("settings", Settings()),
        setup=found.get("setup", ()),
        flow=found.get("flow", ()),
        layout=found.get("layout", {}),
        notes=found.get("notes", ()),
        needs=found.get("needs", ()),
        extra=_extra(found),
    )


class _Version:
    """The version of the format."""

    def read(self, value: Any, parts: Parts, findings: Findings) -> Any:
        if isinstance(value, int) and not isinstance(value, bool) and value > VERSION:
            findings.add(
                parts, f"this file needs a newer Millrace; this one reads {VERSION}", "version"
            )
        elif value != VERSION or isinstance(value, bool):
            findings.add(parts, f"must be {VERSION}", "version")
        return value

    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        return {"const": VERSION}


SCENARIO = Record(
    doc="A Millrace scenario.",
    build=_scenario,
    keys={
        "millrace": Key(shape=_Version(), doc="Version of the format.", is_required=True),
        "name": Key(shape=Text(), doc="What people call it."),
        "description": Key(shape=Text(), doc="What it does."),
        "inputs": Key(shape=ListOf(item=_INPUT), doc="What a caller passes in."),
        "outputs": Key(
            shape=MapOf(value=Anything()), doc="What a caller gets back: name to expression."
        ),
        "schedule": Key(shape=SCHEDULE, doc="When it starts by itself."),
        "timezone": Key(shape=Text(), doc="IANA name, such as Europe/Prague.", default="UTC"),
        "settings": Key(shape=_SETTINGS, doc="How it runs."),
        "setup": Key(shape=ListOf(item=MapOf(value=Anything())), doc="A template's questions."),
        "flow": Key(shape=_FLOW, doc="The modules, in order.", is_required=True),
        "layout": Key(
            shape=MapOf(value=ListOf(item=Number(), length=2)),
            doc="The canvas: module id to x and y; never part of the meaning.",
        ),
        "notes": Key(shape=ListOf(item=_NOTE), doc="Remarks on the canvas."),
        "needs": Key(shape=ListOf(item=_NEED), doc="Written on export, asked for on import."),
        "make": _MAKE,
    },
)
"""The shape of a whole file."""
