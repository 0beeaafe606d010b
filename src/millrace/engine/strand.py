"""A line of work within an execution. A for-each has one per item under way; else there is one."""

from __future__ import annotations

from typing import Any

from millrace.engine.frames import (
    ForEachFrame,
    Frame,
    Gathering,
    HandlerFrame,
    SourceFrame,
)
from millrace.engine.node import Node
from millrace.expressions import Scope


class Strand:
    """A stack of frames and the bundles that can be read from where it is."""

    __slots__ = ("adopted", "for_each", "gathering", "id", "item", "parent", "scope", "stack")

    def __init__(
        self,
        *,
        id: int,
        scope: Scope,
        parent: Strand | None = None,
        for_each: ForEachFrame | None = None,
        item: int = -1,
    ) -> None:
        self.id = id
        self.scope = scope
        self.parent = parent
        self.for_each = for_each
        """The loop this strand belongs to, which lies on the parent's stack."""
        self.item = item
        self.stack: list[Frame] = []
        self.gathering = Gathering()
        self.adopted: list[Node] = []
        """Aggregators that gather here because their source lies before a resumption."""

    def gathering_of(self, node: Node) -> Gathering:
        """Where an aggregator gathers: with the operation of its source that is under way.

        A resumed execution starts behind the source; its aggregators gather at the bottom of the
        stack and speak at the end, with the one bundle that was resumed.
        """
        for frame in reversed(self.stack):
            if isinstance(frame, SourceFrame) and node in frame.node.feeds:
                return frame.gathering
        if node not in self.adopted:
            self.adopted.append(node)
        return self.gathering

    def handler(self) -> HandlerFrame | None:
        """The innermost error route that is under way."""
        for frame in reversed(self.stack):
            if isinstance(frame, HandlerFrame):
                return frame
        return None

    def leave_handler(self, *, drops: bool = False) -> HandlerFrame | None:
        """Unwind to where the innermost error route began; answers what it handled.

        Args:
            drops: Whether the bundle goes no further: a router whose error route this is then
                skips its remaining routes.
        """
        stack = self.stack
        for depth in range(len(stack) - 1, -1, -1):
            frame = stack[depth]
            if isinstance(frame, HandlerFrame):
                del stack[frame.base if drops else depth :]
                return frame
        return None

    def freeze(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "id": self.id,
            "parent": None if self.parent is None else self.parent.id,
            "item": self.item,
            "bundles": self.scope.bundles,
            "stack": [frame.freeze() for frame in self.stack],
            "gathered": self.gathering.freeze(),
            "adopted": [node.index for node in self.adopted],
        }
