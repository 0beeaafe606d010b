"""flow:router: the same bundle visits every route whose filter it passes, in order."""

from __future__ import annotations

from typing import Any

from millrace.engine.frames import RouterFrame
from millrace.engine.node import Node


def enter(run: Any, strand: Any, node: Node) -> Node | None:
    """Begin with the first route. A router is no operation."""
    if node.feeds:
        # The bundles that its routes hand on count as those of one operation.
        run.deliver(strand, node, [])
    strand.stack.append(RouterFrame(node))
    return None
