"""Carry out one operation of a module, whether its app says it in Python or in YAML."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import tzinfo
from typing import Any

from millrace.appkit.call import Answer, Call
from millrace.appkit.catalog import ModuleSpec
from millrace.appkit.declarative import run_request
from millrace.engine.parameters import compile_parameters
from millrace.engine.traits import ModuleTraits, ParameterTraits
from millrace.errors import BundleValidationError
from millrace.expressions import Scope


def operate(spec: ModuleSpec, call: Call) -> Answer | Awaitable[Answer]:
    """Run one operation.

    The answer of a Python function is given as it is: a value, a coroutine, a generator or an async
    generator. When ``spec.is_blocking`` the caller runs this in a worker thread.
    """
    function = spec.function
    if function is not None:
        return function(call)
    return run_request(spec, call)


def prepare_parameters(
    traits: ModuleTraits,
    values: Mapping[str, Any],
    *,
    zone: tzinfo,
    only: Callable[[ParameterTraits], bool] = lambda parameter: True,
) -> dict[str, Any]:
    """Evaluated values as a module may count on them: coerced, defaults filled in, rules held.

    Args:
        traits: What the app declares.
        values: Plain values; texts with holes in them are not evaluated again.
        zone: For texts that are to become dates.
        only: Which declared parameters are wanted.

    Raises:
        BundleValidationError: a value is missing, unknown or of the wrong type.
    """
    declared = {parameter.name: parameter for parameter in traits.parameters}
    if not traits.is_open and (unknown := set(values) - set(declared)):
        raise BundleValidationError(f"there is no parameter {min(unknown)}")
    raw = {
        name: value if name in declared and not declared[name].is_mapped else f"{{{{v.`{name}`}}}}"
        for name, value in values.items()
    }
    scope = Scope(names={"v": dict(values)})
    return compile_parameters(raw, traits, zone=zone, only=only)(scope)
