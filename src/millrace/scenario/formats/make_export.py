"""Scenarios written as exports of Make's.

What came from Make goes back as it was, except where it was changed here; how, is said in
``make_modules``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from millrace.scenario.formats.make import (
    BUILTIN,
    NOTHING_KNOWN,
    branch_of,
    branch_order,
    read_branch,
    read_merge,
    route_filter,
    schedule_of,
    write_route_filter,
)
from millrace.scenario.formats.make_modules import (
    Json,
    MakeModule,
    Parts,
    has_place,
    read_filter,
    restored,
    spec_of,
    truth,
    write_filter,
    write_parts,
)
from millrace.scenario.formats.make_scenario import (
    read_settings,
    write_inputs,
    write_schedule,
    write_settings,
)
from millrace.scenario.model import Module, Route, Scenario
from millrace.scenario.problems import Problem, invalid

_UNSAYABLE = frozenset({"flow:for-each", "flow:any-of", "flow:retry", "flow:throw"})
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|`[^`]*`|\"(?:[^\"]|\"\")*\"|[0-9]+|\S|\s+")


def write_make(scenario: Scenario, known: Mapping[str, MakeModule] = NOTHING_KNOWN) -> Any:
    """The scenario as plain data that Make imports; in the wrappers that it came in.

    Ids that are words become numbers, in expressions too, since Make knows only these.

    Raises:
        ScenarioInvalid: Something in it cannot be said in Make; each problem says what.
    """
    return _Writer(scenario, known).scenario()


class _Writer:
    def __init__(self, scenario: Scenario, known: Mapping[str, MakeModule]) -> None:
        self.source = scenario
        self.known = known
        self.placed: set[str] = set()
        self.beside: list[Json] = []
        """Modules of routes that name theirs by id; they stand after the router."""

        self.problems: list[Problem] = []
        used = [int(each.id) for each in scenario.modules() if each.id.isdigit()]
        self.next_id = max(used, default=0) + 1
        self.numbers = self._numbers()

    def _numbers(self) -> dict[str, int]:
        """New numbers for ids that Make cannot have; words that came from there stay."""
        numbers: dict[str, int] = {}
        for module in self.source.modules():
            theirs = module.extra.get("make", {}).get("word_id")
            if not module.id.isdigit() and module.id != theirs and module.id not in numbers:
                numbers[module.id] = self.fresh()
        return numbers

    def fresh(self) -> int:
        self.next_id += 1
        return self.next_id - 1

    def scenario(self) -> Any:
        source = self.source
        kept = source.extra.get("make", {})
        flow = self.flow(source.flow)
        if source.schedule is not None and source.schedule.kind == "cron":
            self.problem("schedule", "Make has no cron schedules; choose another way", None)
        if self.problems:
            raise invalid(self.problems)
        if self.numbers:
            flow = _renumbered(flow, self.numbers)
        blueprint: Json = {
            "name": source.name,
            "description": source.description,
            "flow": flow,
            **kept.get("blueprint", {"metadata": {"version": 1, "designer": {"orphans": []}}}),
        }
        for key, value in (("name", source.name), ("description", source.description)):
            if value:
                blueprint[key] = value
            elif key not in kept.get("blueprint", {}):
                del blueprint[key]
        blueprint, envelope = self.timed(blueprint, kept.get("envelope", []))
        blueprint = write_inputs(source.inputs, blueprint)
        return _wrapped(blueprint, envelope)

    def timed(self, blueprint: Json, envelope: list[Any]) -> tuple[Json, list[Any]]:
        """With the schedule and the settings, where they are not what the export said."""
        source = self.source
        is_instant = source.schedule is not None and source.schedule.kind == "instant"
        metadata = blueprint.get("metadata")
        metadata = dict(metadata) if isinstance(metadata, dict) else {}
        if source.schedule is not None and schedule_of(blueprint, envelope) != source.schedule:
            scheduling = write_schedule(source.schedule)
            beside = [
                index for index, one in enumerate(envelope) if "scheduling" in one.get("rest", {})
            ]
            if beside:
                rest = {**envelope[beside[-1]]["rest"], "scheduling": scheduling}
                envelope = [*envelope]
                envelope[beside[-1]] = {**envelope[beside[-1]], "rest": rest}
            else:
                blueprint = {**blueprint, "scheduling": scheduling}
            metadata["instant"] = is_instant
        said = metadata.get("scenario")
        settings = replace(source.settings, pause_at_first_error=is_instant)
        if read_settings(said, is_instant=is_instant) != replace(settings, order_by=None):
            metadata["scenario"] = write_settings(settings, said)
        if metadata or "metadata" in blueprint:
            original = blueprint.get("metadata")
            blueprint = {**blueprint, "metadata": metadata or original}
        return blueprint, envelope

    def problem(self, path: str, message: str, module_id: str | None) -> None:
        self.problems.append(
            Problem(path=path, message=message, code="not-in-make", module_id=module_id)
        )

    def flow(self, flow: tuple[Module, ...]) -> list[Json]:
        return [written for module in flow for written in self.module(module)]

    def named(self, module: Module) -> tuple[str, MakeModule | None, Mapping[str, Any]]:
        """Make's name of a module, its conversion, and what stands beside it, if it still fits."""
        kept = module.extra.get("make", {})
        was = kept.get("was", "")
        spec = spec_of(was.strip(), self.known)
        if was and spec is not None and spec.module == module.module:
            return was, spec, kept
        if was and was.strip() == module.module:
            return was, None, kept
        fitting = [
            (name, one)
            for name, one in {**BUILTIN, **self.known}.items()
            if one.module == module.module
            and all(module.parameters.get(key) == value for key, value in one.constants.items())
        ]
        if not fitting:
            return module.module, None, {}
        name, one = max(fitting, key=lambda pair: len(pair[1].constants))
        return name, one, {}

    def module(self, module: Module) -> list[Json]:
        name, spec, kept = self.named(module)
        path = f"module {module.id}"
        if module.module in _UNSAYABLE:
            self.problem(path, f"Make has nothing like {module.module}", module.id)
        if module.module == "flow:router" and module.merge is not None:
            self.problem(path, "a router in Make cannot merge; use an if", module.id)
        if module.is_disabled and module.module != "placeholder:Placeholder":
            self.problem(path, "Make cannot pass over a single module; remove it", module.id)
        id = kept.get("if_id", "") or module.id
        if module.module == "flow:if" and module.merge is not None and "if_id" not in kept:
            id = str(self.fresh())
        place = None if module.id in self.placed else self.source.layout.get(module.id)
        self.placed.add(module.id)
        if has_place(kept):
            place = None
        parts = Parts(
            # An id that was made up on import is not there for Make.
            id="" if kept.get("fresh_id") == id else id,
            version=module.version if spec is None else None,
            name=module.name,
            place=None if place is None else (place[0], place[1]),
            parameters=module.parameters,
            resources=module.resources,
            filter=module.filter,
            fallback=self.fallback(module, kept),
        )
        made = restored(write_parts(parts, name, spec, kept), parts, kept, spec)
        beside: list[Json] = []
        if module.module == "flow:if" and (module.routes or not kept):
            made["branches"] = [
                self.branch(module.routes[at], module) for at in branch_order(module.routes)
            ]
        elif module.routes or (module.module == "flow:router" and not kept):
            outer, self.beside = self.beside, []
            routes = [self.route(route) for route in module.routes]
            beside, self.beside = self.beside, outer
            if kept.get("routes_in_mapper"):
                made["mapper"] = {**(made.get("mapper") or {}), "routes": routes}
            else:
                made["routes"] = routes
        if module.on_error is not None:
            made["onerror"] = self.flow(module.on_error)
        if module.module == "flow:if" and module.merge is not None:
            return [made, self.merge(module, kept)]
        return [made, *beside]

    def fallback(self, module: Module, kept: Mapping[str, Any]) -> int | None:
        if module.module != "flow:router":
            return None
        for index, route in enumerate(module.routes):
            if route.is_fallback:
                return index
        stale = kept.get("stale_else")
        return stale if isinstance(stale, int) and stale >= len(module.routes) else None

    def route(self, route: Route) -> Any:
        kept = route.extra.get("make", {})
        made: Json = {}
        flow = self.flow(route.flow)
        own = kept.get("on_route", {})
        was = read_filter(own.get("filter") or own.get("condition"))
        said = write_route_filter(route.name, route.filter)
        if own and route_filter(was, route.is_fallback) == (route.name, route.filter):
            made |= own
        elif said is not None and (own or not flow):
            made["filter"] = said
        elif "first_filter" in kept or said is not None:
            original = kept.get("first_filter")
            read = route_filter(read_filter(original), route.is_fallback)
            if "first_filter" in kept and read == (route.name, route.filter):
                said = original
            if flow and said is not None:
                flow[0]["filter"] = _both(said, flow[0].get("filter"))
        if "disabled" in kept and truth(kept["disabled"], False) == route.is_disabled:
            made["disabled"] = kept["disabled"]
        elif route.is_disabled:
            made["disabled"] = True
        if kept.get("is_ids"):
            self.beside.extend(flow)
            made["flow"] = [one["id"] for one in flow]
            return {**made, **kept.get("rest", {})}
        if kept.get("is_list") and not made:
            return flow
        if flow or "has_flow" not in kept:
            made["flow"] = flow
        elif kept["has_flow"]:
            made["flow"] = kept.get("flow")
        return {**made, **kept.get("rest", {})}

    def branch(self, route: Route, module: Module) -> Json:
        said = branch_of(route)
        kept = route.extra.get("make", {})
        made = dict(said)
        meant = {
            "name": route.name,
            "filter": route.filter,
            "is_fallback": route.is_fallback,
            "is_disabled": route.is_disabled,
        }
        if "branch" not in kept or read_branch(said) != meant:
            made["type"] = "else" if route.is_fallback else "condition"
            made["label"] = route.name
            if not route.is_fallback:
                made["conditions"] = (write_filter(route.filter) or {"conditions": []})[
                    "conditions"
                ]
            if route.is_disabled or "disabled" in made:
                made["disabled"] = route.is_disabled
        merging = _merges(module, route)
        if truth(made.get("merge"), False) != merging:
            made["merge"] = merging
        flow = self.flow(route.flow)
        if flow or "has_flow" not in kept:
            made["flow"] = flow
        elif kept["has_flow"]:
            made["flow"] = kept.get("flow")
        return made

    def merge(self, module: Module, kept: Mapping[str, Any]) -> Json:
        id = int(module.id) if module.id.isdigit() else module.id
        new = {"module": "builtin:BasicMerge", "version": 1, "parameters": {}, "mapper": None}
        made = dict(kept["merge"]) if "merge" in kept else {"id": id, **new}
        if "merge" in kept and module.id != kept.get("merge_id"):
            made["id"] = id
        merge = module.merge or {}
        if read_merge(made, module.routes) != merge:
            order = [at for at in branch_order(module.routes) if _merges(module, module.routes[at])]
            made["outputs"] = [
                {"name": name, "mappings": [values[at] for at in order]}
                for name, values in merge.items()
            ]
        return made


