"""The operators of filters, compiled once into predicates.

A filter does not fail on data: an operand that cannot be read as the operator's kind makes the
condition false.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Final

from millrace.errors import ExpressionError
from millrace.expressions.coerce import seconds_of_day
from millrace.expressions.compile import (
    Evaluate,
    compile_expression,
    compile_quiet,
    compile_template,
)
from millrace.expressions.convert import (
    date_or_none,
    is_empty,
    is_true,
    number_or_none,
    text_of,
)
from millrace.expressions.patterns import compile_pattern, is_found, split_literal
from millrace.expressions.scope import MAX_STEPS, Marker, Scope

Predicate = Callable[[Scope], bool]
Test = Callable[[Any, Any, Scope], bool]


@dataclass(frozen=True, kw_only=True)
class OperatorSpec:
    """An operator of a filter."""

    label: str
    """As shown in the editor."""

    group: str
    """What both sides are read as: basic, text, number, date, time, boolean, array."""

    unary: bool = False
    """There is no right side."""

    test: Test


def is_present(value: Any) -> bool:
    """What ``exist`` means: not null, missing or an empty text. 0, false, [] and {} are there."""
    return not (is_empty(value) or isinstance(value, Marker))


def _text_test(compare: Callable[[str, str], bool], *, fold: bool, negate: bool) -> Test:
    def test(left: Any, right: Any, scope: Scope) -> bool:
        one, other = text_of(left, scope), text_of(right, scope)
        if fold:
            one, other = one.lower(), other.lower()
        return compare(one, other) is not negate

    return test


def _pattern_test(*, fold: bool, negate: bool) -> Test:
    def test(left: Any, right: Any, scope: Scope) -> bool:
        source = text_of(right, scope)
        literal = split_literal(source)
        pattern, flags = literal or (source, "")
        if fold and "i" not in flags:
            flags += "i"
        return is_found(compile_pattern(pattern, flags), text_of(left, scope)) is not negate

    return test


def _ordered(
    read: Callable[[Any, Scope], Any], read_right: Callable[[Any, Scope], Any] | None = None
) -> dict[str, Test]:
    """The six comparisons over one reading of both sides; what cannot be read is false."""
    right_side = read_right or read

    def make(compare: Callable[[Any, Any], bool]) -> Test:
        def test(left: Any, right: Any, scope: Scope) -> bool:
            one = read(left, scope)
            if one is None:
                return False
            other = right_side(right, scope)
            return other is not None and compare(one, other)

        return test

    return {
        "equal": make(lambda one, other: bool(one == other)),
        "notequal": make(lambda one, other: bool(one != other)),
        "less": make(lambda one, other: bool(one < other)),
        "greater": make(lambda one, other: bool(one > other)),
        "lessorequal": make(lambda one, other: bool(one <= other)),
        "greaterorequal": make(lambda one, other: bool(one >= other)),
    }


def _number(value: Any, scope: Scope) -> int | float | None:
    return None if isinstance(value, bool) else number_or_none(value)


def _time(value: Any, scope: Scope) -> float | None:
    if isinstance(value, str):
        seconds = seconds_of_day(value)
        if seconds is not None:
            return seconds
        value = date_or_none(value, scope)
    if isinstance(value, datetime):
        local = value.astimezone(scope.zone)
        return local.hour * 3600 + local.minute * 60 + local.second
    return None


def _items(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return [] if is_empty(value) else [value]


def _length(value: Any, scope: Scope) -> int:
    return len(_items(value))


def _boolean(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() not in ("", "false")
    # A number is true here even when it is 0: the rule of boolean fields, not of `if`.
    return value is not None and value is not False and not isinstance(value, Marker)


def _boolean_test(*, negate: bool) -> Test:
    def test(left: Any, right: Any, scope: Scope) -> bool:
        return (_boolean(left) is _boolean(right)) is not negate

    return test


def _member_test(*, fold: bool, negate: bool) -> Test:
    def test(left: Any, right: Any, scope: Scope) -> bool:
        sought = text_of(right, scope)
        if fold:
            sought = sought.lower()
        items = _items(left)
        scope.spend(len(items))
        for item in items:
            if isinstance(item, (list, dict)):
                continue
            text = text_of(item, scope)
            if (text.lower() if fold else text) == sought:
                return not negate
        return negate

    return test


_COMPARED: Final = {
    "equal": "equal to",
    "notequal": "not equal to",
    "less": "less than",
    "greater": "greater than",
    "lessorequal": "less than or equal to",
    "greaterorequal": "greater than or equal to",
}
_DATED: Final = {
    "equal": "equal to",
    "notequal": "not equal to",
    "less": "earlier than",
    "greater": "later than",
    "lessorequal": "earlier than or equal to",
    "greaterorequal": "later than or equal to",
}
_TEXTS: Final[dict[str, tuple[str, str, Callable[[str, str], bool]]]] = {
    "equal": ("equal to", "not equal to", str.__eq__),
    "contain": ("contains", "does not contain", str.__contains__),
    "startwith": ("starts with", "does not start with", str.startswith),
    "endwith": ("ends with", "does not end with", str.endswith),
}


def _build() -> dict[str, OperatorSpec]:
    found: dict[str, OperatorSpec] = {
        "exist": OperatorSpec(
            label="exists", group="basic", unary=True, test=lambda a, b, scope: is_present(a)
        ),
        "notexist": OperatorSpec(
            label="does not exist",
            group="basic",
            unary=True,
            test=lambda a, b, scope: not is_present(a),
        ),
    }

    def add(group: str, name: str, label: str, test: Test) -> None:
        found[f"{group}:{name}"] = OperatorSpec(label=label, group=group, test=test)

    for fold, suffix, note in ((False, "", ""), (True, ":ci", " (case insensitive)")):
        for name, (label, opposite, compare) in _TEXTS.items():
            test = _text_test(compare, fold=fold, negate=False)
            add("text", name + suffix, label + note, test)
            test = _text_test(compare, fold=fold, negate=True)
            add("text", f"not{name}{suffix}", opposite + note, test)
        test = _pattern_test(fold=fold, negate=False)
        add("text", f"pattern{suffix}", f"matches pattern{note}", test)
        test = _pattern_test(fold=fold, negate=True)
        add("text", f"notpattern{suffix}", f"does not match pattern{note}", test)
        test = _member_test(fold=fold, negate=False)
        add("array", f"contain{suffix}", f"contains{note}", test)
        test = _member_test(fold=fold, negate=True)
        add("array", f"notcontain{suffix}", f"does not contain{note}", test)
    for name, test in _ordered(_number).items():
        add("number", name, _COMPARED[name], test)
    for name, test in _ordered(date_or_none).items():
        add("date", name, _DATED[name], test)
    for name, test in _ordered(_time).items():
        add("time", name, _DATED[name], test)
    for name, test in _ordered(_length, _number).items():
        add("array", name, f"array length {_COMPARED[name]}", test)
    add("boolean", "equal", "equal to", _boolean_test(negate=False))
    add("boolean", "notequal", "not equal to", _boolean_test(negate=True))
    return found


OPERATORS: Final[Mapping[str, OperatorSpec]] = MappingProxyType(_build())
"""Every operator by the name it has in a blueprint."""

_GROUPS: Final = {
    "text": ("string", "str"),
    "number": ("numeric", "num", "integer", "int"),
    "boolean": ("bool",),
    "date": ("datetime",),
    "array": ("list",),
    "time": (),
}
_NAMES: Final = {
    "equal": ("equals", "eq", "equalto", "is"),
    "notequal": ("notequals", "neq", "ne", "notequalto", "isnot"),
    "contain": ("contains", "includes"),
    "notcontain": ("notcontains", "doesnotcontain"),
    "startwith": ("startswith", "beginwith", "beginswith"),
    "notstartwith": ("notstartswith",),
    "endwith": ("endswith",),
    "notendwith": ("notendswith",),
    "pattern": ("matches", "match", "regex", "matchpattern"),
    "notpattern": ("notmatches", "notmatch", "notregex"),
    "less": ("lessthan", "lt", "before", "earlier"),
    "greater": ("greaterthan", "gt", "after", "later"),
    "lessorequal": ("lessequal", "lessthanorequal", "lessthanorequalto", "lte", "le"),
    "greaterorequal": ("greaterequal", "greaterthanorequal", "greaterthanorequalto", "gte", "ge"),
}


def _aliases() -> dict[str, str]:
    found = {
        "exists": "exist",
        "notexists": "notexist",
        "isempty": "notexist",
        "isnotempty": "exist",
    }
    for canonical in OPERATORS:
        group, _, rest = canonical.partition(":")
        name, _, suffix = rest.partition(":")
        for other_group in (group, *_GROUPS.get(group, ())):
            for other_name in (name, *_NAMES.get(name, ())):
                alias = f"{other_group}:{other_name}" + (f":{suffix}" if suffix else "")
                if rest and alias not in OPERATORS:
                    found[alias] = canonical
    return found


OPERATOR_ALIASES: Final[Mapping[str, str]] = MappingProxyType(_aliases())
"""Spellings met in hand-made blueprints, and the operator each means."""


def operator_named(name: str) -> OperatorSpec:
    """The operator of that name or alias.

    Raises:
        ExpressionError: there is none.
    """
    folded = name.strip().lower()
    spec = OPERATORS.get(OPERATOR_ALIASES.get(folded, folded))
    if spec is not None:
        return spec
    close = get_close_matches(folded, OPERATORS, 1, 0.7)
    hint = f" Did you mean {close[0]}?" if close else ""
    shown = name if len(name) <= 40 else name[:40] + "…"
    raise ExpressionError(f"Operator '{shown}' not found!{hint}")


def compile_condition(condition: Mapping[str, Any]) -> Predicate:
    """One condition ``{"a": …, "o": …, "b": …}``; both sides may hold expressions.

    Without an operator a condition with a right side means `text:equal`, one without means `exist`.

    Raises:
        ExpressionError: an unknown operator, or a side that does not parse.
    """
    default = "text:equal" if "b" in condition else "exist"
    spec = operator_named(str(condition.get("o") or default))
    test = spec.test
    left = _operand(condition.get("a"), quiet=spec.unary)
    if spec.unary:
        return lambda scope: test(left(scope), None, scope)
    right = _operand(condition.get("b"))
    return lambda scope: test(left(scope), right(scope), scope)


def _operand(source: Any, *, quiet: bool = False) -> Evaluate:
    if isinstance(source, str):
        return (compile_quiet(source) if quiet else compile_template(source)).evaluate
    if isinstance(source, list):
        items = [_operand(item) for item in source]
        return lambda scope: [item(scope) for item in items]
    return lambda scope: source


def compile_filter(conditions: list[list[dict[str, Any]]] | str | None) -> Predicate:
    """A whole filter: any of the lists whose conditions all hold.

    Args:
        conditions: Outer list OR, inner lists AND; or one boolean expression as text, with or
            without braces; or nothing, which lets every bundle pass.

    Raises:
        ExpressionError: an unknown operator, or a text that does not parse.
    """
    if not conditions:
        return lambda scope: True
    if isinstance(conditions, str):
        compiled = compile_template if "{{" in conditions else compile_expression
        evaluate = compiled(conditions.strip()).evaluate
        return lambda scope: _passes(evaluate(scope))
    groups = [[compile_condition(item) for item in group] for group in conditions if group]
    if not groups:
        return lambda scope: True

    def passes(scope: Scope) -> bool:
        scope.steps = MAX_STEPS
        for group in groups:
            for holds in group:
                if not holds(scope):
                    break
            else:
                return True
        return False

    return passes


def _passes(value: Any) -> bool:
    return is_true(value) and value != "false"
