"""flow:for-each: a flow done for every item, several at a time, into one bundle {items, failed}."""

from __future__ import annotations

from typing import Any

from millrace.engine.events import Failure
from millrace.engine.frames import ForEachFrame
from millrace.engine.node import Node
from millrace.errors import ModuleError

MAX_CONCURRENCY = 100
"""Strands of one for-each at a time; each holds its own bundles."""


def enter(run: Any, strand: Any, node: Node) -> Node | None:
    """Begin with the items."""
    call = run.begin_operation(strand)
    try:
        parameters = node.parameters(strand.scope)
    except ModuleError as error:
        return run.fail(strand, node, Failure.of(error), call=call)
    items = parameters.get("array")
    if items is None or items == "":
        items = []
    elif items.__class__ is not list:
        items = [items]
    try:
        concurrency = max(1, min(int(parameters.get("concurrency") or 1), MAX_CONCURRENCY))
    except (TypeError, ValueError):
        failure = Failure("BundleValidationError", "concurrency: a whole number is needed")
        return run.fail(strand, node, failure, call=call)
    run.note(strand, node, call, parameters, None)
    strand.stack.append(ForEachFrame(node, items, concurrency))
    return None


def enter_collect(run: Any, strand: Any, node: Node) -> Node | None:
    """The end of an item's way: keep what the for-each collects. `node` is a collecting point."""
    if strand.for_each is None:
        # A resumed item: the for-each it belonged to has gone on without it.
        return None
    run.set_entropy(strand)
    try:
        value = node.static(strand.scope)
    except ModuleError as error:
        return run.fail(strand, node, Failure.of(error), call=run.begin_operation(strand))
    strand.for_each.results.setdefault(strand.item, []).append(value)
    return None
