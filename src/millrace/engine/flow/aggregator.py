"""Aggregators: gather while the source's bundles pass, speak when the source's operation is over."""

from __future__ import annotations

from typing import Any

from millrace.engine.events import Failure
from millrace.engine.frames import Gathering, SourceFrame
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
    gathering_of(strand, node).add(node, key, bundle)
    return None


def gathering_of(strand: Any, node: Node) -> Gathering:
    """Where an aggregator gathers: with the operation of its source that is under way.

    A resumed execution starts behind the source; its aggregators gather at the bottom of the stack
    and speak at the end, with the one bundle that was resumed.
    """
    for frame in reversed(strand.stack):
        if isinstance(frame, SourceFrame) and frame.node is node.source:
            return frame.gathering
    strand.adopts(node)
    return strand.gathering
