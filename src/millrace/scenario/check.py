"""Every problem of a scenario, each with the path to its place.

Scenarios are judged by two measures. One that was made here must be right: a reference to a module
that cannot be read is an error. One that was imported ran where it came from, where such a
reference is silently empty, so there the same is a warning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from millrace.errors import ExpressionError
from millrace.expressions import (
    OPERATOR_ALIASES,
    OPERATORS,
    compile_expression,
    compile_filter,
    compile_template,
)
from millrace.expressions.parse import DYNAMIC, KEYWORDS
from millrace.scenario.check_settings import check_settings
from millrace.scenario.model import Filter, Module, Route, Scenario, walk
from millrace.scenario.problems import Problem, Severity, nearest, path_of
from millrace.scenario.texts import Parts, module_place, route_place, texts_in

DIRECTIVES = frozenset(
    {"flow:ignore", "flow:resume", "flow:commit", "flow:rollback", "flow:break", "flow:retry"}
)
CONTAINERS = frozenset({"flow:router", "flow:if", "flow:any-of", "flow:for-each"})
TRIGGERS = frozenset({"trigger", "instant-trigger"})
CONTEXT = frozenset(
    {
        "var", "executionId", "scenarioId", "scenarioID", "scenarioName", "teamId", "teamName",
        "organizationId", "operationsConsumed", "triggerTimestamp", "scenario", "execution",
    }
)  # fmt: skip
"""First steps of a reference that are not modules."""

_ID = re.compile(r"(?:0|[1-9][0-9]*|[A-Za-z_][A-Za-z0-9_]*)\Z")
_WORDS = frozenset({*KEYWORDS, *DYNAMIC, *CONTEXT, "and", "or", "mod"})
_LENIENT = frozenset(
    {
        "reference-missing",
        "reference-later",
        "reference-sibling",
        "reference-aggregated",
        "parameter-unknown",
        "parameter-option",
        "first-filter",
        "after-router",
        "expression",
        "operator",
        "id-word",
        "id-twice",
    }
)
"""What an import may have and still run, each execution saying what it meets."""


class ParameterLike(Protocol):
    """What must be known of a parameter; ``engine.traits.ParameterTraits`` is one."""

    @property
    def name(self) -> str:
        """As scenarios say it."""
        ...

    @property
    def is_required(self) -> bool:
        """Whether it must be given when it has no default."""
        ...

    @property
    def default(self) -> Any:
        """Taken when it is not given."""
        ...

    @property
    def is_mapped(self) -> bool:
        """Whether holes in it are evaluated."""
        ...

    @property
    def options(self) -> Sequence[Any]:
        """The allowed values; empty: any."""
        ...

    @property
    def fields(self) -> Sequence[ParameterLike]:
        """Of a collection, or of the collections in an array; empty: whatever is given."""
        ...


class ModuleLike(Protocol):
    """What must be known of a module; ``engine.traits.ModuleTraits`` is one."""

    @property
    def name(self) -> str:
        """``app:module``."""
        ...

    @property
    def kind(self) -> str:
        """A kind of ``engine.traits.Kind``."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether parameters that are not declared are passed on."""
        ...

    @property
    def parameters(self) -> Sequence[ParameterLike]:
        """What it can be told."""
        ...


Lookup = Callable[[str, int | None], Any]
"""``app:module`` and version → something like `ModuleLike`, or None."""


