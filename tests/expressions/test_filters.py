"""Filters: OR of ANDs, the operators by group, and what happens to operands that do not fit."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from millrace.errors import ExpressionError
from millrace.expressions import (
    OPERATOR_ALIASES,
    OPERATORS,
    Scope,
    compile_condition,
    compile_filter,
)

BUNDLE: dict[str, Any] = {
    "n": 5,
    "zero": 0,
    "numeric": "5.0",
    "text": "Hello World",
    "empty": "",
    "none": None,
    "yes": True,
    "no": "false",
    "list": ["Red", "green", 3],
    "nothing": [],
    "map": {},
    "date": datetime(2016, 6, 20, 17, 26, 44, tzinfo=UTC),
}


def scope() -> Scope:
    return Scope(bundles={"1": BUNDLE}, warnings=[])


def holds(a: Any, o: str, b: Any = None) -> bool:
    condition = {"a": a, "o": o} if b is None else {"a": a, "o": o, "b": b}
    return compile_condition(condition)(scope())


TRUE = {"a": "{{1.n}}", "o": "number:equal", "b": "5"}
FALSE = {"a": "{{1.n}}", "o": "number:equal", "b": "6"}


@pytest.mark.parametrize(
    ("conditions", "passes"),
    [
        ([[TRUE, TRUE], [FALSE]], True),
        ([[TRUE, FALSE], [FALSE]], False),
        ([[TRUE, FALSE], [TRUE]], True),
        ([[FALSE, TRUE], [FALSE]], False),
        ([[TRUE]], True),
        ([[FALSE]], False),
        ([], True),
        ([[]], True),
        (None, True),
        ("", True),
        ("{{1.n > 4}}", True),
        ("1.n > 4 & 1.empty", False),
        ("{{1.no}}", False),
        ("{{1.yes}}", True),
    ],
)
def test_T3_the_outer_list_is_or_and_the_inner_lists_are_and(conditions: Any, passes: bool) -> None:
    assert compile_filter(conditions)(scope()) is passes


@pytest.mark.parametrize(
    ("a", "there"),
    [
        ("{{1.none}}", False),
        ("{{1.missing}}", False),
        ("{{1.empty}}", False),
        ("{{1.zero}}", True),
        ("{{1.nothing}}", True),
        ("{{1.map}}", True),
        ("{{false}}", True),
    ],
)
def test_exist_is_false_for_nothing_and_empty_text_only(a: str, there: bool) -> None:
    assert holds(a, "exist") is there
    assert holds(a, "notexist") is not there


def test_asking_whether_a_value_exists_gives_no_warning() -> None:
    seen = scope()
    compile_condition({"a": "{{1.missing}}", "o": "exist"})(seen)
    compile_condition({"a": "{{1.gone}}", "o": "text:equal", "b": ""})(seen)
    assert seen.warnings == ["1.gone"]


@pytest.mark.parametrize(
    ("a", "o", "b", "expected"),
    [
        ("{{1.none}}", "text:equal", "", True),
        ("{{1.text}}", "text:notequal", "", True),
        ("{{1.text}}", "text:equal", "hello world", False),
        ("{{1.text}}", "text:equal:ci", "hello world", True),
        ("{{1.text}}", "text:contain", "World", True),
        ("{{1.text}}", "text:notcontain", "World", False),
        ("{{1.text}}", "text:contain:ci", "WORLD", True),
        ("{{1.text}}", "text:startwith", "Hello", True),
        ("{{1.text}}", "text:notstartwith", "World", True),
        ("{{1.text}}", "text:endwith:ci", "world", True),
        ("{{1.text}}", "text:notendwith", "World", False),
        ("{{1.text}}", "text:pattern", r"^H\w+", True),
        ("{{1.text}}", "text:pattern", r"^h\w+", False),
        ("{{1.text}}", "text:pattern:ci", r"^h\w+", True),
        ("{{1.text}}", "text:notpattern", r"\d", True),
        ("{{1.n}}", "text:equal", "5", True),
        ("{{1.list}}", "text:equal", "Red, green, 3", True),
        ("{{1.n}}", "number:less", "10", True),
        ("{{1.numeric}}", "number:equal", 5, True),
        ("{{1.n}}", "number:greaterorequal", "5", True),
        ("{{1.n}}", "number:lessorequal", "4.9", False),
        ("{{1.none}}", "number:less", "10", False),
        ("{{1.none}}", "number:notequal", "10", False),
        ("{{1.text}}", "number:notequal", "10", False),
        ("{{1.n}}", "number:greater", "{{1.missing}}", False),
        ("{{1.date}}", "date:equal", "2016-06-20T19:26:44+02:00", True),
        ("{{1.date}}", "date:less", "2016-06-21", True),
        ("{{1.date}}", "date:greater", "soon", False),
        ("{{1.date}}", "date:notequal", "soon", False),
        ("{{1.date}}", "time:equal", "17:26:44", True),
        ("{{1.date}}", "time:less", "17:27", True),
        ("9:30", "time:greater", "9:29:59", True),
        ("9:30 PM", "time:equal", "21:30", True),
        ("{{1.text}}", "time:less", "10:00", False),
        ("{{1.yes}}", "boolean:equal", "true", True),
        ("{{1.no}}", "boolean:equal", "false", True),
        ("{{1.none}}", "boolean:equal", "false", True),
        ("{{1.zero}}", "boolean:equal", "true", True),
        ("{{1.yes}}", "boolean:notequal", "true", False),
        ("{{1.list}}", "array:contain", "green", True),
        ("{{1.list}}", "array:contain", "GREEN", False),
        ("{{1.list}}", "array:contain:ci", "GREEN", True),
        ("{{1.list}}", "array:contain", "3", True),
        ("{{1.list}}", "array:notcontain", "blue", True),
        ("{{1.list}}", "array:equal", "3", True),
        ("{{1.list}}", "array:greater", "2", True),
        ("{{1.nothing}}", "array:equal", "0", True),
        ("{{1.none}}", "array:less", "1", True),
        ("{{1.list}}", "array:less", "x", False),
    ],
)
def test_an_operator_reads_both_sides_as_its_group(a: Any, o: str, b: Any, expected: bool) -> None:
    assert holds(a, o, b) is expected


def test_times_are_those_of_the_scenarios_zone() -> None:
    seen = Scope(bundles={"1": BUNDLE}, zone=ZoneInfo("Europe/Prague"))
    assert compile_condition({"a": "{{1.date}}", "o": "time:equal", "b": "19:26:44"})(seen)


@pytest.mark.parametrize(
    ("alias", "canonical"),
    [
        ("text:startswith", "text:startwith"),
        ("text:endswith", "text:endwith"),
        ("text:equals", "text:equal"),
        ("string:equal", "text:equal"),
        ("string:contains:ci", "text:contain:ci"),
        ("numeric:less", "number:less"),
        ("number:greaterequal", "number:greaterorequal"),
        ("date:before", "date:less"),
        ("date:after", "date:greater"),
    ],
)
def test_a_spelling_from_hand_made_files_is_understood(alias: str, canonical: str) -> None:
    assert OPERATOR_ALIASES[alias] == canonical
    assert alias not in OPERATORS


def test_an_unknown_operator_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_condition({"a": "x", "o": "number:lesss", "b": "1"})
    assert str(caught.value) == "Operator 'number:lesss' not found! Did you mean number:less?"


def test_a_condition_without_an_operator_compares_texts_or_asks_for_existence() -> None:
    assert compile_condition({"a": "{{1.n}}", "b": "5"})(scope())
    assert compile_condition({"a": "{{1.n}}"})(scope())


def test_every_operator_of_the_specification_is_there() -> None:
    texts = ("equal", "contain", "startwith", "endwith", "pattern")
    orders = ("equal", "notequal", "less", "greater", "lessorequal", "greaterorequal")
    expected = {"exist", "notexist", "boolean:equal", "boolean:notequal"}
    expected |= {
        f"text:{no}{name}{ci}" for no in ("", "not") for name in texts for ci in ("", ":ci")
    }
    expected |= {
        f"{kind}:{name}" for kind in ("number", "date", "time", "array") for name in orders
    }
    expected |= {f"array:{name}{ci}" for name in ("contain", "notcontain") for ci in ("", ":ci")}
    assert set(OPERATORS) == expected
