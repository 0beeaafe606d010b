"""A scenario compiled: nodes that know what follows them, closures instead of templates.

Compiling is done once per scenario version; the plan is shared by all its executions and never
changes. It is forgiving where ``scenario/check.py`` is strict: what cannot run fails when it is
reached, with the reason, so that an import with unknown modules can be run up to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from millrace.engine import directives
from millrace.engine.flow import (
    aggregator,
    call,
    converger,
    for_each,
    iterator,
    repeater,
    router,
    variables,
)
from millrace.engine.node import Condition, Node, Way
from millrace.engine.parameters import compile_parameters, evaluator
from millrace.engine.traits import ModuleTraits
from millrace.errors import ExpressionError
from millrace.expressions import Scope, compile_filter
from millrace.scenario.model import Filter, Module, Scenario, walk

Lookup = Callable[[str, int | None], ModuleTraits | None]

_INLINE: Mapping[str, Any] = {
    "flow:iterator": iterator.enter,
    "flow:repeater": repeater.enter,
    "flow:router": router.enter,
    "flow:if": converger.enter_if,
    "flow:for-each": for_each.enter,
    "flow:ignore": directives.ignore,
    "flow:resume": directives.resume,
    "flow:commit": directives.commit,
    "flow:rollback": directives.rollback,
    "flow:break": directives.break_,
    "flow:retry": directives.retry,
    "flow:throw": directives.throw,
    "tools:set-variable": variables.set_variable,
    "tools:set-variables": variables.set_variables,
    "tools:get-variable": variables.get_variable,
    "tools:get-variables": variables.get_variables,
    "tools:increment": variables.increment,
    "tools:sleep": variables.sleep,
}
"""What the engine carries out itself, because it is about the execution and not about the outside."""

_OPEN = ModuleTraits(name="", is_open=True)


class Plan:
    """A compiled scenario."""

    def __init__(self, scenario: Scenario, zone: tzinfo) -> None:
        self.scenario = scenario
        self.zone = zone
        self.nodes: list[Node] = []
        self.by_id: dict[str, Node] = {}
        self.first: Node | None = None
        self.triggers: dict[str, Node] = {}
        """Modules that may start the scenario: the first one, or those inside a first any-of."""
        self.outputs: dict[str, Callable[[Scope], Any]] = {}

    @property
    def responder(self) -> Node | None:
        """The first module that answers a webhook, when there is one."""
        for node in self.nodes:
            if node.traits is not None and node.traits.kind == "responder":
                return node
        return None


def compile_plan(scenario: Scenario, lookup: Lookup) -> Plan:
    """Compile a scenario.

    Args:
        scenario: Any scenario, checked or not.
        lookup: What is known of a module by name and version; None for one that is not installed.
    """
    return _Compiler(scenario, lookup).compile()


class _Compiler:
    def __init__(self, scenario: Scenario, lookup: Lookup) -> None:
        try:
            zone: tzinfo = ZoneInfo(scenario.timezone or "UTC")
        except (KeyError, ValueError, OSError):
            zone = ZoneInfo("UTC")
        self.plan = Plan(scenario, zone)
        self.lookup = lookup
        self.order: list[str] = [module.id for module in walk(scenario.flow)]

    def compile(self) -> Plan:
        plan, flow = self.plan, self.plan.scenario.flow
        if flow and flow[0].module == "flow:any-of":
            after = self.flow(flow[1:], None)
            for route in flow[0].routes:
                for module in route.flow[:1]:
                    trigger = self.module(module, after)
                    trigger.is_trigger = True
                    plan.triggers[trigger.id] = trigger
            plan.first = next(iter(plan.triggers.values()), None)
        elif flow:
            plan.first = self.flow(flow, None)
            if plan.first is not None:
                plan.triggers[plan.first.id] = plan.first
                traits = plan.first.traits
                plan.first.is_trigger = traits is not None and traits.kind in (
                    "trigger",
                    "instant-trigger",
                )
        self.connect_aggregators()
        plan.outputs = {name: evaluator(raw) for name, raw in plan.scenario.outputs.items()}
        return plan

    def flow(self, flow: tuple[Module, ...], tail: Node | None) -> Node | None:
        """Compile a flow from its end; `tail` is what follows its last module."""
        following = tail
        for module in reversed(flow):
            if not module.is_disabled:
                following = self.module(module, following)
        return following

    def node(self, id: str, module: Module, traits: ModuleTraits | None) -> Node:
        node = Node(index=len(self.plan.nodes), id=id, module=module, traits=traits)
        self.plan.nodes.append(node)
        return node

    def module(self, module: Module, following: Node | None) -> Node:
        traits = self.lookup(module.module, module.version)
        node = self.node(module.id, module, traits)
        self.plan.by_id[module.id] = node
        node.next = following
        node.label = _label(module, traits)
        node.condition = self.condition(module.filter)
        enter = _INLINE.get(module.module)
        if enter is not None:
            node.enter, node.is_inline = enter, True
            # Directives and variables take whatever fields they are given; arrays are checked here.
            node.parameters = compile_parameters(module.parameters, _OPEN, zone=self.plan.zone)
        elif traits is None:
            node.enter = call.enter
            node.problem = (
                f"there is no module {module.module} in this installation. Replace the module, or "
                "install the app that offers it"
            )
        elif traits.kind == "aggregator":
            self.aggregator(node, module, traits)
        else:
            node.enter = call.enter
            node.parameters = compile_parameters(module.parameters, traits, zone=self.plan.zone)
        if module.routes and module.module in ("flow:router", "flow:if"):
            self.container(node, module)
        elif module.module == "flow:for-each":
            self.for_each(node, module)
        if module.on_error is not None:
            node.has_handler = True
            node.handler = self.flow(module.on_error, None)
        return node

    def condition(self, filter: Filter | None) -> Condition | None:
        if filter is None or (not filter.conditions and not filter.expression):
            return None
        what = filter.expression or [[dict(c) for c in group] for group in filter.conditions]
        try:
            return compile_filter(what)
        except ExpressionError as error:
            return _raising(error)

    def container(self, node: Node, module: Module) -> None:
        node.inner_ids = tuple(m.id for route in module.routes for m in walk(route.flow))
        ways = []
        for index, route in enumerate(module.routes):
            if route.is_disabled:
                continue
            first = self.flow(route.flow, self.merge_point(node, module, index))
            ways.append(
                Way(
                    index=index,
                    condition=self.condition(route.filter),
                    first=first,
                    is_fallback=route.is_fallback,
                )
            )
        # A fallback is looked at after all others, wherever it stands.
        node.ways = tuple(sorted(ways, key=lambda way: way.is_fallback))
        if module.merge is not None:
            return
        # Without a merge nothing follows a container: its routes are the ends of the flow.
        node.next = None

    def merge_point(self, container: Node, module: Module, index: int) -> Node | None:
        if module.merge is None:
            return None
        fields = []
        for name, expressions in module.merge.items():
            raw = expressions[index] if index < len(expressions) else None
            fields.append((name, raw))
        if fields and all(raw is None for _, raw in fields):
            return None
        point = self.node(module.id, module, container.traits)
        point.enter, point.next, point.label = (
            converger.enter_merge,
            container.next,
            container.label,
        )
        point.merge = tuple((name, evaluator(raw)) for name, raw in fields)
        return point

    def for_each(self, node: Node, module: Module) -> None:
        node.inner_ids = tuple(m.id for m in walk(module.flow))
        parameters = {k: v for k, v in module.parameters.items() if k != "collect"}
        node.parameters = compile_parameters(parameters, _OPEN, zone=self.plan.zone)
        collect = self.node(module.id, module, node.traits)
        collect.enter, collect.label = for_each.enter_collect, node.label
        if "collect" in module.parameters:
            collect.static = evaluator(module.parameters["collect"])
        else:
            last = module.flow[-1].id if module.flow else module.id
            collect.static = lambda scope: scope.bundles.get(last)
        node.first = self.flow(module.flow, collect)

    def aggregator(self, node: Node, module: Module, traits: ModuleTraits) -> None:
        zone, raw = self.plan.zone, module.parameters
        node.enter = aggregator.enter
        node.parameters = compile_parameters(raw, traits, zone=zone, only=lambda p: p.is_mapped)
        node.static = compile_parameters(raw, traits, zone=zone, only=lambda p: not p.is_mapped)
        if raw.get("group_by") not in (None, ""):
            node.group_by = evaluator(raw["group_by"])
        node.stop_if_empty = raw.get("stop_if_empty") in (True, "true")

    def connect_aggregators(self) -> None:
        places = {id: place for place, id in enumerate(self.order)}
        for node in self.plan.nodes:
            if node.enter is not aggregator.enter:
                continue
            source = self.plan.by_id.get(str(node.module.parameters.get("source", "")))
            if source is None or places.get(source.id, -1) >= places[node.id]:
                node.problem = (
                    "its source must be an earlier module whose bundles reach it; choose one"
                )
                continue
            node.source = source
            source.feeds = (*source.feeds, node)
            between = slice(places[source.id], places[node.id])
            node.hides = tuple(self.order[between])
        for node in self.plan.nodes:
            # Aggregators of one source speak in the order in which they are read.
            node.feeds = tuple(sorted(node.feeds, key=lambda fed: places[fed.id]))


def _label(module: Module, traits: ModuleTraits | None) -> str:
    app = (traits.app_label if traits else "") or module.module.partition(":")[0]
    name = module.name or (traits.label if traits else "") or module.module.partition(":")[2]
    return f'{app}, module {module.id} "{name}"'


def _raising(error: ExpressionError) -> Condition:
    message, position, function = error.args[0], error.position, error.function

    def raises(scope: Scope) -> bool:
        raise ExpressionError(message, position=position, function=function)

    return raises


__all__ = ["Lookup", "Plan", "compile_plan"]
