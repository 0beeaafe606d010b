"""What lies on the stack of a strand: the loops and handlers that an execution is inside of.

An execution goes depth first. Going onward needs no memory (a node knows its `next`), so the stack
holds only what must be come back to. Unwinding calls ``advance`` of the topmost frame until one of
them answers a node to enter, or PARKED. A frame that has nothing left takes itself off.

Each frame freezes into plain data and thaws back; nodes are written as their index.
"""

from __future__ import annotations

from typing import Any, Protocol

from millrace.engine.events import Failure
from millrace.engine.node import PARKED, Node
from millrace.errors import ModuleError

Plain = list[Any]


class Frame(Protocol):
    """Something to come back to."""

    def advance(self, run: Any, strand: Any) -> Node | None:
        """Go on: the node to enter, None to unwind further, PARKED to wait."""
        ...

    def freeze(self) -> Plain:
        """Plain data, the frame's kind first."""
        ...


class Gathering:
    """What aggregators have gathered from one operation of their source."""

    __slots__ = ("by_node",)

    def __init__(self) -> None:
        self.by_node: dict[int, dict[str, list[dict[str, Any]]]] = {}

    def add(self, node: Node, key: str, bundle: dict[str, Any]) -> None:
        """Keep the evaluated parameters of one bundle."""
        self.by_node.setdefault(node.index, {}).setdefault(key, []).append(bundle)


class SourceFrame:
    """The bundles of one operation, each travelling to the end before the next starts."""

    __slots__ = ("delivered", "gathering", "has_more", "items", "node", "position", "request")

    kind = "source"

    def __init__(
        self,
        node: Node,
        items: list[dict[str, Any]],
        *,
        has_more: bool = False,
        request: Plain | None = None,
    ) -> None:
        self.node = node
        self.items = items
        self.position = 0
        self.has_more = has_more
        self.request = request
        """How the next page of a stream is asked for: [parameters, bundles, key]."""
        self.delivered = 0
        """Bundles of earlier pages."""
        self.gathering = Gathering()

    def advance(self, run: Any, strand: Any) -> Node | None:
        position = self.position
        if position < len(self.items):
            self.position = position + 1
            strand.scope.bundles[self.node.id] = self.bundle(position)
            return self.node.next
        if self.has_more:
            return run.ask_page(strand, self)
        strand.stack.pop()
        if self.node.feeds:
            return flush(strand, self.node, self.gathering)
        return None

    def bundle(self, position: int) -> dict[str, Any]:
        """The bundle at a position of this page, with its place among all when there are several."""
        items = self.items
        if len(items) == 1 and not self.has_more and not self.delivered:
            return items[0]
        bundle = {**items[position], "__IMTINDEX__": self.delivered + position + 1}
        if not self.has_more:
            bundle["__IMTLENGTH__"] = self.delivered + len(items)
        return bundle

    def next_page(self, items: list[dict[str, Any]], has_more: bool) -> None:
        """Go on with the following page of the stream."""
        self.delivered += len(self.items)
        self.items, self.position, self.has_more = items, 0, has_more

    def freeze(self) -> Plain:
        return [
            self.kind,
            self.node.index,
            self.items,
            self.position,
            self.has_more,
            self.request,
            self.delivered,
            {str(k): v for k, v in self.gathering.by_node.items()},
        ]

    @classmethod
    def thaw(cls, plain: Plain, nodes: list[Node]) -> SourceFrame:
        _, index, items, position, has_more, request, delivered, gathered = plain
        frame = cls(nodes[index], items, has_more=has_more, request=request)
        frame.position, frame.delivered = position, delivered
        frame.gathering.by_node = {int(k): v for k, v in gathered.items()}
        return frame


class ItemsFrame(SourceFrame):
    """The items of an iterator's array; each bundle is made when its turn comes."""

    __slots__ = ()

    kind = "items"

    def bundle(self, position: int) -> dict[str, Any]:
        return item_bundle(self.items, position)


class CountFrame(SourceFrame):
    """A repeater: `items` is a range, nothing is held."""

    __slots__ = ()

    kind = "count"

    def bundle(self, position: int) -> dict[str, Any]:
        return {
            "i": self.items[position],
            "__IMTINDEX__": position + 1,
            "__IMTLENGTH__": len(self.items),
        }

    def freeze(self) -> Plain:
        plain = super().freeze()
        items: Any = self.items
        plain[2] = [items.start, items.stop, items.step]
        return plain

    @classmethod
    def thaw(cls, plain: Plain, nodes: list[Node]) -> SourceFrame:
        frame = super().thaw(plain, nodes)
        frame.items = range(*plain[2])  # type: ignore[assignment]
        return frame


