"""The closed registry of functions. Nothing outside it can be called from an expression."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final

from millrace.expressions.functions.array import array
from millrace.expressions.functions.date import date
from millrace.expressions.functions.encoding import encoding
from millrace.expressions.functions.general import general
from millrace.expressions.functions.number import math_
from millrace.expressions.functions.spec import FunctionSpec
from millrace.expressions.functions.text import text_

FUNCTIONS: Final[Mapping[str, FunctionSpec]] = MappingProxyType(
    {
        name: spec
        for table in (general, math_, text_, encoding, date, array)
        for name, spec in table.specs.items()
    }
)
"""Every function by its exact name."""

_ELSEWHERE: Final = {
    "multiply": "the operator *",
    "divide": "the operator /",
    "subtract": "the operator -",
    "concatenate": "concat, or the operator +",
    "urlencode": "encodeURL",
    "urldecode": "decodeURL",
    "stringify": "toJSON",
    "tolower": "lower",
    "toupper": "upper",
    "tolowercase": "lower",
    "touppercase": "upper",
    "count": "length",
    "len": "length",
    "iif": "if",
    "coalesce": "ifempty",
    "isempty": "isBlank",
    "unique": "deduplicate",
    "dateadd": "addDays",
    "datediff": "dateDifference",
    "tonumber": "parseNumber",
    "regexreplace": "replace",
    "mid": "substring",
}
"""What people from other tools call a function, and what it is here."""


def suggestion(name: str) -> str:
    """A hint that follows "Function 'x' not found!", or an empty text."""
    folded = name.lower()
    for known in FUNCTIONS:
        if known.lower() == folded:
            return f" Did you mean {known}?"
    if folded in _ELSEWHERE:
        return f" Use {_ELSEWHERE[folded]}."
    close = get_close_matches(name, FUNCTIONS, 1, 0.75)
    return f" Did you mean {close[0]}?" if close else ""


__all__ = ["FUNCTIONS", "FunctionSpec", "suggestion"]
