"""flow:repeater: a number of bundles ``{i}``, counted from `start` by `step`."""

from __future__ import annotations

from typing import Any

from millrace.engine.events import Failure
from millrace.engine.frames import CountFrame
from millrace.engine.node import Node
from millrace.errors import BundleValidationError, ModuleError

MAX_REPEATS = 10_000_000
"""Bundles are made one at a time, so this protects only from a typing error. Make allows 10,000."""


def enter(run: Any, strand: Any, node: Node) -> Node | None:
    """Begin the count."""
    call = run.begin_operation(strand)
    try:
        parameters = node.parameters(strand.scope)
        start, repeats, step = (
            _whole(parameters, name, default)
            for name, default in (("start", 1), ("repeats", 0), ("step", 1))
        )
        if not 0 <= repeats <= MAX_REPEATS:
            raise BundleValidationError(f"repeats: between 0 and {MAX_REPEATS} allowed")
        if step == 0:
            raise BundleValidationError("step: must not be 0")
    except ModuleError as error:
        return run.fail(strand, node, Failure.of(error), call=call)
    run.note(strand, node, call, parameters, None)
    strand.stack.append(CountFrame(node, range(start, start + repeats * step, step)))  # type: ignore[arg-type]
    return None


def _whole(parameters: dict[str, Any], name: str, default: int) -> int:
    value = parameters.get(name, default)
    if value is None or value == "":
        return default
    try:
        number = float(value)
        if number == int(number):
            return int(number)
    except (TypeError, ValueError, OverflowError):
        pass
    raise BundleValidationError(f"{name}: a whole number is needed")