def item_bundle(items: list[Any], position: int) -> dict[str, Any]:
    """One item of an array as a bundle: a collection's keys at the top, anything else as `value`."""
    item = items[position]
    bundle = dict(item) if item.__class__ is dict else {"value": item}
    bundle["__IMTINDEX__"] = position + 1
    bundle["__IMTLENGTH__"] = len(items)
    return bundle


def flush(strand: Any, source: Node, gathering: Gathering) -> None:
    """One operation of a source is over: let its aggregators speak."""
    queue = []
    for aggregator in source.feeds:
        groups = gathering.by_node.get(aggregator.index)
        if groups is None:
            if aggregator.stop_if_empty or aggregator.group_by is not None:
                continue
            groups = {"": []}
        queue.append((aggregator, list(groups.items())))
    if queue:
        strand.stack.append(FlushFrame(queue))


class FlushFrame:
    """Aggregators that still have to speak, each once per group."""

    __slots__ = ("outputs", "position", "queue")

    kind = "flush"

    def __init__(self, queue: list[tuple[Node, list[tuple[str, list[dict[str, Any]]]]]]) -> None:
        self.queue = queue
        self.position = 0
        """The group of the first aggregator in the queue that is next."""
        self.outputs: list[dict[str, Any]] = []

    def advance(self, run: Any, strand: Any) -> Node | None:
        if not self.queue:
            strand.stack.pop()
            return None
        aggregator, groups = self.queue[0]
        if self.position < len(groups):
            _, bundles = groups[self.position]
            self.position += 1
            return run.aggregate(strand, aggregator, bundles, is_first=self.position == 1)
        self.queue.pop(0)
        outputs, self.outputs, self.position = self.outputs, [], 0
        return run.deliver(strand, aggregator, outputs)

    def collect(self, bundles: list[dict[str, Any]]) -> None:
        """Take the answer for the group that was asked last."""
        aggregator, groups = self.queue[0]
        if aggregator.group_by is not None:
            key = groups[self.position - 1][0]
            bundles = [{**bundle, "key": key} for bundle in bundles]
        self.outputs.extend(bundles)

    def freeze(self) -> Plain:
        queue = [[node.index, [list(group) for group in groups]] for node, groups in self.queue]
        return [self.kind, queue, self.position, self.outputs]

    @classmethod
    def thaw(cls, plain: Plain, nodes: list[Node]) -> FlushFrame:
        _, queue, position, outputs = plain
        frame = cls(
            [(nodes[i], [(key, bundles) for key, bundles in groups]) for i, groups in queue]
        )
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
                    if not run.passes(strand, self.node, way):
                        continue
                except ModuleError as error:
                    # The way that cannot be decided fails; the other routes still get the bundle.
                    call = run.begin_operation(strand)
                    node = way.first or self.node
                    return run.fail(strand, node, Failure.of(error), call=call)
            self.has_matched = True
            forget(strand, self.node.inner_ids)
            if way.first is not None:
                return way.first
        strand.stack.pop()
        return None

    def freeze(self) -> Plain:
        return [self.kind, self.node.index, self.position, self.has_matched]

    @classmethod
    def thaw(cls, plain: Plain, nodes: list[Node]) -> RouterFrame:
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

    __slots__ = ("failure", "node", "request")

    kind = "handler"

    def __init__(self, node: Node, failure: Failure, request: Plain) -> None:
        self.node = node
        self.failure = failure
        self.request = request
        """[parameters, bundles, key] of the failed operation: a repetition uses them again."""

    def advance(self, run: Any, strand: Any) -> Node | None:
        strand.stack.pop()
        return None

    def freeze(self) -> Plain:
        f = self.failure
        plain = [f.type, f.message, f.detail, f.retry_after_seconds, f.module]
        return [self.kind, self.node.index, plain, self.request]

    @classmethod
    def thaw(cls, plain: Plain, nodes: list[Node]) -> HandlerFrame:
        return cls(nodes[plain[1]], Failure(*plain[2]), plain[3])


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
        return run.end_for_each(strand, self.node, bundle)

    def freeze(self) -> Plain:
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
