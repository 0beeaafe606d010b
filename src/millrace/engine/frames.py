"""What lies on the stack of a strand: the loops and handlers that an execution is inside of.

An execution goes depth first. Going onward needs no memory (a node knows its `next`), so the stack
holds only what must be come back to. Unwinding calls ``advance`` of the topmost frame until one of
them answers a node to enter, or PARKED. A frame that has nothing left takes itself off.

Each frame freezes into plain data and thaws back; nodes are written as their index.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self

import msgspec

from millrace.engine.events import Failure
from millrace.engine.node import PARKED, Node
from millrace.engine.pending import Request
from millrace.errors import ModuleError

Plain = list[Any]


class Frame(Protocol):
    """Something to come back to."""

    node: Node

    def advance(self, run: Any, strand: Any) -> Node | None:
        """Go on: the node to enter, None to unwind further, PARKED to wait."""
        ...

    def freeze(self) -> Plain:
        """Plain data, the frame's kind first."""
        ...


Groups = dict[str, list[dict[str, Any]]]
"""What an aggregator has gathered: group key → bundles; without grouping all under ""."""


class Gathering:
    """What aggregators have gathered from one operation of their source."""

    __slots__ = ("by_node",)

    def __init__(self) -> None:
        self.by_node: dict[int, Groups] = {}

    def add(self, node: Node, key: str, bundle: dict[str, Any]) -> None:
        """Keep the evaluated parameters of one bundle."""
        self.by_node.setdefault(node.index, {}).setdefault(key, []).append(bundle)

    def take(self, node: Node) -> list[tuple[str, list[dict[str, Any]]]]:
        """The groups of an aggregator, in the order of their first bundle; it begins anew."""
        groups = self.by_node.pop(node.index, None)
        if groups is not None:
            return list(groups.items())
        return [("", [])] if node.speaks_when_empty else []

    def freeze(self) -> dict[str, Groups]:
        """Plain data."""
        return {str(index): groups for index, groups in self.by_node.items()}

    @classmethod
    def thaw(cls, plain: dict[str, Groups]) -> Gathering:
        """The gathering that was frozen."""
        gathering = cls()
        gathering.by_node = {int(index): groups for index, groups in plain.items()}
        return gathering


class SourceFrame:
    """The bundles of one operation, each travelling to the end before the next starts.

    When they are done, the aggregators that gather from this operation speak, one after the other;
    a later one may gather what an earlier one says.
    """

    __slots__ = (
        "delivered",
        "gathering",
        "has_more",
        "items",
        "node",
        "position",
        "request",
        "spoken",
    )

    kind = "source"

    def __init__(
        self,
        node: Node,
        items: Sequence[Any],
        *,
        has_more: bool = False,
        request: Plain | None = None,
    ) -> None:
        self.node = node
        self.items = items
        self.position = 0
        self.has_more = has_more
        self.request = request
        """How the next page of a stream is asked for: [parameters, key]."""
        self.delivered = 0
        """Bundles of earlier pages."""
        self.gathering = Gathering()
        self.spoken = 0
        """Aggregators that have spoken."""

    def advance(self, run: Any, strand: Any) -> Node | None:
        """Send the next bundle onward; after the last, let an aggregator speak."""
        position = self.position
        if position < len(self.items):
            self.position = position + 1
            strand.scope.bundles[self.node.id] = self.bundle(position)
            return self.node.next
        if self.has_more:
            return run.ask_page(strand, self)
        feeds = self.node.feeds
        if self.spoken < len(feeds):
            aggregator = feeds[self.spoken]
            self.spoken += 1
            groups = self.gathering.take(aggregator)
            if groups:
                strand.stack.append(FlushFrame(aggregator, groups))
            return None
        strand.stack.pop()
        return None

    def bundle(self, position: int) -> dict[str, Any]:
        """The bundle at a position of this page, with its place among all if there are several."""
        items = self.items
        if len(items) == 1 and not self.has_more and not self.delivered:
            return items[0]
        bundle = {**items[position], "__IMTINDEX__": self.delivered + position + 1}
        if not self.has_more:
            bundle["__IMTLENGTH__"] = self.delivered + len(items)
        return bundle

    def next_page(self, items: list[dict[str, Any]], *, has_more: bool) -> None:
        """Go on with the following page of the stream."""
        self.delivered += len(self.items)
        self.items, self.position, self.has_more = items, 0, has_more

    def freeze(self) -> Plain:
        """Plain data."""
        return [
            self.kind,
            self.node.index,
            self.items,
            self.position,
            self.has_more,
            self.request,
            self.delivered,
            self.gathering.freeze(),
            self.spoken,
        ]

    @classmethod
    def thaw(cls, plain: Plain, nodes: list[Node]) -> Self:
        """The frame that was frozen."""
        _, index, items, position, has_more, request, delivered, gathered, spoken = plain
        frame = cls(nodes[index], items, has_more=has_more, request=request)
        frame.position, frame.delivered, frame.spoken = position, delivered, spoken
        frame.gathering = Gathering.thaw(gathered)
        return frame