def _merges(module: Module, route: Route) -> bool:
    """Whether what reaches the end of a branch goes on; no expression at all means no."""
    said = truth(branch_of(route).get("merge"), False)
    if module.merge is None:
        return said
    is_old = "branch" in route.extra.get("make", {})
    merge = module.extra.get("make", {}).get("merge")
    if is_old and merge is not None and read_merge(merge, module.routes) == module.merge:
        return said
    at = next(index for index, one in enumerate(module.routes) if one is route)
    values = [each[at] for each in module.merge.values() if at < len(each)]
    return any(value is not None for value in values) or (not values and (said or not is_old))


def _both(outer: Json, inner: Any) -> Json:
    """The filter of a route and that of its first module stand in one place in Make."""
    other = read_filter(inner)
    first = read_filter(outer)
    if other is None or not (other.conditions or other.expression):
        return outer
    if first is None or not (first.conditions or first.expression):
        return {**(write_filter(other) or {}), "name": outer.get("name", "")}
    rows = [
        [*one, *two]
        for one in (write_filter(first) or {})["conditions"]
        for two in (write_filter(other) or {})["conditions"]
    ]
    return {**outer, "conditions": rows}


def _wrapped(blueprint: Json, envelope: list[Any]) -> Any:
    made: Any = blueprint
    for wrapper in reversed(envelope):
        if wrapper.get("is") == "flow":
            made = made["flow"]
        elif wrapper.get("is") == "list":
            others = list(wrapper["others"])
            made = [*others[: wrapper["index"]], made, *others[wrapper["index"] :]]
        elif wrapper.get("is_text"):
            text = json.dumps(made, ensure_ascii=False)
            made = {wrapper["key"]: text, **wrapper["rest"]}
        else:
            made = {wrapper["key"]: made, **wrapper["rest"]}
    return made


