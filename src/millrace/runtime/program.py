"""A scenario version made ready to run: its plan, and for every module what carries it out."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from millrace.appkit.call import Call
from millrace.appkit.catalog import Catalog, ModuleSpec
from millrace.appkit.run import operate
from millrace.engine import Effect, Plan, compile_plan
from millrace.scenario.model import Scenario


class Operator:
    """What carries out one module of a scenario."""

    __slots__ = (
        "effect",
        "is_quick",
        "kind",
        "resources",
        "run",
        "spec",
        "takes_effect_from",
        "uses_state",
    )

    def __init__(self, spec: ModuleSpec, resources: dict[str, str]) -> None:
        traits = spec.traits
        self.spec = spec
        self.kind = traits.kind
        self.resources = resources
        """Team resources by word (``connection``, ``data_store`` …), as the file names them."""

        self.effect: Effect = traits.effect
        self.takes_effect_from = spec.manifest.effect_when is not None
        function = spec.function
        self.run: Callable[[Call], Any] = function or (lambda call: operate(spec, call))
        self.is_quick = (
            function is not None
            # A responder only says what is to be answered; the driver sends it when it may.
            and (traits.effect in ("pure", "transactional") or traits.kind == "responder")
            and not spec.is_blocking
            and not inspect.iscoroutinefunction(function)
        )
        """Carried out at once on the loop's thread: nothing outside is waited for."""

        self.uses_state = traits.kind == "trigger"

    def effect_of(self, parameters: dict[str, Any]) -> Effect:
        """What a repetition with these parameters would do."""
        return self.spec.effect_of(parameters) if self.takes_effect_from else self.effect


class Program:
    """A scenario version made ready to run; shared by its executions, never changed."""

    def __init__(
        self,
        scenario: Scenario,
        catalog: Catalog,
        *,
        team_id: str = "",
        scenario_id: str = "",
        version_id: str | None = None,
    ) -> None:
        self.scenario = scenario
        self.team_id = team_id
        self.scenario_id = scenario_id
        self.version_id = version_id
        self.names = {
            "scenarioName": scenario.name,
            "scenarioId": scenario_id,
            "scenarioID": scenario_id,
        }
        """What expressions can read of the scenario itself."""

        self.plan: Plan = compile_plan(scenario, catalog.traits)
        self.operators: list[Operator | None] = [
            _operator(node.module, catalog) for node in self.plan.nodes
        ]
        """By node; None for what the engine does itself and for modules that are not installed."""

        used = [operator for operator in self.operators if operator is not None]
        self.has_responder = any(operator.kind == "responder" for operator in used)
        self.keeps_state = any(operator.uses_state for operator in used) or any(
            node.module.module == "tools:increment" for node in self.plan.nodes
        )
        """Whether something of it is remembered between executions."""

        self.resources = frozenset(
            (word, name) for operator in used for word, name in operator.resources.items()
        )


def _operator(module: Any, catalog: Catalog) -> Operator | None:
    spec = catalog.module(module.module, module.version)
    if spec is None or spec.traits.kind in ("structure", "directive"):
        return None
    return Operator(spec, dict(module.resources))
