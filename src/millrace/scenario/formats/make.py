"""Exports of Make's, read.

Accepted are the editor's export, the answers of its API, what its clipboard holds, templates, and
the like written by hand or by a language model: numbers and booleans as text, missing mappers,
filters on the route instead of on its first module. What has no meaning for us is kept under
``make``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from millrace.scenario.formats.make_modules import (
    BUILTIN,
    Json,
    MakeModule,
    kept_of,
    read_filter,
    read_parts,
    resource_label,
    resource_type,
    same,
    spec_of,
    truth,
    write_filter,
)
from millrace.scenario.formats.make_scenario import read_inputs, read_schedule, read_settings
from millrace.scenario.formats.text import read_data
from millrace.scenario.model import Filter, Module, Route, Scenario, Schedule
from millrace.scenario.problems import Problem, invalid, path_of

NOTHING_KNOWN: Mapping[str, MakeModule] = MappingProxyType({})
INSTANT = frozenset({"gateway:CustomWebHook", "gateway:CustomMailHook"})
"""First modules that start a scenario whatever ``metadata.instant`` says."""

DEFAULT_INTERVAL_SECONDS = 900
"""How often Make starts an imported scenario: an export of the editor has no schedule."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*:[A-Za-z0-9_.-]+\Z")
_NATIVE_ONLY = {
    "millrace",
    "settings",
    "schedule",
    "timezone",
    "layout",
    "needs",
    "setup",
    "inputs",
}
_NATIVE_MODULE = {"on_error", "connection", "webhook", "data_store", "structure", "merge"}


def is_make(data: Any) -> bool:
    """Whether data looks like an export of Make's and not like a scenario file."""
    if isinstance(data, list):
        return True
    if not isinstance(data, dict) or "millrace" in data:
        return False
    if {"blueprint", "response", "subflows"} & data.keys():
        return True
    if "flow" not in data:
        return False
    if {"metadata", "scheduling"} & data.keys():
        return True
    flow = data["flow"] if isinstance(data["flow"], list) else []
    modules = [module for module in flow if isinstance(module, dict)]
    keys = {key for module in modules for key in module}
    if {"mapper", "metadata", "onerror", "version"} & keys:
        return True
    return not (data.keys() & _NATIVE_ONLY or keys & _NATIVE_MODULE)


def read_make(data: Any, known: Mapping[str, MakeModule] = NOTHING_KNOWN) -> Scenario:
    """The scenario that an export says.

    Args:
        data: The export as plain data, or its text.
        known: Make's module → ours, from the apps that are installed. Modules not in it stay as
            they are; the engine says so when one of them is reached.

    Raises:
        ScenarioInvalid: Where there should be a flow of modules is something else.
    """
    if isinstance(data, str | bytes):
        data = read_data(data)
    blueprint, envelope = _open(data)
    return _Reader(known).scenario(blueprint, envelope)


def _open(data: Any) -> tuple[Json, list[Any]]:
    """The blueprint inside its wrappers, and what is needed to wrap it again."""
    envelope: list[Any] = []
    while True:
        if isinstance(data, list):
            flows = [
                one for one in data if isinstance(one, dict) and isinstance(one.get("flow"), list)
            ]
            if (
                not flows
                and data
                and all(isinstance(one, dict) and "module" in one for one in data)
            ):
                envelope.append({"is": "flow"})
                return {"flow": data}, envelope
            data = _main(data, flows, envelope, "subflows")
        elif not isinstance(data, dict):
            raise _no_flow()
        elif isinstance(data.get("flow"), list):
            return data, envelope
        elif isinstance(data.get("blueprint"), str):
            # Some calls of the API give the blueprint as a text inside the answer.
            envelope.append(
                {"key": "blueprint", "is_text": True, "rest": _without(data, "blueprint")}
            )
            data = read_data(data["blueprint"])
        elif key := next((key for key in ("blueprint", "response") if data.get(key)), None):
            envelope.append({"key": key, "rest": _without(data, key)})
            data = data[key]
        elif isinstance(data.get("subflows"), list):
            envelope.append({"key": "subflows", "rest": _without(data, "subflows")})
            data = data["subflows"]
        else:
            raise _no_flow()


def _without(data: Json, key: str) -> Json:
    return {name: value for name, value in data.items() if name != key}


def _main(items: list[Any], flows: list[Json], envelope: list[Any], key: str) -> Json:
    """The flow that is meant when there are several: the longest; the others are kept."""
    if not flows:
        raise _no_flow()
    main = max(flows, key=lambda one: len(one["flow"]))
    index = next(place for place, one in enumerate(items) if one is main)
    envelope.append({"is": "list", "index": index, "others": items[:index] + items[index + 1 :]})
    return main


