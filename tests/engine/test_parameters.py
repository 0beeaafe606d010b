"""Parameters as written become what a module is given: evaluated, coerced, held against rules."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from millrace.engine.parameters import compile_parameters, evaluator
from millrace.engine.traits import ModuleTraits, ParameterTraits
from millrace.errors import BundleValidationError
from millrace.expressions import ERASE, Scope


def given(
    raw: dict[str, Any], *parameters: ParameterTraits, is_open: bool = False, **bundle: Any
) -> dict[str, Any]:
    traits = ModuleTraits(name="test:m", parameters=parameters, is_open=is_open)
    return compile_parameters(raw, traits, zone=UTC)(Scope(bundles={"b": bundle}))


def of(type: str, **rules: Any) -> ParameterTraits:
    return ParameterTraits(name="p", type=type, **rules)


@pytest.mark.parametrize(
    ("type", "written", "value"),
    [
        ("text", 5, "5"),
        ("text", "{{b.n}}", "7"),
        ("text", "", ""),
        ("number", "{{b.n}}", 7),
        ("number", "3.5", 3.5),
        ("boolean", "false", False),
        ("boolean", 0, True),
        ("array", "{{b.n}}", [7]),
        ("array", "{{b.l}}", [1, 2]),
        ("date", "2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
        ("any", "{{b.l}}", [1, 2]),
        ("number", "", None),
        ("number", "{{b.missing}}", None),
    ],
)
def test_a_value_becomes_what_is_declared(type, written, value):
    assert given({"p": written}, of(type), n=7, l=[1, 2]) == {"p": value}


@pytest.mark.parametrize("written", ["many", "{{b.t}}"])
def test_what_cannot_become_it_is_said_with_its_name(written):
    with pytest.raises(BundleValidationError, match=r"^p: "):
        given({"p": written}, of("number"), t="many")


@pytest.mark.parametrize("raw", [{}, {"p": None}, {"p": "{{b.missing}}"}])
def test_a_missing_required_value_is_said(raw):
    with pytest.raises(BundleValidationError, match=r"^p: a value is required"):
        given(raw, of("text", is_required=True))


@pytest.mark.parametrize("raw", [{}, {"p": None}, {"p": ""}, {"p": "{{b.missing}}"}])
def test_a_default_stands_in(raw):
    assert given(raw, of("number", default=4)) == {"p": 4}


def test_what_is_not_declared_is_dropped_unless_the_module_is_open():
    raw = {"p": 1, "other": "{{b.n}}", "source": "s"}
    assert given(raw, of("number"), n=2) == {"p": 1}
    assert given(raw, of("number"), is_open=True, n=2) == {"p": 1, "other": 2, "source": "s"}


def test_what_is_not_mapped_is_taken_as_written():
    assert given({"p": "{{b.n}}"}, of("text", is_mapped=False), n=2) == {"p": "{{b.n}}"}


def test_ignore_leaves_out_and_erase_is_passed_on():
    raw = {"p": "{{ignore}}", "deep": {"x": "{{ignore}}", "l": ["{{ignore}}", 1]}}
    assert given(raw, of("text"), is_open=True) == {"deep": {"l": [1]}}
    assert given({"p": "{{erase}}"}, of("text"))["p"] is ERASE


def test_holes_at_any_depth_are_evaluated():
    raw = {"p": {"a": ["x{{b.n}}", {"b": "{{b.n}}"}]}}
    assert given(raw, of("collection"), n=1) == {"p": {"a": ["x1", {"b": 1}]}}


def test_the_fields_of_a_collection_are_held_against_their_rules():
    field = ParameterTraits(name="f", type="number", is_required=True)
    other = ParameterTraits(name="g", default=9)
    assert given({"p": {"f": "5", "x": 1}}, of("collection", fields=(field, other))) == {
        "p": {"f": 5, "x": 1, "g": 9}
    }
    with pytest.raises(BundleValidationError, match=r"^p\.f: a value is required"):
        given({"p": {"x": "{{b.n}}"}}, of("collection", fields=(field,)))
    with pytest.raises(BundleValidationError, match=r"^p\[2\]\.f: "):
        given({"p": [{"f": 1}, {}]}, of("array", fields=(field,)))


def test_the_items_of_an_array_become_what_is_declared():
    assert given({"p": ["1", "{{b.n}}"]}, of("array", item_type="number"), n="2") == {"p": [1, 2]}


@pytest.mark.parametrize(
    ("type", "rules", "wrong", "message"),
    [
        ("number", {"minimum": 2}, 1, "p: at least 2 needed, got 1"),
        ("number", {"maximum": 2}, 3, "p: at most 2 allowed, got 3"),
        ("text", {"maximum": 2}, "abc", "p: at most 2 characters allowed, got 3"),
        ("array", {"maximum": 1}, [1, 2], "p: at most 1 items allowed, got 2"),
        ("text", {"pattern": "^a+$"}, "b", "p: does not have the form ^a+$"),
        ("select", {"options": ("a", "b")}, "c", "p: not one of the choices (a, b)"),
    ],
)
def test_rules(type, rules, wrong, message):
    with pytest.raises(BundleValidationError) as caught:
        given({"p": wrong}, of(type, **rules))
    assert caught.value.message == message


def test_an_expression_that_fails_is_said_with_the_name_of_its_parameter():
    with pytest.raises(BundleValidationError, match=r"^p: parseDate: "):
        given({"p": "{{parseDate('x'; 'Y')}}"}, of("any"))


def test_an_expression_that_cannot_be_parsed_fails_when_it_is_reached():
    with pytest.raises(BundleValidationError, match=r"^p: "):
        given({"p": "{{1 +}}"}, of("any"))
    broken = evaluator("{{1 +}}")
    with pytest.raises(BundleValidationError):
        broken(Scope())
