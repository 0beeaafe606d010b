"""tools: variables and counters, which live in the execution, and sleep, which holds no worker."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from millrace.engine.events import Failure
from millrace.engine.node import Node
from millrace.errors import BundleValidationError, ModuleError


def _step(work: Any) -> Any:
    def enter(run: Any, strand: Any, node: Node) -> Node | None:
        call = run.begin_operation(strand)
        try:
            parameters = node.parameters(strand.scope)
            bundle = work(run, node, parameters)
        except ModuleError as error:
            return run.fail(strand, node, Failure.of(error), call=call)
        bundles = [bundle]
        run.note(strand, node, call, parameters, bundles)
        if not node.feeds:
            strand.scope.bundles[node.id] = bundle
            return node.next
        return run.deliver(strand, node, bundles)

    return enter


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise BundleValidationError("name: a variable needs a name")
    return value


def _set_variable(run: Any, node: Node, parameters: dict[str, Any]) -> dict[str, Any]:
    name, value = _name(parameters.get("name")), parameters.get("value")
    run.variables_of(parameters.get("scope"))[name] = value
    return {name: value}


def _set_variables(run: Any, node: Node, parameters: dict[str, Any]) -> dict[str, Any]:
    scope = run.variables_of(parameters.get("scope"))
    bundle = {}
    for variable in parameters.get("variables") or ():
        if not isinstance(variable, dict):
            raise BundleValidationError("variables: each needs a name and a value")
        bundle[_name(variable.get("name"))] = variable.get("value")
    scope.update(bundle)
    return bundle


def _get_variable(run: Any, node: Node, parameters: dict[str, Any]) -> dict[str, Any]:
    name = _name(parameters.get("name"))
    return {name: run.variable(name)}


def _get_variables(run: Any, node: Node, parameters: dict[str, Any]) -> dict[str, Any]:
    bundle = {}
    for entry in parameters.get("variables") or ():
        name = _name(entry.get("name") if isinstance(entry, dict) else entry)
        bundle[name] = run.variable(name)
    return bundle


def _increment(run: Any, node: Node, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"i": run.increment(node.id, parameters.get("reset"))}


set_variable = _step(_set_variable)
set_variables = _step(_set_variables)
get_variable = _step(_get_variable)
get_variables = _step(_get_variables)
increment = _step(_increment)

MAX_SLEEP_SECONDS = 300
"""Source: Make's Sleep module, read 2026-11-21."""


def sleep(run: Any, strand: Any, node: Node) -> Node | None:
    """tools:sleep: wait for a number of seconds."""
    call = run.begin_operation(strand)
    try:
        parameters = node.parameters(strand.scope)
        seconds = parameters.get("duration", parameters.get("seconds"))
        try:
            seconds = float(seconds)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            raise BundleValidationError("duration: a number of seconds is needed") from None
        if not 0 <= seconds <= MAX_SLEEP_SECONDS:
            raise BundleValidationError(f"duration: between 0 and {MAX_SLEEP_SECONDS} seconds")
    except ModuleError as error:
        return run.fail(strand, node, Failure.of(error), call=call)
    return run.wait(strand, node, call, timedelta(seconds=seconds), parameters)