def _no_flow() -> Exception:
    message = "this is no scenario: there is no list of modules under flow"
    return invalid([Problem(path="flow", message=message, code="shape")])


class _Reader:
    def __init__(self, known: Mapping[str, MakeModule]) -> None:
        self.known = known
        self.layout: dict[str, tuple[float, float]] = {}
        self.needs: dict[tuple[str, str], dict[str, Any]] = {}
        self.problems: list[Problem] = []
        self.next_id = 1

    def scenario(self, blueprint: Json, envelope: list[Any]) -> Scenario:
        self.next_id = 1 + max(_ids(blueprint["flow"]), default=0)
        flow = self.flow(blueprint["flow"], ("flow",))
        if self.problems:
            raise invalid(self.problems)
        metadata = blueprint.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        schedule = schedule_of(blueprint, envelope)
        name, described = blueprint.get("name"), blueprint.get("description")
        kept: Json = {"blueprint": {key: blueprint[key] for key in blueprint if key != "flow"}}
        for key, value in (("name", name), ("description", described)):
            if value and isinstance(value, str):
                kept["blueprint"].pop(key)
        if envelope:
            kept["envelope"] = envelope
        return Scenario(
            name=name if isinstance(name, str) else "",
            description=described if isinstance(described, str) else "",
            inputs=read_inputs(blueprint),
            schedule=schedule,
            settings=read_settings(metadata.get("scenario"), is_instant=schedule.kind == "instant"),
            flow=flow,
            layout=self.layout,
            needs=tuple(self.needs.values()),
            extra={"make": kept},
        )

    def flow(self, said: list[Any], parts: tuple[str | int, ...]) -> tuple[Module, ...]:
        modules: list[Module] = []
        taken = 0
        for index, one in enumerate(said):
            here = (*parts, index)
            if taken:
                taken -= 1
                continue
            if isinstance(one, dict) and "Router" in str(one.get("module")):
                one, taken = _routes_by_id(one, said[index + 1 :])
            if not isinstance(one, dict) or not isinstance(one.get("module"), str):
                message = "a module is expected: a map that names one under module"
                self.problems.append(Problem(path=path_of(here), message=message))
                continue
            before = modules[-1] if modules else None
            if one["module"] == "builtin:BasicMerge" and before and _can_merge(before):
                modules[-1] = self.merged(before, one)
            else:
                modules.append(self.module(one, here))
        return tuple(modules)

    def module(self, said: Json, parts: tuple[str | int, ...]) -> Module:
        name = said["module"].strip()
        spec = spec_of(name, self.known)
        moved = False
        if spec is not None and spec.module == "flow:router":
            said, moved = _routes_out_of_mapper(said)
        read = read_parts(said, spec)
        fresh = None
        if not read.id:
            read = replace(read, id=str(self.next_id))
            self.next_id += 1
            fresh = read.id
        if read.place is not None:
            if read.id in self.layout:
                read = replace(read, place=None)
            else:
                self.layout[read.id] = read.place
        ours = "" if spec is None else spec.module
        holders = {"onerror": True, "routes": ours == "flow:router", "branches": ours == "flow:if"}
        inner = {
            key
            for key, is_held in holders.items()
            if is_held and isinstance(said.get(key), list) and said[key]
        }
        kept = kept_of(said, name, read, spec, inner)
        if name != said["module"]:
            kept["was"] = said["module"]
        if fresh is not None:
            kept["fresh_id"] = fresh
        elif not read.id.isdigit():
            kept["word_id"] = read.id
        if moved:
            kept["routes_in_mapper"] = True
        if read.fallback is not None and read.fallback >= len(said.get("routes") or ()):
            kept["stale_else"] = read.fallback
        for word, named in read.resources.items():
            self.need(word, named, read.id, said, kept["resources"][word][0])
        routes: tuple[Route, ...] = ()
        if "routes" in inner:
            routes = tuple(
                self.route(one, index == read.fallback, (*parts, "routes", index))
                for index, one in enumerate(said["routes"])
            )
        elif "branches" in inner:
            routes = tuple(
                self.branch(one, index, (*parts, "branches", index))
                for index, one in enumerate(said["branches"])
            )
            # Ours has its else last; where it stood is kept with it.
            routes = tuple(sorted(routes, key=lambda route: route.is_fallback))
        on_error = None
        if "onerror" in inner:
            on_error = self.flow(said["onerror"], (*parts, "onerror"))
        return Module(
            id=read.id,
            module=name if spec is None else spec.module,
            version=read.version,
            name=read.name,
            parameters=read.parameters,
            resources=read.resources,
            filter=read.filter,
            routes=routes,
            on_error=on_error,
            # An unfinished place in the editor: nothing happens there.
            is_disabled=name == "placeholder:Placeholder",
            extra={"make": kept},
        )

    def need(self, word: str, named: str, id: str, said: Json, parameter: str) -> None:
        need = self.needs.get((word, named))
        if need is None:
            need = {word: named, "app": said["module"].partition(":")[0]}
            if type_ := resource_type(said, parameter):
                need["type"] = type_
            if label := resource_label(said, parameter):
                need["label"] = label
            self.needs[word, named] = need
        need["for"] = (*need.get("for", ()), id)

    def route(self, said: Any, is_fallback: bool, parts: tuple[str | int, ...]) -> Route:
        kept: Json = {}
        if isinstance(said, list):
            kept["is_list"] = True
            said = {"flow": said}
        if not isinstance(said, dict):
            self.problems.append(
                Problem(path=path_of(parts), message="a map with a flow is expected")
            )
            return Route()
        flow = said.get("flow")
        if said.get("flow_is_ids"):
            kept["is_ids"] = True
            said = _without(said, "flow_is_ids")
        elif isinstance(flow, list) and not all(isinstance(one, dict) for one in flow):
            # Ids of modules that are nowhere to be found.
            said = {**said, "flow": None}
            kept["flow"], kept["has_flow"], flow = flow, True, None
        own = {key: said[key] for key in ("filter", "condition") if key in said}
        condition = read_filter(said.get("filter") or said.get("condition"))
        inside = flow if isinstance(flow, list) else []
        first = inside[0] if inside and isinstance(inside[0], dict) else None
        if condition is None and first is not None and isinstance(first.get("filter"), dict):
            # In Make the condition of a route stands on its first module.
            condition = read_filter(first["filter"])
            shown = write_route_filter(*route_filter(condition, is_fallback))
            if shown is None or not same(shown, first["filter"]):
                kept["first_filter"] = first["filter"]
            flow = [_without(first, "filter"), *inside[1:]]
        elif condition is not None:
            kept["on_route"] = own
        rest = {
            key: value
            for key, value in said.items()
            if key not in ("flow", "disabled") and not ("on_route" in kept and key in own)
        }
        if not isinstance(said.get("flow"), list) and "flow" not in kept:
            kept["flow"] = said.get("flow")
            kept["has_flow"] = "flow" in said
        is_disabled = truth(said.get("disabled"), False)
        if "disabled" in said and not same(said["disabled"], True):
            kept["disabled"] = said["disabled"]
        if rest:
            kept["rest"] = rest
        name, filter = route_filter(condition, is_fallback)
        return Route(
            name=name,
            filter=filter,
            is_fallback=is_fallback,
            is_disabled=is_disabled,
            flow=self.flow(flow, (*parts, "flow")) if isinstance(flow, list) else (),
            extra={"make": kept} if kept else {},
        )

    def branch(self, said: Any, index: int, parts: tuple[str | int, ...]) -> Route:
        if not isinstance(said, dict):
            self.problems.append(Problem(path=path_of(parts), message="a branch is expected"))
            return Route()
        flow = said.get("flow")
        return Route(
            **read_branch(said),
            flow=self.flow(flow, (*parts, "flow")) if isinstance(flow, list) else (),
            extra={
                "make": {"at": index, "branch": _without(said, "flow")}
                | ({} if isinstance(flow, list) else {"flow": flow, "has_flow": "flow" in said})
            },
        )

    def merged(self, before: Module, said: Json) -> Module:
        """An if-else and the merge after it are one container of ours, with the merge's id."""
        read = read_parts(said, None)
        id = read.id or str(self.next_id)
        if not read.id:
            self.next_id += 1
        merge = read_merge(said, before.routes)
        if before.id in self.layout:
            self.layout[id] = self.layout.pop(before.id)
        kept = {**before.extra["make"], "merge": said, "merge_id": id, "if_id": before.id}
        for need in self.needs.values():
            need["for"] = tuple(id if one == before.id else one for one in need["for"])
        return replace(before, id=id, merge=merge, extra={"make": kept})


