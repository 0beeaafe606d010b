"""What must hold before a scenario is started by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from millrace.errors import BundleValidationError, RequestInvalid
from millrace.expressions.coerce import coerce
from millrace.runtime.program import Program
from millrace.scenario.model import Scenario


def checked_inputs(scenario: Scenario, given: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs as the scenario declares them: coerced, defaults filled in.

    Raises:
        RequestInvalid: one is missing, unknown or of the wrong type.
    """
    declared = {item.name: item for item in scenario.inputs}
    if unknown := given.keys() - declared.keys():
        known = ", ".join(declared) or "none"
        raise RequestInvalid(f"There is no input {min(unknown)!r}; there are: {known}.")
    values: dict[str, Any] = {}
    for name, item in declared.items():
        value = given.get(name, item.default)
        if value is None or value == "":
            if item.is_required:
                raise RequestInvalid(f"The input {name!r} is required.")
            values[name] = item.default
            continue
        try:
            values[name] = coerce(value, item.type)
        except BundleValidationError as error:
            raise RequestInvalid(f"The input {name!r}: {error.message}") from error
    return values


def starts_with_an_event(program: Program) -> bool:
    """Whether the scenario begins with something that arrives and cannot be asked for."""
    first = program.plan.first
    traits = None if first is None else first.traits
    return traits is not None and traits.kind == "instant-trigger"


def check_start(program: Program, bundles: list[dict[str, Any]] | None) -> None:
    """See that a scenario can be started by hand.

    Raises:
        RequestInvalid: it is empty, or starts with something that only arrives.
    """
    if not program.scenario.flow:
        raise RequestInvalid("The scenario is empty. Add a module first.")
    if bundles is None and starts_with_an_event(program):
        raise RequestInvalid(
            "This scenario starts with what a webhook receives. Give bundles to start it with, "
            "or activate it and send a request."
        )