class ItemsFrame(SourceFrame):
    """The items of an iterator's array; each bundle is made when its turn comes."""

    __slots__ = ()

    kind = "items"

    def bundle(self, position: int) -> dict[str, Any]:
        """The item at a position."""
        return item_bundle(self.items, position)


class CountFrame(SourceFrame):
    """A repeater: `items` is a range, nothing is held."""

    __slots__ = ()

    kind = "count"

    def bundle(self, position: int) -> dict[str, Any]:
        """The number at a position."""
        return {
            "i": self.items[position],
            "__IMTINDEX__": position + 1,
            "__IMTLENGTH__": len(self.items),
        }

    def freeze(self) -> Plain:
        """Plain data: the range as its three numbers."""
        plain = super().freeze()
        count = self.items
        if isinstance(count, range):
            plain[2] = [count.start, count.stop, count.step]
        return plain

    @classmethod
    def thaw(cls, plain: Plain, nodes: list[Node]) -> Self:
        """The frame that was frozen."""
        frame = super().thaw(plain, nodes)
        frame.items = range(*plain[2])
        return frame


def item_bundle(items: Sequence[Any], position: int) -> dict[str, Any]:
    """One item of an array as a bundle: a collection's keys on top, all else as `value`."""
    item = items[position]
    bundle = dict(item) if item.__class__ is dict else {"value": item}
    bundle["__IMTINDEX__"] = position + 1
    bundle["__IMTLENGTH__"] = len(items)
    return bundle


class FlushFrame:
    """An aggregator that speaks, once per group; its bundles go onward when all are there."""

    __slots__ = ("groups", "node", "outputs", "position")

    kind = "flush"

    def __init__(self, node: Node, groups: list[tuple[str, list[dict[str, Any]]]]) -> None:
        self.node = node
        self.groups = groups
        self.position = 0
        """Groups that have been asked for."""
        self.outputs: list[dict[str, Any]] = []

    @property
    def group(self) -> str:
        """The key of the group that was asked for last."""
        return self.groups[self.position - 1][0]

    def advance(self, run: Any, strand: Any) -> Node | None:
        """Ask for the next group, or send what was said onward."""
        if self.position < len(self.groups):
            self.position += 1
            _, bundles = self.groups[self.position - 1]
            return run.aggregate(strand, self.node, bundles, is_counted=self.position == 1)
        strand.stack.pop()
        return run.deliver(strand, self.node, self.outputs)

    def collect(self, bundles: list[dict[str, Any]]) -> None:
        """Take the answer for the group that was asked last."""
        if self.node.group_by is not None:
            bundles = [{**bundle, "key": self.group} for bundle in bundles]
        self.outputs.extend(bundles)

    def freeze(self) -> Plain:
        """Plain data."""
        groups = [list(group) for group in self.groups]
        return [self.kind, self.node.index, groups, self.position, self.outputs]

    @classmethod
    def thaw(cls, plain: Plain, nodes: list[Node]) -> FlushFrame:
        """The frame that was frozen."""
        _, index, groups, position, outputs = plain
        frame = cls(nodes[index], [(key, bundles) for key, bundles in groups])
        frame.position, frame.outputs = position, outputs
        return frame


