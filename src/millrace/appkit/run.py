"""Carry out one operation of a module, whether its app says it in Python or in YAML."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import tzinfo
from typing import Any

from millrace.appkit.call import Answer, Call
from millrace.appkit.catalog import ModuleSpec
from millrace.engine.traits import ModuleTraits, ParameterTraits
from millrace.errors import BundleValidationError, ManifestInvalid


def operate(spec: ModuleSpec, call: Call) -> Answer | Awaitable[Answer]:
    """Run one operation.

    The answer of a Python function is given as it is: a value, a coroutine, a generator or an async
    generator. When ``spec.is_blocking`` the caller runs this in a worker thread.
    """
    function = spec.function
    if function is not None:
        return function(call)
    raise ManifestInvalid(f"{spec.name}: it has neither call nor request")


def prepare_parameters(
    traits: ModuleTraits,
    values: Mapping[str, Any],
    *,
    zone: tzinfo,
    only: Callable[[ParameterTraits], bool] = lambda parameter: True,
) -> dict[str, Any]:
    """Parameters as a module may count on them: defaults filled in, required ones present."""
    prepared: dict[str, Any] = dict(values)
    known = {parameter.name for parameter in traits.parameters}
    if not traits.is_open and (unknown := set(values) - known):
        raise BundleValidationError(f"there is no parameter {min(unknown)}")
    for parameter in traits.parameters:
        if not only(parameter):
            continue
        if prepared.get(parameter.name) is None and parameter.default is not None:
            prepared[parameter.name] = parameter.default
        if parameter.is_required and prepared.get(parameter.name) is None:
            raise BundleValidationError(f"{parameter.name}: a value is required")
    return prepared
