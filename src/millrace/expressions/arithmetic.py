"""The operators that calculate. Numbers behave as in JavaScript, without NaN and infinity."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from millrace.errors import ExpressionError
from millrace.expressions.convert import (
    Number,
    date_or_none,
    milliseconds,
    number_of,
    result,
    text_of,
)
from millrace.expressions.scope import Scope, check_size


def is_number(value: Any) -> bool:
    """An int or a float; a boolean is none."""
    return type(value) is int or type(value) is float


def add_all(values: list[Any], scope: Scope) -> Any:
    """``a + b + …`` from the left: numbers add up until the first text, then texts join."""
    total = values[0]
    for index in range(1, len(values)):
        value = values[index]
        if not (is_number(total) and is_number(value)):
            texts = [text_of(part, scope) for part in (total, *values[index:])]
            check_size(sum(map(len, texts)))
            return "".join(texts)
        total = result(total + value)
    return total


def add(left: Any, right: Any, scope: Scope) -> Any:
    """``left + right``."""
    return add_all([left, right], scope)


def subtract(left: Any, right: Any, scope: Scope) -> Number:
    """``left - right``; the milliseconds between two dates."""
    if isinstance(left, datetime) or isinstance(right, datetime):
        one, other = date_or_none(left, scope), date_or_none(right, scope)
        if one is not None and other is not None:
            return milliseconds(one) - milliseconds(other)
    return result(number_of(left) - number_of(right))


def multiply(left: Any, right: Any, scope: Scope) -> Number:
    """``left * right``."""
    return result(number_of(left) * number_of(right))


def divide(left: Any, right: Any, scope: Scope) -> Number:
    """``left / right``; a whole quotient stays a whole number.

    Raises:
        ExpressionError: the divisor is zero.
    """
    one, other = number_of(left), number_of(right)
    if other == 0:
        raise ExpressionError("division by zero")
    return result(one / other)


def remainder(left: Any, right: Any, scope: Scope) -> Number:
    """``left % right`` with the sign of the dividend, as in JavaScript.

    Raises:
        ExpressionError: the divisor is zero.
    """
    one, other = number_of(left), number_of(right)
    if other == 0:
        raise ExpressionError("division by zero")
    if type(one) is int and type(other) is int:
        rest = abs(one) % abs(other)
        return result(-rest if one < 0 else rest)
    return result(math.fmod(one, other))


def negative(value: Any) -> Number:
    """``-value``."""
    return result(-number_of(value))


OPERATIONS: Final[dict[str, Callable[[Any, Any, Scope], Any]]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": remainder,
}