def read_branch(said: Json) -> Json:
    """What a branch of an if-else means, without its flow."""
    is_else = str(said.get("type", "")).lower() == "else"
    label = said.get("label", said.get("name"))
    condition = read_filter({"conditions": said.get("conditions")})
    return {
        "name": label if isinstance(label, str) else "",
        "filter": None if is_else else condition,
        "is_fallback": is_else,
        "is_disabled": truth(said.get("disabled"), False),
    }


def read_merge(said: Json, routes: tuple[Route, ...]) -> dict[str, tuple[Any, ...]]:
    """The outputs of a merge: name → one expression per route, None for routes that end there."""
    # Make lists the mappings in its order of the branches, and only of those that merge.
    merging = [
        index
        for index in branch_order(routes)
        if truth(branch_of(routes[index]).get("merge"), False)
    ]
    merge: dict[str, tuple[Any, ...]] = {}
    outputs = said.get("outputs")
    for output in outputs if isinstance(outputs, list) else []:
        if not isinstance(output, dict) or not isinstance(output.get("name"), str):
            continue
        mappings = output.get("mappings")
        values: list[Any] = [None] * len(routes)
        for index, value in zip(
            merging, mappings if isinstance(mappings, list) else (), strict=False
        ):
            values[index] = value
        merge[output["name"]] = tuple(values)
    return merge


