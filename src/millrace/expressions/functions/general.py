"""Choosing, reading by path, and collections."""

# ruff: noqa: D103  (the text of each function stands in its decorator)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millrace.errors import ExpressionError
from millrace.expressions.compare import equal
from millrace.expressions.convert import integer_of, is_empty, is_true, kind_of, text_of
from millrace.expressions.functions.spec import FunctionTable
from millrace.expressions.paths import follow, read_path
from millrace.expressions.scope import Scope

general = FunctionTable("general")

Lazy = Callable[[Scope], Any]


@general.add(
    "if(condition; then; [else])",
    "Gives `then` when the condition is true, otherwise `else`, or nothing without one. Only the "
    "chosen "
    "one is evaluated. Null, false, 0 and an empty text are false.",
    ("if(1=1; A; B)", "A"),
    ("if(1=2 and 1=2; A; B)", "B"),
    ("if(0; A)", None),
    pure=False,
    lazy=True,
)
def if_(scope: Scope, condition: Lazy, then: Lazy, otherwise: Lazy | None = None) -> Any:
    if is_true(condition(scope)):
        return then(scope)
    return None if otherwise is None else otherwise(scope)


@general.add(
    "ifempty(value; default)",
    "Gives the value, or the default when it is null, missing or an empty text. 0 and false are "
    "values.",
    ('ifempty(""; B)', "B"),
    ("ifempty(A; B)", "A"),
    ("ifempty(0; B)", 0),
    pure=False,
    lazy=True,
    quiet=True,
)
def ifempty(scope: Scope, value: Lazy, default: Lazy) -> Any:
    found = value(scope)
    return default(scope) if found is None or found == "" else found


@general.add(
    "switch(value; case; result; ...)",
    "Compares the value with each case and gives the result after the first equal one. A last "
    "argument "
    "without a partner is given when none is equal.",
    ("switch(B; A; 1; B; 2; C; 3)", 2),
    ("switch(X; A; 1; B; 2; C; 3; 4)", 4),
    ("switch(X; A; 1)", None),
    pure=False,
    lazy=True,
)
def switch(scope: Scope, value: Lazy, *cases: Lazy) -> Any:
    sought = value(scope)
    for case, result in zip(cases[::2], cases[1::2], strict=False):
        if equal(sought, case(scope), scope):
            return result(scope)
    return cases[-1](scope) if len(cases) % 2 else None


@general.add(
    "get(value; path)",
    "Reads from a collection or an array by a path of names joined by dots. Positions in the "
    "path count "
    "from 1. What is missing gives null.",
    ('get(parseJSON("{""a"":{""b"":[5,6]}}"); "a.b.2")', 6),
    ('get(split("x,y"; ","); 1 + 1)', "y"),
    ('get(parseJSON("{}"); "a.b")', None),
    paths=True,
)
def get(scope: Scope, value: Any, path: Any) -> Any:
    return follow(value, read_path(path, scope))


@general.add(
    "pick(collection; key; ...)",
    "A collection with the named keys only.",
    ('pick(parseJSON("{""a"":1,""b"":2}"); "a")', {"a": 1}),
    paths=True,
)
def pick(scope: Scope, collection: Any, *keys: Any) -> Any:
    wanted = _keys(keys, scope)
    return {key: value for key, value in _collection(collection).items() if key in wanted}


@general.add(
    "omit(collection; key; ...)",
    "A collection without the named keys.",
    ('omit(parseJSON("{""a"":1,""b"":2}"); "a")', {"b": 2}),
    paths=True,
)
def omit(scope: Scope, collection: Any, *keys: Any) -> Any:
    unwanted = _keys(keys, scope)
    return {key: value for key, value in _collection(collection).items() if key not in unwanted}


def _keys(keys: tuple[Any, ...], scope: Scope) -> set[str]:
    names: set[str] = set()
    for key in keys:
        names.update(text_of(item, scope) for item in (key if isinstance(key, list) else [key]))
    return names


def _collection(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    if is_empty(value):
        return {}
    raise ExpressionError(f"a collection is expected, not {kind_of(value)}")


@general.add(
    "equal(a; b)",
    "Whether two values are equal, as the operator = sees them.",
    ('equal(1; "1")', True),
    ("equal(A; B)", False),
)
def equal_(scope: Scope, a: Any, b: Any) -> bool:
    return equal(a, b, scope)


@general.add(
    "mergeCollections(a; b; ...)",
    "One collection with the keys of all; the later value wins.",
    ('mergeCollections(parseJSON("{""a"":1,""b"":1}"); parseJSON("{""b"":2}"))', {"a": 1, "b": 2}),
    extra="F",
)
def merge_collections(scope: Scope, *collections: Any) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for collection in collections:
        found = _collection(collection)
        scope.spend(len(found))
        merged.update(found)
    return merged


@general.add(
    "isBlank(value)",
    "True for null, missing and an empty text; false for 0, false and a space.",
    ('isBlank("")', True),
    ("isBlank(0)", False),
    ('isBlank(" ")', False),
    extra="F",
    quiet=True,
)
def is_blank(scope: Scope, value: Any) -> bool:
    return is_empty(value)


@general.add(
    "in(value; candidate; ...)",
    "Whether the value is one of the candidates, kind and all.",
    ('in("2"; 1; 2; 3)', False),
    ("in(2; 1; 2; 3)", True),
    extra="F",
)
def in_(scope: Scope, value: Any, *candidates: Any) -> bool:
    return any(_strict(value, candidate, scope) for candidate in candidates)


def _strict(left: Any, right: Any, scope: Scope) -> bool:
    numbers = (int, float)
    same_kind = type(left) is type(right) or (type(left) in numbers and type(right) in numbers)
    return same_kind and equal(left, right, scope)


@general.add(
    "ifin(value; candidate; ...; then; else)",
    "Gives `then` when the value is one of the candidates, kind and all, otherwise `else`.",
    ("ifin(2; 1; 2; yes; no)", "yes"),
    ("ifin(5; 1; 2; yes; no)", "no"),
    extra="F",
    pure=False,
    lazy=True,
)
def ifin(scope: Scope, value: Lazy, *rest: Lazy) -> Any:
    sought = value(scope)
    found = any(_strict(sought, candidate(scope), scope) for candidate in rest[:-2])
    return rest[-2 if found else -1](scope)


@general.add(
    "case(number; value; ...)",
    "The value at that position, counted from 1; null beyond the last.",
    ("case(2; A; B; C)", "B"),
    ("case(9; A; B)", None),
    extra="F",
    pure=False,
    lazy=True,
)
def case(scope: Scope, number: Lazy, *values: Lazy) -> Any:
    position = integer_of(number(scope))
    return values[position - 1](scope) if 1 <= position <= len(values) else None