def _renumbered(value: Any, numbers: Mapping[str, int]) -> Any:
    if isinstance(value, str):
        return _renamed_references(value, numbers) if "{{" in value else value
    if isinstance(value, list):
        return [_renumbered(item, numbers) for item in value]
    if not isinstance(value, dict):
        return value
    made = {
        key: item if key == "metadata" else _renumbered(item, numbers)
        for key, item in value.items()
    }
    for key in ("id", "feeder"):
        if (
            isinstance(made.get(key), str)
            and made[key] in numbers
            and (key == "feeder" or "module" in made)
        ):
            made[key] = numbers[made[key]]
    return made


def _renamed_references(text: str, numbers: Mapping[str, int]) -> str:
    """The text with the first steps of its references renamed, inside holes and outside quotes."""
    pieces = re.split(r"(\{\{|\}\})", text)
    inside = False
    for index, piece in enumerate(pieces):
        if piece in ("{{", "}}"):
            inside = piece == "{{"
        elif inside:
            pieces[index] = _renamed(piece, numbers)
    return "".join(pieces)


def _renamed(expression: str, numbers: Mapping[str, int]) -> str:
    made: list[str] = []
    before = ""
    tokens = _IDENTIFIER.findall(expression)
    for index, token in enumerate(tokens):
        bare = token.strip("`")
        after = next((one for one in tokens[index + 1 :] if not one.isspace()), "")
        if bare in numbers and before != "." and after != "(" and not token.startswith('"'):
            token = f"`{numbers[bare]}`" if token.startswith("`") else str(numbers[bare])
        made.append(token)
        if not token.isspace():
            before = token
    return "".join(made)


__all__ = ["write_make"]
