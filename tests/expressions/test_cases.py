"""Every case in cases/*.yaml: given a scope, an expression has a result or an exact error."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from millrace.errors import ExpressionError
from millrace.expressions import FUNCTIONS, Scope, compile_expression, compile_template

FILES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))


def load() -> list[Any]:
    found = []
    for path in FILES:
        document = yaml.safe_load(path.read_text("utf-8"))
        for case in document["cases"]:
            name = case.get("expression", case.get("template"))
            found.append(pytest.param(document["scope"], case, id=f"{path.stem}:{name}"))
    return found


def scope_of(given: dict[str, Any]) -> Scope:
    return Scope(
        bundles=given.get("bundles", {}),
        names=given.get("names", {}),
        now=given.get("now", datetime(2026, 11, 21, tzinfo=UTC)),
        zone=ZoneInfo(given["zone"]) if "zone" in given else UTC,
        entropy="fixed",
    )


@pytest.mark.parametrize(("given", "case"), load())
def test_a_case_gives_what_its_file_says(given: dict[str, Any], case: dict[str, Any]) -> None:
    scope = scope_of(given)
    if "expression" in case:
        compile_source, source = compile_expression, case["expression"]
    else:
        compile_source, source = compile_template, case["template"]
    if "error" in case:
        with pytest.raises(ExpressionError) as caught:
            compile_source(source).evaluate(scope)
        assert str(caught.value) == case["error"]
        return
    result = compile_source(source).evaluate(scope)
    assert (type(result), result) == (type(case["result"]), case["result"])


EXAMPLES = [
    pytest.param(expression, expected, id=f"{spec.name}:{expression}")
    for spec in FUNCTIONS.values()
    for expression, expected in spec.examples
]


@pytest.mark.parametrize(("expression", "expected"), EXAMPLES)
def test_an_example_in_the_reference_is_true(expression: str, expected: Any) -> None:
    result = compile_expression(expression).evaluate(Scope())
    assert (type(result), result) == (type(expected), expected)


def test_every_function_has_a_sentence_and_an_example() -> None:
    bare = [spec.name for spec in FUNCTIONS.values() if not spec.examples or spec.doc[-1] != "."]
    assert bare == []
