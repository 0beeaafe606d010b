"""Loose equality and order: how ``=``, ``<`` and the functions that compare see two values."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from millrace.expressions.convert import (
    date_or_none,
    date_text,
    is_empty,
    milliseconds,
    number_or_none,
)
from millrace.expressions.scope import Scope


def equal(left: Any, right: Any, scope: Scope) -> bool:
    """Whether two values are the same to a user: ``1 = "1"``, ``true = "true"``, null = "".

    Collections and arrays are compared by what they hold.
    """
    if type(left) is str and type(right) is str:
        return left == right
    pending = [(left, right)]
    while pending:
        one, other = pending.pop()
        if isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            scope.spend(len(one))
            pending.extend(zip(one, other, strict=True))
        elif isinstance(one, dict) and isinstance(other, dict):
            if one.keys() != other.keys():
                return False
            scope.spend(len(one))
            pending.extend((value, other[key]) for key, value in one.items())
        elif not _same(one, other, scope):
            return False
    return True


def _same(left: Any, right: Any, scope: Scope) -> bool:
    if is_empty(left) or is_empty(right):
        return is_empty(left) and is_empty(right)
    if type(left) is type(right):
        return bool(left == right)
    if isinstance(left, datetime) or isinstance(right, datetime):
        return _same_date(left, right, scope)
    if isinstance(left, bool) and isinstance(right, str):
        return _same_boolean(left, right)
    if isinstance(right, bool) and isinstance(left, str):
        return _same_boolean(right, left)
    one, other = number_or_none(left), number_or_none(right)
    return one is not None and one == other


def _same_boolean(value: bool, text: str) -> bool:
    if text in ("true", "false"):
        return value is (text == "true")
    return number_or_none(text) == int(value)


def _same_date(left: Any, right: Any, scope: Scope) -> bool:
    one, other = date_or_none(left, scope), date_or_none(right, scope)
    if one is not None and other is not None:
        return one == other
    date, value = (left, right) if isinstance(left, datetime) else (right, left)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return milliseconds(date) == value
    return bool(date_text(date) == value)


_PLAIN: Final = frozenset({(str, str), (int, int), (int, float), (float, int), (float, float)})
"""Kinds that Python itself orders as the language does."""


def order(left: Any, right: Any, scope: Scope) -> int | None:
    """-1, 0 or 1 as `left` is before, at or after `right`; None when they have no order.

    Two texts go by code point, dates by instant, everything else by number.
    """
    kinds = type(left), type(right)
    if kinds in _PLAIN:
        return (left > right) - (left < right)
    one: Any
    other: Any
    if isinstance(left, datetime) or isinstance(right, datetime):
        one, other = date_or_none(left, scope), date_or_none(right, scope)
        if one is None or other is None:
            one, other = _milliseconds_or_number(left), _milliseconds_or_number(right)
    else:
        one, other = number_or_none(left), number_or_none(right)
    if one is None or other is None:
        return None
    return bool(one > other) - bool(one < other)


def _milliseconds_or_number(value: Any) -> int | float | None:
    return milliseconds(value) if isinstance(value, datetime) else number_or_none(value)


def is_less(left: Any, right: Any, scope: Scope) -> bool:
    """``left < right``; false when they have no order."""
    return order(left, right, scope) == -1


def is_at_most(left: Any, right: Any, scope: Scope) -> bool:
    """``left <= right``; false when they have no order."""
    return order(left, right, scope) in (-1, 0)


def is_greater(left: Any, right: Any, scope: Scope) -> bool:
    """``left > right``; false when they have no order."""
    return order(left, right, scope) == 1


def is_at_least(left: Any, right: Any, scope: Scope) -> bool:
    """``left >= right``; false when they have no order."""
    return order(left, right, scope) in (0, 1)


def is_different(left: Any, right: Any, scope: Scope) -> bool:
    """``left != right``."""
    return not equal(left, right, scope)


COMPARISONS: dict[str, Callable[[Any, Any, Scope], bool]] = {
    "=": equal,
    "!=": is_different,
    "<": is_less,
    "<=": is_at_most,
    ">": is_greater,
    ">=": is_at_least,
}
