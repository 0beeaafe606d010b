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

    __slots__ = ("condition", "first", "index", "is_fallback", "key")

    def __init__(
        self,
        *,
        container: str,
        index: int,
        condition: Condition | None,
        first: Node | None,
        is_fallback: bool,
    ) -> None:
        self.key = f"{container}/{index}"
        """How its bundles are counted in ``Finish.links``."""
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
        "is_operation",
        "is_trigger",
        "label",
        "merge",
        "module",
        "next",
        "parameters",
        "place",
        "problem",
        "speaks_when_empty",
        "static",
        "traits",
        "way",
        "ways",
    )

    def __init__(self, *, index: int, id: str, module: Module, traits: ModuleTraits | None) -> None:
        self.index = index
        self.id = id
        self.place = id
        """What a resumption calls it; merge points have a container's id, but their own place."""
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
        self.is_operation = True
        """Whether a bundle that enters it is counted."""
        self.has_handler = False
        self.handler: Node | None = None
        """First module of the error route; None with `has_handler`: an empty route, i.e. ignore."""
        self.feeds: tuple[Node, ...] = ()
        """Aggregators that gather what comes from one operation of this module."""
        self.hides: tuple[str, ...] = ()
        """Aggregators: modules that cannot be read any more once it has spoken."""
        self.group_by: Evaluate | None = None
        self.speaks_when_empty = True
        """Aggregators: whether there is a bundle when nothing was gathered."""
        self.way: Way | None = None
        """The route of a router that begins here."""
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


PARKED = Node(index=-1, id="", module=Module(id="", module=""), traits=None)
"""Where a strand is that waits for an event. It is compared with, never entered."""
