"""Templates: mapped texts, compiled once, evaluated a million times."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from millrace.expressions.closures import Evaluate, call_arguments, compile_node, constant
from millrace.expressions.convert import measure, text_of
from millrace.expressions.parse import parse_expression, parse_template
from millrace.expressions.scope import MAX_OUTPUT, MAX_STEPS, Scope, check_size
from millrace.expressions.tree import (
    Call,
    Chain,
    Computed,
    Hole,
    Items,
    Node,
    Path,
    Reference,
    TemplateTree,
    Unary,
    Word,
    Words,
)

CACHED_TEMPLATES: Final = 20_000
LONGEST_CACHED: Final = 4_096
"""Longer sources are compiled anew, so that the cache stays small."""


class Template:
    """One mapped text, compiled once.

    A text that is exactly one hole gives the hole's value with its own kind; everything else is
    text.
    """

    __slots__ = ("evaluate", "functions", "is_constant", "references", "source", "words")

    def __init__(
        self,
        *,
        source: str,
        evaluate: Evaluate,
        is_constant: bool,
        references: frozenset[str],
        functions: frozenset[str],
        words: frozenset[str],
    ) -> None:
        self.source = source
        self.evaluate = evaluate
        """``template.evaluate(scope)`` gives the value; raises ExpressionError."""
        self.is_constant = is_constant
        """There is no hole: the value is the source."""
        self.references = references
        """First steps used: ``1``, ``items``, ``var``, ..."""
        self.functions = functions
        """Names of the functions called."""
        self.words = words
        """Bare words in arguments: a name where the scope has one, else a text."""

    def __repr__(self) -> str:
        return f"Template({self.source!r})"


def compile_template(source: str, *, comma: bool = False) -> Template:
    """Compile a mapped text.

    Args:
        source: Text with ``{{ }}`` holes.
        comma: Arguments are separated by commas, as in connector files.

    Raises:
        ExpressionError: a hole does not parse, calls a function that does not exist, or calls one
            with the wrong number of arguments.
    """
    if len(source) > LONGEST_CACHED:
        return _template(source, parse_template(source, comma=comma))
    return _cached_template(source, comma)


@lru_cache(maxsize=CACHED_TEMPLATES)
def _cached_template(source: str, comma: bool) -> Template:
    return _template(source, parse_template(source, comma=comma))


@lru_cache(maxsize=1_000)
def compile_expression(source: str, *, comma: bool = False) -> Template:
    """Compile the inside of one hole, written without braces.

    Raises:
        ExpressionError: see `compile_template`.
    """
    return _template(source, parse_expression(source, comma=comma))


def compile_quiet(source: str) -> Template:
    """A template whose own missing value gives no warning: the operand of ``exist``."""
    return _template(source, parse_template(source), quiet=True)


def _template(source: str, tree: TemplateTree, *, quiet: bool = False) -> Template:
    names = _Names()
    for hole in tree.parts:
        if isinstance(hole, Hole) and hole.node is not None:
            names.collect(hole.node)
    return Template(
        source=source,
        evaluate=_compile_parts(tree.parts, quiet, bool(names.functions)),
        is_constant=not any(isinstance(part, Hole) for part in tree.parts),
        references=frozenset(names.references),
        functions=frozenset(names.functions),
        words=frozenset(names.words),
    )


def references(tree: TemplateTree) -> frozenset[str]:
    """First steps of every reference in a parsed template."""
    names = _Names()
    for part in tree.parts:
        if isinstance(part, Hole) and part.node is not None:
            names.collect(part.node)
    return frozenset(names.references)


class _Names:
    """What a tree mentions."""

    def __init__(self) -> None:
        self.references: set[str] = set()
        self.functions: set[str] = set()
        self.words: set[str] = set()

    def collect(self, node: Node) -> None:
        pending: list[Node] = [node]
        while pending:
            part = pending.pop()
            if isinstance(part, Reference):
                self.references.add(part.first)
                pending.extend(step.node for step in part.steps if isinstance(step, Computed))
            elif isinstance(part, Path):
                pending.append(part.base)
                pending.extend(step.node for step in part.steps if isinstance(step, Computed))
            elif isinstance(part, Call):
                self.functions.add(part.name)
                pending.extend(call_arguments(part))
            elif isinstance(part, Items):
                pending.extend(part.nodes)
            elif isinstance(part, Unary):
                pending.append(part.operand)
            elif isinstance(part, Chain):
                pending.append(part.first)
                pending.extend(operand for _, operand, _ in part.rest)
            elif isinstance(part, Word):
                self.words.add(part.name)
            elif isinstance(part, Words):
                self.words.update(part.names)


def _compile_parts(parts: tuple[str | Hole, ...], quiet: bool, calls: bool) -> Evaluate:
    if not parts:
        return constant("")
    if len(parts) == 1:
        only = parts[0]
        if isinstance(only, str):
            return constant(only)
        if only.node is None:
            return constant(None)
        evaluate = compile_node(only.node, quiet)
        return _bounded(evaluate) if calls else evaluate
    return _join(parts)


def _bounded(evaluate: Evaluate) -> Evaluate:
    """A whole hole that calls functions: a fresh budget, and a result of bearable size."""

    def whole(scope: Scope) -> Any:
        scope.steps = MAX_STEPS
        value = evaluate(scope)
        if type(value) is list or type(value) is dict:
            measure(value)
        return value

    return whole


def _join(parts: tuple[str | Hole, ...]) -> Evaluate:
    """Text around holes. The constant pieces are copied, the holes filled in."""
    pieces: list[str] = []
    holes: list[tuple[int, Evaluate]] = []
    for part in parts:
        if isinstance(part, str):
            pieces.append(part)
        elif part.node is not None:
            holes.append((len(pieces), compile_node(part.node, False)))
            pieces.append("")

    def joined(scope: Scope) -> str:
        scope.steps = MAX_STEPS
        filled = pieces.copy()
        for index, hole in holes:
            value = hole(scope)
            filled[index] = value if type(value) is str else text_of(value, scope)
        size = sum(map(len, filled))
        if size > MAX_OUTPUT:
            check_size(size)
        return "".join(filled)

    return joined
