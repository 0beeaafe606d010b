"""What apps may use of the expression language: the same rules that users see in mappings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from millrace.expressions.convert import json_text, text_of
from millrace.expressions.operators import operator_named
from millrace.expressions.scope import Scope

Record = Mapping[str, Any]
_MISSING = object()


def to_text(value: Any) -> str:
    """The text that stands for a value in a mapping; nothing is an empty text.

    Raises:
        ExpressionError: a file, or more than 10 MB.
    """
    return value if value.__class__ is str else text_of(value, Scope())


def to_json(value: Any, *, indent: int = 0) -> str:
    """A value as JSON; dates as ISO text, numbers as JavaScript prints them.

    Raises:
        ExpressionError: it cannot be written.
    """
    return json_text(value, Scope(), indent=indent)


def compile_condition(condition: Mapping[str, Any]) -> Callable[[Record], bool]:
    """A condition ``{"a": field, "o": operator, "b": value}`` over a record.

    The field may be a path with dots; the value is plain data and is not evaluated.

    Raises:
        ExpressionError: an unknown operator.
    """
    field = str(condition.get("a") or "")
    default = "text:equal" if "b" in condition else "exist"
    test = operator_named(str(condition.get("o") or default)).test
    right = condition.get("b")
    return lambda record: test(field_of(record, field), right, Scope())


def compile_conditions(
    conditions: Sequence[Sequence[Mapping[str, Any]]] | None,
) -> Callable[[Record], bool]:
    """The outer list OR, the inner AND; an empty one lets every record pass.

    Raises:
        ExpressionError: an unknown operator.
    """
    groups = [[compile_condition(one) for one in group] for group in conditions or ()]
    groups = [group for group in groups if group]
    if not groups:
        return lambda record: True
    return lambda record: any(all(holds(record) for holds in group) for group in groups)


def field_of(record: Record, path: str) -> Any:
    """A field by its name, or by a path with dots; None when there is none."""
    value = record.get(path, _MISSING)
    if value is not _MISSING:
        return value
    value = record
    for step in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value
