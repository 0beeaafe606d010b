"""One line of work within an execution. A for-each has one per item under way; else there is one."""

from __future__ import annotations

from typing import Any

from millrace.engine.frames import ForEachFrame, Frame, Gathering, HandlerFrame
from millrace.engine.node import Node
from millrace.expressions import Scope


class Strand:
    """A stack of frames and the bundles that can be read from where it is."""

    __slots__ = (
        "adopted",
        "for_each",
        "gathering",
        "id",
        "item",
        "parent",
        "retries",
        "scope",
        "stack",
    )

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
        self.retries: dict[int, int] = {}
        """Retries made so far of the module that is being retried, by node."""
        self.gathering = Gathering()
        self.adopted: list[Node] = []
        """Aggregators that gather here because their source lies before a resumption."""

    def adopts(self, node: Node) -> None:
        """Let an aggregator without a source gather at the bottom of this strand."""
        if node not in self.adopted:
            self.adopted.append(node)

    def handler(self) -> HandlerFrame | None:
        """The innermost error route that is under way."""
        for frame in reversed(self.stack):
            if frame.__class__ is HandlerFrame:
                return frame  # type: ignore[return-value]
        return None

    def leave_handler(self) -> HandlerFrame | None:
        """Unwind to where the innermost error route began; answers what it handled."""
        stack = self.stack
        while stack:
            frame = stack.pop()
            if frame.__class__ is HandlerFrame:
                return frame  # type: ignore[return-value]
        return None

    def freeze(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "id": self.id,
            "parent": None if self.parent is None else self.parent.id,
            "item": self.item,
            "bundles": self.scope.bundles,
            "stack": [frame.freeze() for frame in self.stack],
            "retries": {str(k): v for k, v in self.retries.items()},
            "gathered": {str(k): v for k, v in self.gathering.by_node.items()},
            "adopted": [node.index for node in self.adopted],
        }
