"""An app's module: evaluate its parameters and ask for it to be called."""

from __future__ import annotations

from typing import Any

from millrace.engine.events import Failure
from millrace.engine.node import Node
from millrace.errors import ModuleError


def enter(run: Any, strand: Any, node: Node) -> Node | None:
    """A bundle arrives at an app's module."""
    if node.problem is not None:
        failure = Failure("InvalidConfigurationError", node.problem)
        return run.fail(strand, node, failure, call=run.begin_operation(strand))
    call = run.begin_operation(strand)
    try:
        parameters = node.parameters(strand.scope)
    except ModuleError as error:
        return run.fail(strand, node, Failure.of(error), call=call)
    return run.ask(strand, node, parameters, call=call)
