"""Nodes to Python closures, specialised by shape.

A closure takes the scope and gives a value. Nothing is ever handed to Python's own compiler, no
attribute is read by a name from the input, and the result is never parsed again.

Only loops and growth spend the scope's budget: the number of nodes is bounded by the parser.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from millrace.errors import ExpressionError
from millrace.expressions.arithmetic import OPERATIONS, add_all, negative
from millrace.expressions.compare import COMPARISONS
from millrace.expressions.convert import is_true, milliseconds
from millrace.expressions.functions import FUNCTIONS, FunctionSpec, suggestion
from millrace.expressions.parse import DYNAMIC, KEYWORDS
from millrace.expressions.paths import item_at, step_into
from millrace.expressions.scope import Scope
from millrace.expressions.tree import (
    Call,
    Chain,
    Dynamic,
    Index,
    Items,
    Key,
    Literal,
    Node,
    Path,
    Reference,
    Step,
    Unary,
    Whole,
    Word,
    Words,
)

Evaluate = Callable[[Scope], Any]

_FOLDED_TEXT: Final = 1_024
"""A constant call whose result is a longer text is made anew each time, to keep memory small."""


def compile_node(node: Node, quiet: bool = False) -> Evaluate:
    """The closure of one node; `quiet` when a missing value is intended and gives no warning."""
    if isinstance(node, Literal):
        return constant(node.value)
    if isinstance(node, Reference):
        return _reference(node, quiet)
    if isinstance(node, Call):
        return _call(node)
    if isinstance(node, Chain):
        return _chain(node)
    if isinstance(node, Word):
        return _word(node.name)
    if isinstance(node, Words):
        return _words(node)
    if isinstance(node, Dynamic):
        return _DYNAMIC[node.name]
    if isinstance(node, Path):
        return _path(node, quiet)
    if isinstance(node, Items):
        return _items(node)
    return _unary(node)


def constant(value: Any) -> Evaluate:
    """Always the same value."""

    def constant(scope: Scope) -> Any:
        return value

    return constant


def _now(scope: Scope) -> Any:
    return scope.now


def _timestamp(scope: Scope) -> int:
    return milliseconds(scope.now) // 1000


def _random(scope: Scope) -> float:
    return (int.from_bytes(scope.draw()[:8], "big") >> 11) / 2**53


def _uuid(scope: Scope) -> str:
    number = int.from_bytes(scope.draw()[:16], "big")
    number = number & ~(0xF << 76) | (4 << 76)  # version 4
    number = number & ~(0x3 << 62) | (2 << 62)  # the RFC 9562 variant
    digits = f"{number:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _emptyarray(scope: Scope) -> list[Any]:
    return []


_DYNAMIC: Final[dict[str, Evaluate]] = {
    "now": _now,
    "timestamp": _timestamp,
    "random": _random,
    "uuid": _uuid,
    "emptyarray": _emptyarray,
}


def _missing(scope: Scope, text: str) -> None:
    warnings = scope.warnings
    if warnings is not None and text not in warnings:
        warnings.append(text)


def _reference(node: Reference, quiet: bool) -> Evaluate:
    first, text = node.first, node.text
    if len(node.steps) == 1 and isinstance(node.steps[0], Key):
        return _field(first, node.steps[0].name, text, quiet)
    if len(node.steps) == 2:
        one, two = node.steps
        if isinstance(one, Key) and isinstance(two, Key):
            return _nested_field(first, one.name, two.name, text, quiet)
    read = _reader(node.steps)

    def reference(scope: Scope) -> Any:
        bundles = scope.bundles
        base = bundles[first] if first in bundles else scope.names.get(first, _ABSENT)
        value = base if base is _ABSENT else read(base, scope)
        if value is _ABSENT:
            if not quiet:
                _missing(scope, text)
            return None
        return value

    return reference


def _field(first: str, name: str, text: str, quiet: bool) -> Evaluate:
    """``1.email``, the commonest of all: two look-ups and no loop."""
    read = _reader((Key(name),))

    def other(scope: Scope) -> Any:
        base = scope.bundles.get(first)
        if base is None:
            base = scope.names.get(first)
        value = read(base, scope)
        if value is not _ABSENT:
            return value
        if not quiet:
            _missing(scope, text)
        return None

    if not first.isdigit():
        return other

    def field(scope: Scope) -> Any:
        try:
            return scope.bundles[first][name]
        except (KeyError, TypeError):
            return other(scope)

    return field


def _nested_field(first: str, outer: str, inner: str, text: str, quiet: bool) -> Evaluate:
    read = _reader((Key(outer), Key(inner)))

    def nested_field(scope: Scope) -> Any:
        bundle = scope.bundles.get(first)
        if bundle is None:
            bundle = scope.names.get(first)
        if type(bundle) is dict:
            middle = bundle.get(outer)
            if type(middle) is dict and inner in middle:
                return middle[inner]
        value = read(bundle, scope)
        if value is not _ABSENT:
            return value
        if not quiet:
            _missing(scope, text)
        return None

    return nested_field


_ABSENT: Final = object()


def _reader(steps: tuple[Step, ...]) -> Callable[[Any, Scope], Any]:
    """Follows steps through plain data; the absent marker when one does not apply."""
    last = len(steps) - 1
    plan: list[tuple[int, Any]] = []
    for index, step in enumerate(steps):
        if isinstance(step, Key):
            plan.append((0, step.name))
        elif isinstance(step, Index):
            plan.append((1, step.number))
        elif isinstance(step, Whole):
            plan.append((2, None) if index == last else (1, 1))
        else:
            plan.append((3, compile_node(step.node)))

    def read(value: Any, scope: Scope) -> Any:
        for kind, step in plan:
            if kind == 0:
                if type(value) is dict:
                    value = value.get(step, _ABSENT)
                elif type(value) is list:
                    value = _present(item_at(value, step))
                else:
                    return _ABSENT
            elif kind == 1:
                value = _present(item_at(value, step)) if type(value) is list else _ABSENT
            elif kind == 2:
                value = value if type(value) is list else _ABSENT
            else:
                value = _present(step_into(value, step(scope)))
            if value is _ABSENT:
                return _ABSENT
        return value

    return read


def _present(value: Any) -> Any:
    return _ABSENT if value is None else value


def _path(node: Path, quiet: bool) -> Evaluate:
    base, read = compile_node(node.base, quiet), _reader(node.steps)

    def path(scope: Scope) -> Any:
        value = read(base(scope), scope)
        return None if value is _ABSENT else value

    return path


def _items(node: Items) -> Evaluate:
    nodes = [compile_node(part) for part in node.nodes]

    def items(scope: Scope) -> list[Any]:
        return [part(scope) for part in nodes]

    return items


def _known(scope: Scope, name: str) -> bool:
    return name in scope.bundles or name in scope.names


def _word(name: str) -> Evaluate:
    def word(scope: Scope) -> Any:
        if name in scope.bundles:
            return scope.bundles[name]
        return scope.names.get(name, name)

    return word


def _words(node: Words) -> Evaluate:
    text, names, evaluate = node.text, node.names, compile_node(node.node)

    def words(scope: Scope) -> Any:
        for name in names:
            if _known(scope, name):
                return evaluate(scope)
        return text

    return words


def _unary(node: Unary) -> Evaluate:
    operand = compile_node(node.operand)
    if node.operator == "!":

        def negated(scope: Scope) -> bool:
            return not is_true(operand(scope))

        return negated
    position = node.position

    def minus(scope: Scope) -> Any:
        try:
            return negative(operand(scope))
        except ExpressionError as error:
            raise _failure(error, "-", position) from None

    return minus


def _chain(node: Chain) -> Evaluate:
    operator = node.rest[0][0]
    operands = [compile_node(part) for part in (node.first, *(part for _, part, _ in node.rest))]
    if operator in "|&":
        return _logic(operands, decides=operator == "|")
    if all(sign == "+" for sign, _, _ in node.rest):
        return _sum(operands, node.rest[0][2])
    steps = tuple(
        (OPERATIONS.get(sign) or COMPARISONS[sign], compile_node(part), sign, position)
        for sign, part, position in node.rest
    )
    first = operands[0]
    if len(steps) == 1:
        only, right, only_sign, only_position = steps[0]

        def pair(scope: Scope) -> Any:
            try:
                return only(first(scope), right(scope), scope)
            except ExpressionError as error:
                raise _failure(error, only_sign, only_position) from None

        return pair

    def chain(scope: Scope) -> Any:
        value = first(scope)
        for operation, right, sign, position in steps:
            try:
                value = operation(value, right(scope), scope)
            except ExpressionError as error:
                raise _failure(error, sign, position) from None
        return value

    return chain


def _sum(operands: list[Evaluate], position: int) -> Evaluate:
    def total(scope: Scope) -> Any:
        try:
            return add_all([operand(scope) for operand in operands], scope)
        except ExpressionError as error:
            raise _failure(error, "+", position) from None

    return total


def _logic(operands: list[Evaluate], *, decides: bool) -> Evaluate:
    """``|`` stops at the first true operand, ``&`` at the first false one."""

    def logic(scope: Scope) -> bool:
        for operand in operands:
            if is_true(operand(scope)) is decides:
                return decides
        return not decides

    return logic


def _call(node: Call) -> Evaluate:
    spec = FUNCTIONS.get(node.name)
    if spec is None:
        raise _unknown(node)
    _check_arguments(spec, node)
    arguments = [
        compile_node(part, quiet=spec.quiet and index == 0)
        for index, part in enumerate(call_arguments(node))
    ]
    evaluate = _invoke(spec, arguments, node.position)
    if spec.pure and all(isinstance(part, Literal) for part in node.arguments):
        return _folded(evaluate)
    return evaluate


def call_arguments(node: Call) -> tuple[Node, ...]:
    """The arguments as the function means them: keys are texts."""
    spec = FUNCTIONS.get(node.name)
    if spec is None or not spec.paths:
        return node.arguments
    return (*node.arguments[:1], *map(_key, node.arguments[1:]))


def _key(node: Node) -> Node:
    """``sender.name`` as the key of `map` or `sort`: a text, unless the scope knows ``sender``."""
    if isinstance(node, Reference) and not node.first.isdigit():
        return Words(node.text, node, (node.first,))
    return node


def _unknown(node: Call) -> ExpressionError:
    hint = suggestion(node.name)
    if node.name in KEYWORDS or node.name in DYNAMIC:
        hint = f" {node.name} is a keyword, write it without parentheses."
    return ExpressionError(f"Function '{node.name}' not found!{hint}", position=node.position)


def _check_arguments(spec: FunctionSpec, node: Call) -> None:
    given = len(node.arguments)
    if given >= spec.least and (spec.most is None or given <= spec.most):
        return
    if spec.most is None:
        wanted = f"at least {spec.least}"
    elif spec.most == spec.least:
        wanted = str(spec.least)
    else:
        joint = "or" if spec.most == spec.least + 1 else "to"
        wanted = f"{spec.least} {joint} {spec.most}"
    noun = "argument" if wanted.endswith("1") and wanted != "at least 11" else "arguments"
    raise ExpressionError(
        f"expected {wanted} {noun}, got {given}; it is written {spec.signature}",
        position=node.position,
        function=spec.name,
    )


def _invoke(spec: FunctionSpec, arguments: list[Evaluate], position: int) -> Evaluate:
    """The call itself, without a loop for the usual numbers of arguments."""
    call = spec.call
    name = spec.name

    if spec.lazy:

        def lazy_call(scope: Scope) -> Any:
            try:
                return call(scope, *arguments)
            except _FAILURES as error:
                raise _failure(error, name, position) from None

        return lazy_call

    if len(arguments) == 1:
        only = arguments[0]

        def call_of_one(scope: Scope) -> Any:
            try:
                return call(scope, only(scope))
            except _FAILURES as error:
                raise _failure(error, name, position) from None

        return call_of_one

    if len(arguments) == 2:
        one, two = arguments

        def call_of_two(scope: Scope) -> Any:
            try:
                return call(scope, one(scope), two(scope))
            except _FAILURES as error:
                raise _failure(error, name, position) from None

        return call_of_two

    def call_of_many(scope: Scope) -> Any:
        try:
            return call(scope, *[argument(scope) for argument in arguments])
        except _FAILURES as error:
            raise _failure(error, name, position) from None

    return call_of_many


_FAILURES: Final = (ExpressionError, ArithmeticError, ValueError, RecursionError)


def _failure(error: Exception, function: str, position: int) -> ExpressionError:
    """The error that a failed call or operator is reported as; an inner place is kept."""
    if not isinstance(error, ExpressionError):
        error = ExpressionError("the values given are outside what it can work with")
    if error.function is None and error.position is None:
        error.function, error.position = function, position
    return error


def _folded(evaluate: Evaluate) -> Evaluate:
    """The result itself when the arguments are constants and the result is small.

    A call that is an error stays a call: it fails when, and only when, it is reached.
    """
    try:
        value = evaluate(Scope())
    except ExpressionError:
        return evaluate
    small = value is None or isinstance(value, (bool, int, float))
    if small or (isinstance(value, str) and len(value) <= _FOLDED_TEXT):
        return constant(value)
    return evaluate
