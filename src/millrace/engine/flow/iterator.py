"""flow:iterator: an array becomes one bundle per item."""

from __future__ import annotations

from typing import Any

from millrace.engine.events import Failure
from millrace.engine.frames import ItemsFrame
from millrace.engine.node import Node
from millrace.errors import ModuleError


def enter(run: Any, strand: Any, node: Node) -> Node | None:
    """Split the array; nothing mapped is no bundle, a single value is one bundle."""
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
    run.note(strand, node, call, parameters, None)
    strand.stack.append(ItemsFrame(node, items))
    return None
