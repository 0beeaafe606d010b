"""flow:if, and the point where the routes of an if or a router come together again."""

from __future__ import annotations

from typing import Any

from millrace.engine.events import Failure
from millrace.engine.frames import forget
from millrace.engine.node import Node
from millrace.errors import ModuleError


def enter_if(run: Any, strand: Any, node: Node) -> Node | None:
    """The first branch whose condition holds is taken, the else branch when none does."""
    call = run.begin_operation(strand)
    forget(strand, node.inner_ids)
    if node.feeds:
        run.deliver(strand, node, [])
    for way in node.ways:
        if way.condition is not None and not way.is_fallback:
            try:
                if not run.passes(strand, way):
                    continue
            except ModuleError as error:
                return run.fail(strand, node, Failure.of(error), call=call)
        run.note(strand, node, call, {"branch": way.index + 1}, None)
        return way.first
    run.note(strand, node, call, {"branch": None}, None)
    return None


def enter_merge(run: Any, strand: Any, node: Node) -> Node | None:
    """The end of one route: its fields become the container's bundle, and the way goes on.

    The merge of an if is an operation, as Make's own merge module is; that of a router is none.
    """
    scope = strand.scope
    if node.is_operation:
        call = run.begin_operation(strand)
    else:
        call = 0
        run.set_entropy(strand)
    try:
        merged = {name: evaluate(scope) for name, evaluate in node.merge}
    except ModuleError as error:
        call = call or run.begin_operation(strand)
        return run.fail(strand, node, Failure.of(error), call=call)
    if node.is_operation:
        run.note(strand, node, call, None, [merged])
    scope.bundles[node.id] = merged
    return node.next