class RouterFrame:
    """A bundle that visits the routes of a router one after the other."""

    __slots__ = ("has_matched", "node", "position")

    kind = "router"

    def __init__(self, node: Node) -> None:
        self.node = node
        self.position = 0
        self.has_matched = False

    def advance(self, run: Any, strand: Any) -> Node | None:
        """Enter the next route that the bundle may go."""
        ways = self.node.ways
        while self.position < len(ways):
            way = ways[self.position]
            self.position += 1
            if way.is_fallback:
                # `ways` holds the fallback last: it is for bundles that passed no other route.
                if self.has_matched:
                    continue
            elif way.condition is not None:
                try:
                    if not run.passes(strand, way):
                        continue
                except ModuleError as error:
                    # The way that cannot be decided fails; the other routes still get the bundle,
                    # the fallback does not: this way may yet be taken when it is resumed.
                    self.has_matched = True
                    if way.first is None:
                        continue  # nothing lies there, so nothing is missed
                    call = run.begin_operation(strand)
                    return run.fail(strand, way.first, Failure.of(error), call=call, is_filter=True)
            self.has_matched = True
            forget(strand, self.node.inner_ids)
            if way.first is not None:
                return way.first
        strand.stack.pop()
        return None

    def freeze(self) -> Plain:
        """Plain data."""
        return [self.kind, self.node.index, self.position, self.has_matched]

    @classmethod
    def thaw(cls, plain: Plain, nodes: list[Node]) -> RouterFrame:
        """The frame that was frozen."""
        frame = cls(nodes[plain[1]])
        frame.position, frame.has_matched = plain[2], plain[3]
        return frame


def forget(strand: Any, ids: tuple[str, ...]) -> None:
    """Make modules unreadable whose bundles belong to another way or to an earlier bundle."""
    bundles = strand.scope.bundles
    for id in ids:
        bundles.pop(id, None)


class HandlerFrame:
    """An error route under way. Its end without a directive means: ignore."""

    __slots__ = ("base", "failure", "node", "request")

    kind = "handler"

    def __init__(self, node: Node, failure: Failure, request: Request, *, base: int) -> None:
        self.node = node
        self.failure = failure
        self.request = request
        """The failed operation: a repetition asks for it again."""
        self.base = base
        """Height of the stack when the bundle is dropped: without the router that handles it."""

    def advance(self, run: Any, strand: Any) -> Node | None:
        """The error route is at its end: the bundle is dropped."""
        del strand.stack[self.base :]
        return None

    def freeze(self) -> Plain:
        """Plain data."""
        failure, request = self.failure, self.request
        return [
            self.kind,
            self.node.index,
            list(msgspec.structs.astuple(failure)),
            list(msgspec.structs.astuple(request)),
            self.base,
        ]

    @classmethod
    def thaw(cls, plain: Plain, nodes: list[Node]) -> HandlerFrame:
        """The frame that was frozen."""
        _, index, failure, request, base = plain
        return cls(nodes[index], Failure(*failure), Request(*request), base=base)


class ForEachFrame:
    """A for-each whose items are worked on by strands of their own, `concurrency` at a time."""

    __slots__ = ("concurrency", "failed", "items", "node", "position", "results", "running")

    kind = "for-each"

    def __init__(self, node: Node, items: list[Any], concurrency: int) -> None:
        self.node = node
        self.items = items
        self.concurrency = concurrency
        self.position = 0
        self.running = 0
        self.results: dict[int, list[Any]] = {}
        self.failed: dict[int, dict[str, Any]] = {}

    def advance(self, run: Any, strand: Any) -> Node | None:
        """Begin as many items as may be under way; after the last, go on with what they gave."""
        while self.running < self.concurrency and self.position < len(self.items):
            position = self.position
            self.position += 1
            self.running += 1
            run.spawn(strand, self, position)
            if run.is_stopping:
                return PARKED
        if self.running:
            return PARKED
        strand.stack.pop()
        bundle = {
            "items": [value for _, values in sorted(self.results.items()) for value in values],
            "failed": [failure for _, failure in sorted(self.failed.items())],
        }
        return run.deliver(strand, self.node, [bundle])

    def freeze(self) -> Plain:
        """Plain data."""
        return [
            self.kind,
            self.node.index,
            self.items,
            self.concurrency,
            self.position,
            self.running,
            {str(k): v for k, v in self.results.items()},
            {str(k): v for k, v in self.failed.items()},
        ]

    @classmethod
    def thaw(cls, plain: Plain, nodes: list[Node]) -> ForEachFrame:
        """The frame that was frozen."""
        _, index, items, concurrency, position, running, results, failed = plain
        frame = cls(nodes[index], items, concurrency)
        frame.position, frame.running = position, running
        frame.results = {int(k): v for k, v in results.items()}
        frame.failed = {int(k): v for k, v in failed.items()}
        return frame


KINDS: dict[str, Any] = {
    cls.kind: cls
    for cls in (
        SourceFrame,
        ItemsFrame,
        CountFrame,
        FlushFrame,
        RouterFrame,
        HandlerFrame,
        ForEachFrame,
    )
}


def thaw_frame(plain: Plain, nodes: list[Node]) -> Frame:
    """The frame that was frozen."""
    return KINDS[plain[0]].thaw(plain, nodes)