@dataclass(frozen=True, kw_only=True)
class _Parameter:
    name: str
    is_required: bool = False
    type: str = "any"
    default: Any = None
    is_mapped: bool = True
    options: tuple[Any, ...] = ()
    fields: tuple[ParameterLike, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Flow:
    """A module that the engine carries out itself."""

    name: str = ""
    kind: str = "structure"
    is_open: bool = False
    parameters: tuple[_Parameter, ...] = ()


def _flow(*names: str, kind: str = "structure", is_open: bool = False) -> _Flow:
    """Names of parameters, with a star when they are required."""
    return _Flow(
        kind=kind,
        is_open=is_open,
        parameters=tuple(
            _Parameter(name=name.rstrip("*"), is_required=name.endswith("*")) for name in names
        ),
    )


_FLOW: Mapping[str, _Flow] = {
    "flow:router": _flow(),
    "flow:if": _flow(),
    "flow:any-of": _flow(),
    "flow:for-each": _flow("array*", "concurrency", "collect"),
    "flow:iterator": _flow("array*"),
    "flow:repeater": _flow("start", "repeats*", "step"),
    "flow:array-aggregator": _flow(
        "source*", "fields", "target", "group_by", "stop_if_empty", kind="aggregator"
    ),
    "flow:ignore": _flow(kind="directive"),
    "flow:resume": _flow(kind="directive", is_open=True),
    "flow:commit": _flow(kind="directive"),
    "flow:rollback": _flow(kind="directive"),
    "flow:break": _flow("retry", "count", "interval", kind="directive"),
    "flow:retry": _flow("times", "wait", "backoff", kind="directive"),
    "flow:throw": _flow("message", "type", kind="directive"),
}

_GATHERING = _flow("source*", "group_by", "stop_if_empty").parameters
"""What every aggregator has; no app declares it."""


def _parameters_of(traits: ModuleLike) -> Sequence[ParameterLike]:
    if traits.kind != "aggregator":
        return traits.parameters
    own = {one.name for one in traits.parameters}
    return (*(one for one in _GATHERING if one.name not in own), *traits.parameters)


def check(
    scenario: Scenario, lookup: Lookup | None = None, *, names: Iterable[str] = ()
) -> list[Problem]:
    """Every problem, in the order in which a person reads the scenario.

    Args:
        scenario: What to look at.
        lookup: The modules that exist. Without it nothing is said about modules and their
            parameters, except those under ``flow:``.
        names: The names of all modules that exist, for suggestions.
    """
    return _Check(scenario, lookup, tuple(names)).run()


@dataclass(frozen=True, kw_only=True)
class _Sight:
    """What an expression at one place can read."""

    visible: frozenset[str] = frozenset()
    aggregated: Mapping[str, str] = field(default_factory=dict)
    """Modules whose bundles went into an aggregator → that aggregator."""

    in_error_route: bool = False

    def and_then(self, *ids: str) -> _Sight:
        return replace(self, visible=self.visible | set(ids))


class _Check:
    def __init__(self, scenario: Scenario, lookup: Lookup | None, names: tuple[str, ...]) -> None:
        self.scenario = scenario
        self.lookup = lookup
        self.names = (*names, *_FLOW)
        self.problems: list[Problem] = []
        self.is_import = "make" in scenario.extra
        self.order: dict[str, int] = {}
        for place, module in enumerate(scenario.modules()):
            self.order.setdefault(module.id, place)
        self.seen: set[str] = set()

    def run(self) -> list[Problem]:
        scenario = self.scenario
        self.problems.extend(check_settings(scenario))
        self.inputs()
        end = self.flow(scenario.flow, ("flow",), _Sight(), is_top=True)
        if scenario.settings.order_by:
            first = scenario.flow[0].id if scenario.flow else ""
            sight = _Sight(visible=frozenset({first}))
            self.text(scenario.settings.order_by, ("settings", "order_by"), sight, None)
        every = replace(end, visible=frozenset(self.order))
        self.values(scenario.outputs, ("outputs",), every, None)
        self.instant()
        return self.problems

    def add(
        self,
        parts: Parts,
        message: str,
        code: str,
        module: Module | None,
        severity: Severity = "error",
    ) -> None:
        if self.is_import and code in _LENIENT:
            severity = "warning"
        self.problems.append(
            Problem(
                path=path_of(parts),
                message=message,
                code=code,
                severity=severity,
                module_id=None if module is None else module.id,
            )
        )

    def inputs(self) -> None:
        seen: set[str] = set()
        for index, one in enumerate(self.scenario.inputs):
            if one.name in seen:
                message = f"there are two inputs called {one.name}"
                self.add(("inputs", index, "name"), message, "input-twice", None)
            seen.add(one.name)

    def instant(self) -> None:
        """An instant schedule needs something that can fire."""
        schedule, flow = self.scenario.schedule, self.scenario.flow
        if self.lookup is None or schedule is None or schedule.kind != "instant" or not flow:
            return
        firsts = [route.flow[0] for route in flow[0].routes if route.flow] or [flow[0]]
        found = [self.traits(one) for one in firsts]
        if all(one is not None and one.kind != "instant-trigger" for one in found):
            message = "the first module cannot start the scenario by itself; choose when to start"
            self.add(("schedule",), message, "schedule", flow[0])

    def traits(self, module: Module) -> ModuleLike | None:
        found = None if self.lookup is None else self.lookup(module.module, module.version)
        return _FLOW.get(module.module) if found is None else found

    # A flow, module by module; gives what can be read after its end.

    def flow(
        self, flow: tuple[Module, ...], parts: Parts, sight: _Sight, *, is_top: bool = False
    ) -> _Sight:
        for index, module in enumerate(flow):
            here = (*parts, index)
            self.place(flow, index, here, sight, is_top=is_top)
            sight = self.module(module, here, sight, is_first=is_top and index == 0)
        return sight

    def place(
        self, flow: tuple[Module, ...], index: int, here: Parts, sight: _Sight, *, is_top: bool
    ) -> None:
        """What depends on where a module stands."""
        module = flow[index]
        is_first = is_top and index == 0
        is_last = all(one.is_disabled for one in flow[index + 1 :])
        traits = self.traits(module)
        if is_first and module.filter is not None and _says_something(module.filter):
            message = "the first module cannot have a filter: nothing comes before it"
            self.add((*here, "filter"), message, "first-filter", module)
        if traits is not None and traits.kind in TRIGGERS and not is_first:
            message = f"{module.module} is a trigger and can only be the first module"
            self.add((*here, "module"), message, "trigger-not-first", module)
        if module.module == "flow:any-of" and not is_first:
            message = "flow:any-of can only be the first module"
            self.add((*here, "module"), message, "trigger-not-first", module)
        if module.module in ("flow:router", "flow:if") and module.merge is None and not is_last:
            message = (
                f"nothing can follow {module.module} without merge; "
                "say under merge what its routes hand on, or move what follows into a route"
            )
            self.add(_after(here), message, "after-router", flow[index + 1])
        if module.module in DIRECTIVES:
            if not sight.in_error_route:
                message = f"{module.module} has a meaning in an error route only (on_error)"
                self.add((*here, "module"), message, "directive-outside", module)
            elif not is_last:
                message = f"{module.module} ends an error route; nothing can follow it"
                self.add((*here, "module"), message, "directive-not-last", module)

    def module(self, module: Module, here: Parts, sight: _Sight, *, is_first: bool) -> _Sight:
        self.id(module, here)
        traits = self.traits(module)
        if traits is None and (self.lookup is not None or module.module.startswith("flow:")):
            self.unknown(module, here)
        before = sight
        self.filter(module.filter, (*here, "filter"), before, module)
        self.parameters(module, traits, here, before)
        if module.module == "flow:for-each":
            self.flow(module.flow, (*here, "flow"), before.and_then(module.id))
        if module.routes or module.module in ("flow:router", "flow:if", "flow:any-of"):
            after = self.routes(module, here, before, is_first=is_first)
        else:
            after = before
        if module.on_error is not None:
            if module.module in CONTAINERS or module.module in DIRECTIVES:
                message = f"{module.module} cannot fail by itself; put the error route elsewhere"
                self.add((*here, "on_error"), message, "handler-place", module, "warning")
            inside = replace(before.and_then(module.id), in_error_route=True)
            self.flow(module.on_error, (*here, "on_error"), inside)
        if traits is not None and traits.kind == "aggregator":
            after = self.aggregator(module, here, before)
        return after.and_then(module.id)

    def id(self, module: Module, here: Parts) -> None:
        if module.id in self.seen:
            message = f"there is another module with the id {module.id}; ids must be unique"
            self.add((*here, "id"), message, "id-twice", module)
        self.seen.add(module.id)
        if not _ID.match(module.id):
            message = "an id is a number, or a word of letters, digits and _"
            self.add((*here, "id"), message, "id-word", module)
        elif module.id in _WORDS:
            message = f"{module.id} means something else in expressions; choose another id"
            self.add((*here, "id"), message, "id-word", module)

    def unknown(self, module: Module, here: Parts) -> None:
        app, _, _ = module.module.partition(":")
        pinned = "" if module.version is None else f"@{module.version}"
        if self.lookup is not None and pinned and self.lookup(module.module, None) is not None:
            message = f"there is no version {module.version} of {module.module}; remove the @"
        elif module.module in self.names or any(
            name.partition(":")[0] == app for name in self.names
        ):
            message = f"there is no module {module.module}{nearest(module.module, self.names)}"
        else:
            apps = {name.partition(":")[0] for name in self.names}
            message = f"there is no app {app} in this installation{nearest(app, apps)}"
        self.add((*here, "module"), message, "module-unknown", module)

    def aggregator(self, module: Module, here: Parts, before: _Sight) -> _Sight:
        at = (*here, "parameters", "source")
        source = module.parameters.get("source")
        if source in (None, ""):
            return before
        id = str(source)
        if id not in self.order:
            message = f"there is no module {id}{nearest(id, self.order)}"
            self.add(at, message, "source-unknown", module)
            return before
        if id not in before.visible:
            message = f"module {id} does not come before this aggregator on the same way"
            self.add(at, message, "source-not-upstream", module)
            return before
        first, last = self.order[id], self.order.get(module.id, 0)
        gone = {one for one in before.visible if first <= self.order.get(one, -1) < last}
        return replace(
            before,
            visible=before.visible - gone,
            aggregated={**before.aggregated, **dict.fromkeys(gone, module.id)},
        )

    def routes(self, module: Module, here: Parts, before: _Sight, *, is_first: bool) -> _Sight:
        word = {"flow:if": "branches", "flow:any-of": "triggers"}.get(module.module, "routes")
        if not module.routes:
            message = f"{module.module} has no {word}"
            self.add((*here, word), message, "no-routes", module, "warning")
        fallbacks = [index for index, route in enumerate(module.routes) if route.is_fallback]
        for index in fallbacks[1:]:
            message = "only one route can be the fallback"
            self.add((*here, word, index, "fallback"), message, "fallback-twice", module)
        ends: list[_Sight] = []
        for index, route in enumerate(module.routes):
            at = route_place(module, index, here)
            self.filter(route.filter, (*at, "filter"), before, module)
            if route.is_fallback and route.filter is not None and module.module == "flow:router":
                message = "a fallback route takes what no other route took; its filter is not used"
                self.add((*at, "filter"), message, "fallback-filter", module, "warning")
            elif module.module == "flow:router" and fallbacks and _always(route):
                message = "this route has no filter, so the fallback route is never taken"
                self.add(at, message, "fallback-unused", module, "warning")
            if module.module == "flow:any-of":
                inside = module_place(module, index, here, 0)
                ends.append(self.trigger(route, at, inside, before, is_first=is_first))
            else:
                inside = module_place(module, index, here, 0)[:-1]
                ends.append(self.flow(route.flow, inside, before))
        self.merge(module, here, ends)
        if module.module == "flow:any-of":
            return before.and_then(*(one for end in ends for one in end.visible))
        return before

    def trigger(
        self, route: Route, at: Parts, inside: Parts, before: _Sight, *, is_first: bool
    ) -> _Sight:
        first = route.flow[0] if route.flow else None
        traits = None if first is None else self.traits(first)
        if first is None or (traits is not None and traits.kind not in TRIGGERS):
            self.add(at, "each of flow:any-of must be a trigger", "trigger-expected", first)
        sight = before
        for index, module in enumerate(route.flow):
            here = (*at, "flow", index) if index else inside
            if index or not is_first:
                self.place(route.flow, index, here, sight, is_top=False)
            sight = self.module(module, here, sight, is_first=index == 0)
        return sight

    def merge(self, module: Module, here: Parts, ends: list[_Sight]) -> None:
        for name, values in (module.merge or {}).items():
            at = (*here, "merge", name)
            if len(values) != len(module.routes):
                message = (
                    f"one expression per route is expected, in their order: "
                    f"{len(module.routes)}, not {len(values)}"
                )
                self.add(at, message, "merge-length", module)
            for index, (value, end) in enumerate(zip(values, ends, strict=False)):
                self.values(value, (*at, index), end, module)

    # Parameters.

    def parameters(
        self, module: Module, traits: ModuleLike | None, here: Parts, sight: _Sight
    ) -> None:
        at = (*here, "parameters")
        static: set[str] = set()
        if traits is not None:
            if self.lookup is not None or module.module.startswith("flow:"):
                self.declared(
                    module.parameters, _parameters_of(traits), at, module, is_open=traits.is_open
                )
            static = {one.name for one in traits.parameters if not one.is_mapped}
        else:
            static = set(module.extra.get("make", {}).get("static", ()))
        for name, value in module.parameters.items():
            if name not in static:
                self.values(value, (*at, name), sight, module)

    def declared(
        self,
        given: Mapping[str, Any],
        declared: Sequence[ParameterLike],
        at: Parts,
        module: Module,
        *,
        is_open: bool,
    ) -> None:
        by_name = {one.name: one for one in declared}
        for name, value in given.items():
            one = by_name.get(name)
            if one is None:
                if not is_open:
                    message = f"{module.module} has no such parameter{nearest(name, by_name)}"
                    self.add((*at, name), message, "parameter-unknown", module)
            else:
                self.given(value, one, (*at, name), module)
        for one in declared:
            is_empty = given.get(one.name) in (None, "")
            if one.is_required and one.default is None and is_empty:
                message = f"is missing: {module.module} needs it"
                self.add((*at, one.name), message, "parameter-missing", module)

    def given(self, value: Any, one: ParameterLike, at: Parts, module: Module) -> None:
        if isinstance(value, str) and "{{" in value:
            if module.module == "flow:for-each" and one.name == "collect":
                # Evaluated at the end of each item's flow, where modules inside can be read.
                return
            if not one.is_mapped:
                message = "is taken as written; expressions are not evaluated here"
                self.add(at, message, "parameter-static", module, "warning")
            return
        if one.options and value not in (None, "") and not isinstance(value, dict | list):
            known = [str(option) for option in one.options]
            if str(value) not in known and f"{value}".lower() not in known:
                few = ", ".join(known[:8])
                message = f"must be one of {few}{nearest(str(value), known)}"
                self.add(at, message, "parameter-option", module)
        if one.fields and isinstance(value, dict):
            self.declared(value, one.fields, at, module, is_open=False)
        elif one.fields and isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, dict):
                    self.declared(item, one.fields, (*at, index), module, is_open=False)

    # Expressions.

    def filter(
        self, filter: Filter | None, at: Parts, sight: _Sight, module: Module | None
    ) -> None:
        if filter is None:
            return
        if filter.expression is not None:
            self.expression(filter.expression, at, sight, module)
        for row, conditions in enumerate(filter.conditions):
            for column, condition in enumerate(conditions):
                here = (*at, row, column)
                operator = condition.get("o", "exist")
                if operator in OPERATOR_ALIASES:
                    message = f"{operator} is read as {OPERATOR_ALIASES[operator]}"
                    self.add((*here, "o"), message, "operator-alias", module, "warning")
                elif operator not in OPERATORS:
                    message = f"there is no operator {operator}{nearest(str(operator), OPERATORS)}"
                    self.add((*here, "o"), message, "operator", module)
                for side in ("a", "b"):
                    self.values(condition.get(side), (*here, side), sight, module)

    def expression(self, source: str, at: Parts, sight: _Sight, module: Module | None) -> None:
        """A boolean expression, with or without braces."""
        try:
            compile_filter(source)
        except ExpressionError as error:
            self.add(at, str(error), "expression", module)
            return
        compiled = compile_template(source) if "{{" in source else compile_expression(source)
        self.references(compiled.references, at, sight, module)

    def values(self, value: Any, at: Parts, sight: _Sight, module: Module | None) -> None:
        for parts, text in texts_in(value, at):
            self.text(text, parts, sight, module)

    def text(self, text: str, at: Parts, sight: _Sight, module: Module | None) -> None:
        try:
            template = compile_template(text)
        except ExpressionError as error:
            self.add(at, str(error), "expression", module)
            return
        self.references(template.references, at, sight, module)

    def is_later(self, id: str, module: Module) -> bool:
        """Whether one module is reached after another; those inside it are not."""
        inner = {one.id for route in module.routes for one in walk(route.flow)}
        return self.order[id] > self.order.get(module.id, 0) and id not in inner

    def references(
        self, references: frozenset[str], at: Parts, sight: _Sight, module: Module | None
    ) -> None:
        for id in sorted(references - sight.visible - CONTEXT):
            place = self.order.get(id)
            if place is None:
                hint = nearest(id, self.order)
                message, code = f"there is no module {id}{hint}", "reference-missing"
            elif module is not None and id == module.id:
                message, code = "a module cannot read itself", "reference-later"
            elif id in sight.aggregated:
                by = sight.aggregated[id]
                message = f"the bundles of module {id} went into aggregator {by}; read {by} instead"
                code = "reference-aggregated"
            elif module is not None and self.is_later(id, module):
                message, code = f"module {id} comes later", "reference-later"
            else:
                message = f"module {id} lies on another way and cannot be read here"
                code = "reference-sibling"
            self.add(at, message, code, module)


def _after(here: Parts) -> Parts:
    """The path of the next module in the same flow."""
    return (*here[:-1], int(here[-1]) + 1)


def _says_something(filter: Filter) -> bool:
    return bool(filter.conditions or filter.expression)


def _always(route: Route) -> bool:
    is_open = route.filter is None or not _says_something(route.filter)
    return is_open and not route.is_fallback and not route.is_disabled


__all__ = ["Lookup", "ModuleLike", "ParameterLike", "Problem", "check"]
