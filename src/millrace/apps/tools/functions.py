"""What the Tools do; the engine itself keeps variables, counts and sleeps."""

from __future__ import annotations

import math
from typing import Any

from millrace.appkit import Answer, Call, compile_pattern, to_text
from millrace.errors import BundleValidationError, ExpressionError


def basic_trigger(call: Call) -> Answer:
    """One bundle for each entry that was written down."""
    return [
        {item["name"]: item.get("value") for item in entry.get("spec") or ()}
        for entry in call.parameters["values"]
    ]


def compose(call: Call) -> Answer:
    """The text, as the mapping made it."""
    value = call.parameters.get("value")
    return {"value": "" if value is None else value}


def switch(call: Call) -> Answer:
    """The output of the first case that fits; no bundle when none does and there is no else."""
    given = call.parameters.get("input") or ""
    uses_regex = call.parameters.get("use_regex")
    for number, case in enumerate(call.parameters.get("cases") or (), 1):
        pattern = case.get("pattern") or ""
        if _is_found(pattern, given, number) if uses_regex else pattern == given:
            return {"output": case.get("output")}
    otherwise = call.parameters.get("else_output")
    return None if otherwise is None or otherwise == "" else {"output": otherwise}


def _is_found(pattern: str, text: str, number: int) -> bool:
    try:
        return compile_pattern(pattern).search(text) is not None
    except ExpressionError as error:
        raise BundleValidationError(f"the pattern of case {number}: {error.message}") from error


def text_aggregator(call: Call) -> Answer:
    """The gathered texts with the separator between them."""
    separator = _separator(call, "row_separator", "")
    return {"text": separator.join(bundle.get("value") or "" for bundle in call.bundles)}


def numeric_aggregator(call: Call) -> Answer:
    """One number out of the gathered ones."""
    function = call.parameters["function"]
    if function == "count":
        return {"result": len(call.bundles)}
    values = [value for bundle in call.bundles if (value := bundle.get("value")) is not None]
    if function == "sum":
        return {"result": _sum(values)}
    if not values:
        return {"result": None}
    if function == "avg":
        return {"result": _whole(_sum(values) / len(values))}
    return {"result": max(values) if function == "max" else min(values)}


def _sum(values: list[Any]) -> int | float:
    """Exact: whole numbers of any size, and fractions without a growing rounding error."""
    if all(isinstance(value, int) for value in values):
        return sum(values)
    return _whole(math.fsum(values))


def _whole(value: float) -> int | float:
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def table_aggregator(call: Call) -> Answer:
    """Rows and columns; a column that a bundle does not have stays empty."""
    between_columns = _separator(call, "column_separator", "\t")
    between_rows = _separator(call, "row_separator", "\n")
    rows: list[Any] = [bundle.get("fields") for bundle in call.bundles]
    names: dict[str, None] = {}
    for row in rows:
        if isinstance(row, dict):
            names.update(dict.fromkeys(row))
        elif not isinstance(row, list):
            raise BundleValidationError("fields: a collection or a list of columns is expected")
    lines = [
        between_columns.join(
            to_text(value)
            for value in (row if isinstance(row, list) else [row.get(name) for name in names])
        )
        for row in rows
    ]
    if call.parameters.get("headers") and names:
        lines.insert(0, between_columns.join(names))
    return {"text": between_rows.join(lines)}


def _separator(call: Call, name: str, default: str) -> str:
    separator = call.parameters.get(name)
    if separator == "other":
        separator = call.parameters.get(f"other_{name}") or ""
    return default if separator is None else separator
