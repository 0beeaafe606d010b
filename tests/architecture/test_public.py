"""What a package offers to the others: a change here is a decision, not an accident."""

import importlib

import pytest

PUBLIC = {
    "millrace.expressions": {
        *("ERASE", "FUNCTIONS", "IGNORE", "OPERATORS", "OPERATOR_ALIASES", "Binary"),
        *("FunctionSpec", "OperatorSpec", "Scope", "Template", "Value", "coerce"),
        *("compile_condition", "compile_expression", "compile_filter", "compile_template"),
        *("parse_template", "references"),
    },
    "millrace.practice": {"Practice", "create_app", "start"},
}


@pytest.mark.parametrize("package", PUBLIC)
def test_a_package_offers_exactly_this(package):
    assert set(importlib.import_module(package).__all__) == PUBLIC[package]


@pytest.mark.parametrize(
    "package", ["millrace.expressions", "millrace.engine", "millrace.appkit", "millrace.practice"]
)
def test_what_a_package_offers_is_there_and_in_order(package):
    module = importlib.import_module(package)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert len(set(module.__all__)) == len(module.__all__)
