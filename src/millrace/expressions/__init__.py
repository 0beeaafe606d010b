"""The ``{{ }}`` language. Pure: data in, data out."""

from __future__ import annotations

from millrace.expressions.coerce import coerce
from millrace.expressions.compile import (
    Template,
    compile_expression,
    compile_template,
    references,
)
from millrace.expressions.functions import FUNCTIONS, FunctionSpec
from millrace.expressions.operators import (
    OPERATOR_ALIASES,
    OPERATORS,
    OperatorSpec,
    compile_condition,
    compile_filter,
)
from millrace.expressions.parse import parse_template
from millrace.expressions.scope import ERASE, IGNORE, Scope
from millrace.expressions.values import Binary, Value

__all__ = [
    "ERASE",
    "FUNCTIONS",
    "IGNORE",
    "OPERATORS",
    "OPERATOR_ALIASES",
    "Binary",
    "FunctionSpec",
    "OperatorSpec",
    "Scope",
    "Template",
    "Value",
    "coerce",
    "compile_condition",
    "compile_expression",
    "compile_filter",
    "compile_template",
    "parse_template",
    "references",
]