def branch_order(routes: tuple[Route, ...]) -> list[int]:
    """The indexes of the branches in the order in which Make had them; new ones come last."""
    places = [route.extra.get("make", {}).get("at", len(routes)) for route in routes]
    return sorted(range(len(routes)), key=lambda index: places[index])


def branch_of(route: Route) -> Json:
    """What Make said of a branch, without its flow."""
    return route.extra.get("make", {}).get("branch", {})


def _can_merge(module: Module) -> bool:
    return module.module == "flow:if" and module.merge is None


def _ids(flow: Any) -> list[int]:
    """The numbers used as ids anywhere in a flow, so that a new one is new."""
    found: list[int] = []
    waiting = [flow]
    while waiting:
        at = waiting.pop()
        if isinstance(at, dict):
            number = at.get("id")
            if "module" in at and isinstance(number, int | str) and str(number).isdigit():
                found.append(int(number))
            waiting.extend(at.values())
        elif isinstance(at, list):
            waiting.extend(at)
    return [number for number in found if number < 10**15]


def _routes_out_of_mapper(said: Json) -> tuple[Json, bool]:
    mapper = said.get("mapper")
    if isinstance(mapper, dict) and isinstance(mapper.get("routes"), list) and "routes" not in said:
        return {**said, "mapper": _without(mapper, "routes"), "routes": mapper["routes"]}, True
    return said, False


def _routes_by_id(router: Json, following: list[Any]) -> tuple[Json, int]:
    """A router whose routes name modules that stand right after it, with these modules inside.

    Language models write exports like this. Gives the router and how many modules moved into it.
    """
    opened, moved = _routes_out_of_mapper(router)
    routes = opened.get("routes")
    if not isinstance(routes, list) or not all(isinstance(one, dict) for one in routes):
        return router, 0
    flows = [one.get("flow") for one in routes]
    ids = [id for flow in flows if isinstance(flow, list) for id in flow]
    next_ids = [one.get("id") for one in following[: len(ids)] if isinstance(one, dict)]
    if not ids or ids != next_ids or not all(isinstance(id, int) for id in ids):
        return router, 0
    modules = iter(following)
    made = [
        {**one, "flow": [next(modules) for _ in flow], "flow_is_ids": True}
        if isinstance(flow := one.get("flow"), list)
        else one
        for one in routes
    ]
    if moved:
        return {**router, "mapper": {**router["mapper"], "routes": made}}, len(ids)
    return {**router, "routes": made}, len(ids)


def route_filter(condition: Filter | None, is_fallback: bool) -> tuple[str, Filter | None]:
    """A condition as the name and the filter of a route.

    The conditions of a fallback route are leftovers in Make's editor and are not looked at.
    """
    if condition is None:
        return "", None
    if is_fallback or not (condition.conditions or condition.expression):
        return condition.name, None
    return condition.name, replace(condition, name="")


def write_route_filter(name: str, filter: Filter | None) -> Json | None:
    """The filter of a route's first module; None when the route says nothing."""
    if filter is None and not name:
        return None
    return write_filter(replace(filter or Filter(), name=name))


def _scheduling(blueprint: Json, envelope: list[Any]) -> Any:
    """Inside the blueprint, or beside it in a wrapper."""
    beside = (wrapper.get("rest", {}).get("scheduling") for wrapper in reversed(envelope))
    return blueprint.get("scheduling") or next((one for one in beside if one), None)


def schedule_of(blueprint: Json, envelope: list[Any]) -> Schedule:
    """When the scenario of an export starts; what Make does when the export does not say."""
    said = read_schedule(_scheduling(blueprint, envelope))
    metadata = blueprint.get("metadata")
    if said is not None:
        return said
    metadata = metadata if isinstance(metadata, dict) else {}
    first = blueprint["flow"][0] if blueprint["flow"] else None
    name = first.get("module") if isinstance(first, dict) else None
    if truth(metadata.get("instant"), False) or name in INSTANT:
        return Schedule(kind="instant")
    return Schedule(kind="interval", every_seconds=DEFAULT_INTERVAL_SECONDS)


__all__ = [
    "BUILTIN",
    "MakeModule",
    "branch_of",
    "branch_order",
    "is_make",
    "read_branch",
    "read_make",
    "read_merge",
    "route_filter",
    "schedule_of",
    "write_route_filter",
]
