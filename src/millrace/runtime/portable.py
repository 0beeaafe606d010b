"""What makes a scenario the same everywhere: pinned versions, and a list of what it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from millrace.appkit.catalog import Catalog
from millrace.scenario.model import Module, Scenario


def pin(scenario: Scenario, catalog: Catalog) -> Scenario:
    """The scenario with every module at a version: those that had none get today's."""

    def pinned(flow: tuple[Module, ...]) -> tuple[Module, ...]:
        return tuple(one(module) for module in flow)

    def one(module: Module) -> Module:
        version = module.version
        if version is None and not module.module.startswith("flow:"):
            spec = catalog.module(module.module)
            version = None if spec is None else spec.manifest.version
        return replace(
            module,
            version=version,
            flow=pinned(module.flow),
            routes=tuple(replace(route, flow=pinned(route.flow)) for route in module.routes),
            on_error=None if module.on_error is None else pinned(module.on_error),
        )

    return replace(scenario, flow=pinned(scenario.flow))


def needs_of(scenario: Scenario) -> tuple[Mapping[str, Any], ...]:
    """What of a team's the scenario names, for whoever gets the file."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for module in scenario.modules():
        for word, name in module.resources.items():
            need = found.setdefault(
                (word, name), {word: name, "app": module.module.partition(":")[0], "for": []}
            )
            need["for"].append(module.id)
    return tuple(found.values())
