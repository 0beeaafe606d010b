"""The syntax tree of an expression. Nodes are frozen; chains of one precedence are one node.

A long ``"a" + 1.b + "c" + …`` is a single `Chain`, so depth measures nesting and not length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, a text, or a keyword with a fixed value."""

    value: Any


@dataclass(frozen=True, slots=True)
class Dynamic:
    """A keyword whose value depends on the moment: now, timestamp, random, uuid."""

    name: str


@dataclass(frozen=True, slots=True)
class Word:
    """A bare word: a name if the scope knows it, else its own text inside an argument."""

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Key:
    """One step by name."""

    name: str


@dataclass(frozen=True, slots=True)
class Index:
    """One step by position: 1 is the first, -1 the last."""

    number: int


@dataclass(frozen=True, slots=True)
class Computed:
    """One step whose name or position is calculated."""

    node: Node


@dataclass(frozen=True, slots=True)
class Whole:
    """``[]``: the first element when steps follow, the whole array at the end of a path."""


Step = Key | Index | Computed | Whole


@dataclass(frozen=True, slots=True)
class Reference:
    """A path into a bundle or a name: ``1.email``, ``items.sku``."""

    first: str
    steps: tuple[Step, ...]
    text: str
    """As written; what a warning about a missing value shows."""


@dataclass(frozen=True, slots=True)
class Path:
    """Steps into the result of another expression: ``first(2.data).name``."""

    base: Node
    steps: tuple[Step, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments."""

    name: str
    arguments: tuple[Node, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Items:
    """An array written out: ``[1; 2; 3]``."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Unary:
    """``-x`` or ``!x``."""

    operator: str
    operand: Node
    position: int


@dataclass(frozen=True, slots=True)
class Chain:
    """Operands of one precedence, worked from left to right."""

    first: Node
    rest: tuple[tuple[str, Node, int], ...]
    """Operator, operand, position of the operator."""


@dataclass(frozen=True, slots=True)
class Words:
    """An argument of bare words that also parses as an expression: ``YYYY-MM-DD``.

    It is the expression when the scope knows one of its names, else the text.
    """

    text: str
    node: Node
    names: tuple[str, ...]


Node = Literal | Dynamic | Word | Reference | Path | Call | Items | Unary | Chain | Words


@dataclass(frozen=True, slots=True)
class Hole:
    """One ``{{ }}``. An empty one has no node and is null."""

    node: Node | None
    position: int


@dataclass(frozen=True, slots=True)
class TemplateTree:
    """Texts and holes in their order."""

    parts: tuple[str | Hole, ...]
