"""Aggregators gather while the source's bundles pass and speak when its operation is over."""

from __future__ import annotations

from typing import Any

from millrace.engine.events import Failure
from millrace.engine.node import Node
from millrace.errors import ModuleError
from millrace.expressions.convert import text_of


def enter(run: Any, strand: Any, node: Node) -> Node | None:
    """A bundle arrives: keep what the aggregator wants of it; the bundle's way ends here."""
    scope = strand.scope
    if node.problem is not None:
        failure = Failure("InvalidConfigurationError", node.problem)
        return run.fail(strand, node, failure, call=run.begin_operation(strand))
    run.set_entropy(strand)
    try:
        bundle = node.parameters(scope)
        # Keys are compared as text, so 1 and "1" are one group.
        key = "" if node.group_by is None else text_of(node.group_by(scope), scope)
    except ModuleError as error:
        return run.fail(strand, node, Failure.of(error), call=run.begin_operation(strand))
    strand.gathering_of(node).add(node, key, bundle)
    return None
