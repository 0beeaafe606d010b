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
"""What the engine carries out itself, because it is about the execution, not about the outside."""

_DIRECTIVES = ("ignore", "resume", "commit", "rollback", "break", "retry", "throw")
_NO_OPERATION = frozenset({"flow:router", *(f"flow:{name}" for name in _DIRECTIVES)})
"""Source: Make's help on operations: routers, filters and directives are not counted."""

_OPEN = ModuleTraits(name="", is_open=True)
_GATHERING = frozenset({"source", "group_by", "stop_if_empty", "target"})
"""Parameters of every aggregator that are the engine's business."""


class Plan:
    """A compiled scenario."""

    def __init__(self, scenario: Scenario, zone: tzinfo) -> None:
        self.scenario = scenario
        self.zone = zone
        self.nodes: list[Node] = []
        self.by_id: dict[str, Node] = {}
        self.by_place: dict[str, Node] = {}
        """What a resumption may name: modules, and the merge points of their containers."""
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
        self.places = {id: place for place, id in enumerate(self.order)}

    def compile(self) -> Plan:
        plan, flow = self.plan, self.plan.scenario.flow
        if flow and flow[0].module == "flow:any-of":
            after = self.flow(flow[1:], None)
            for route in flow[0].routes:
                if route.flow and not route.is_disabled and not route.flow[0].is_disabled:
                    trigger = self.module(route.flow[0], self.flow(route.flow[1:], after))
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
        self.connect(flow, frozenset(), frozenset())
        self.order_aggregators()
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
        self.plan.by_id[module.id] = self.plan.by_place[module.id] = node
        node.next = following
        node.label = _label(module, traits)
        node.condition = self.condition(module.filter)
        enter = _INLINE.get(module.module)
        if enter is not None:
            node.enter, node.is_operation = enter, module.module not in _NO_OPERATION
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
        if module.on_error is not None:
            node.handler = self.flow(module.on_error, None)
            # An empty error route means ignore; one whose modules are all disabled is switched off.
            node.has_handler = node.handler is not None or not module.on_error
        if module.module in ("flow:router", "flow:if"):
            self.container(node, module)
        elif module.module == "flow:for-each":
            self.for_each(node, module)
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
            first = self.flow(route.flow, self.merge_point(node, index))
            way = Way(
                container=node.id,
                index=index,
                condition=self.condition(route.filter),
                first=first,
                is_fallback=route.is_fallback,
            )
            ways.append(way)
            if first is not None and module.module == "flow:router":
                first.way = way
        # A fallback is looked at after all others, wherever it stands.
        node.ways = tuple(sorted(ways, key=lambda way: way.is_fallback))
        if module.merge is not None:
            return
        # Without a merge nothing follows a container: its routes are the ends of the flow.
        node.next = None

    def merge_point(self, container: Node, index: int) -> Node | None:
        """Where a route ends and its container's bundle begins."""
        module = container.module
        if module.merge is None:
            return None
        fields = []
        for name, expressions in module.merge.items():
            raw = expressions[index] if index < len(expressions) else None
            fields.append((name, raw))
        if fields and all(raw is None for _, raw in fields):
            return None
        point = self.node(module.id, module, container.traits)
        point.place = f"{module.id}/{index}"
        self.plan.by_place[point.place] = point
        point.enter, point.next = converger.enter_merge, container.next
        point.label = container.label
        point.is_operation = module.module == "flow:if"
        if module.module == "flow:if":
            point.handler, point.has_handler = container.handler, container.has_handler
        point.merge = tuple((name, evaluator(raw)) for name, raw in fields)
        return point

    def for_each(self, node: Node, module: Module) -> None:
        node.inner_ids = tuple(m.id for m in walk(module.flow))
        parameters = {k: v for k, v in module.parameters.items() if k != "collect"}
        node.parameters = compile_parameters(parameters, _OPEN, zone=self.plan.zone)
        collect = self.node(module.id, module, node.traits)
        collect.enter, collect.label = for_each.enter_collect, node.label
        collect.is_operation = False
        if "collect" in module.parameters:
            collect.static = evaluator(module.parameters["collect"])
        else:
            last = module.flow[-1].id if module.flow else module.id
            collect.static = lambda scope: scope.bundles.get(last)
        node.first = self.flow(module.flow, collect)

    def aggregator(self, node: Node, module: Module, traits: ModuleTraits) -> None:
        zone = self.plan.zone
        declared = {parameter.name for parameter in traits.parameters}
        written = {
            name: value
            for name, value in module.parameters.items()
            if name not in _GATHERING or (name == "target" and name in declared)
        }
        node.enter, node.is_operation = aggregator.enter, False
        node.parameters = compile_parameters(written, traits, zone=zone, only=lambda p: p.is_mapped)
        node.static = compile_parameters(
            {name: value for name, value in written.items() if name in declared},
            traits,
            zone=zone,
            only=lambda p: not p.is_mapped,
        )
        group_by = module.parameters.get("group_by")
        if group_by not in (None, ""):
            node.group_by = evaluator(group_by)
        stops = module.parameters.get("stop_if_empty") in (True, "true")
        node.speaks_when_empty = not stops and node.group_by is None

    def connect(
        self, flow: tuple[Module, ...], before: frozenset[str], outside: frozenset[str]
    ) -> frozenset[str]:
        """Connect the aggregators of a flow with their sources.

        Args:
            flow: Where to look.
            before: Modules whose bundles get here: what may be a source.
            outside: Those of them that lie outside the error route that the flow belongs to.

        Returns:
            What may be a source behind the flow.
        """
        for module in flow:
            node = self.plan.by_id.get(module.id)
            if node is not None and node.enter is aggregator.enter:
                self.connect_aggregator(node, before, outside)
            within = before | {module.id}
            behind = within
            for route in module.routes:
                met = self.connect(route.flow, within, outside)
                if module.merge is not None or module.module == "flow:any-of":
                    behind |= met
            # The items of a for-each go their ways side by side: none of them sees all bundles.
            self.connect(module.flow, frozenset(), frozenset())
            self.connect(module.on_error or (), within, within)
            before = behind
        return before

    def connect_aggregator(
        self, node: Node, before: frozenset[str], outside: frozenset[str]
    ) -> None:
        id = str(node.module.parameters.get("source", ""))
        sources = [self.plan.by_id[id]] if id in self.plan.by_id else []
        if not sources and self.order[:1] == [id]:
            sources = list(self.plan.triggers.values())  # the any-of that the scenario begins with
        if not sources or id not in before:
            node.problem = "its source must be an earlier module whose bundles reach it; choose one"
            return
        for source in sources:
            source.feeds = (*source.feeds, node)
        if id in outside:
            # What gathers errors has nothing to say when there were none.
            node.speaks_when_empty = False
        node.hides = tuple(self.order[self.places[id] : self.places[node.id]])

    def order_aggregators(self) -> None:
        for node in self.plan.nodes:
            # Aggregators of one source speak in the order in which they are read.
            node.feeds = tuple(sorted(node.feeds, key=lambda fed: self.places[fed.id]))


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
