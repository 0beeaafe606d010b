"""One module of a compiled scenario."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millrace.engine.traits import ModuleTraits
from millrace.expressions import Scope
from millrace.scenario.model import Module

Condition = Callable[[Scope], bool]
Evaluate = Callable[[Scope], Any]


class Way:
    """A compiled route of a router or branch of an if."""

    __slots__ = ("condition", "first", "index", "is_fallback")

    def __init__(
        self, *, index: int, condition: Condition | None, first: Node | None, is_fallback: bool
    ) -> None:
        self.index = index
        self.condition = condition
        self.first = first
        """Where a bundle goes; None when nothing lies on the way and nothing follows."""
        self.is_fallback = is_fallback


class Node:
    """One module of a compiled scenario: everything about it that does not change while running.

    Nodes are known by `index`, which is what a frozen execution refers to: compiling the same
    scenario again gives the same indexes.
    """

    __slots__ = (
        "condition",
        "enter",
        "feeds",
        "first",
        "group_by",
        "handler",
        "has_handler",
        "hides",
        "id",
        "index",
        "inner_ids",
        "is_inline",
        "is_trigger",
        "label",
        "merge",
        "module",
        "next",
        "parameters",
        "problem",
        "source",
        "static",
        "stop_if_empty",
        "traits",
        "ways",
    )

    def __init__(self, *, index: int, id: str, module: Module, traits: ModuleTraits | None) -> None:
        self.index = index
        self.id = id
        self.module = module
        self.traits = traits
        self.label = ""
        """``HTTP, module 4 "Make a request"``: how messages begin."""
        self.enter: Callable[[Any, Any, Node], Node | None]
        """What happens when a bundle arrives: (interpreter, strand, node) → where to go next."""
        self.next: Node | None = None
        self.condition: Condition | None = None
        self.parameters: Evaluate = _nothing
        self.static: Evaluate = _nothing
        """Aggregators: the parameters that do not vary by bundle."""
        self.problem: str | None = None
        """Why this module can never run, when that is known: a placeholder of an import."""
        self.is_trigger = False
        self.is_inline = False
        """The engine carries it out itself."""
        self.has_handler = False
        self.handler: Node | None = None
        """First module of the error route; None with `has_handler`: an empty route, i.e. ignore."""
        self.feeds: tuple[Node, ...] = ()
        """Aggregators that gather what comes from one operation of this module."""
        self.source: Node | None = None
        """Aggregators: whose operations are gathered."""
        self.hides: tuple[str, ...] = ()
        """Aggregators: modules that cannot be read any more once it has spoken."""
        self.group_by: Evaluate | None = None
        self.stop_if_empty = False
        self.ways: tuple[Way, ...] = ()
        self.merge: tuple[tuple[str, Evaluate], ...] = ()
        """Merge points only: field and expression."""
        self.first: Node | None = None
        """for-each: where an item begins."""
        self.inner_ids: tuple[str, ...] = ()
        """Containers: every module inside, forgotten when a bundle arrives anew."""

    def __repr__(self) -> str:
        return f"<{self.id} {self.module.module}>"


def _nothing(scope: Scope) -> dict[str, Any]:
    return {}


def _parked(run: Any, strand: Any, node: Node) -> None:
    raise AssertionError("a parked strand is not entered")


PARKED = Node(index=-1, id="", module=Module(id="", module=""), traits=None)
"""Where a strand is that waits for an event."""
PARKED.enter = _parked
