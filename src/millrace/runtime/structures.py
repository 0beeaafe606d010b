"""The generator of data structures: fields from a sample."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from millrace.expressions.values import Binary

DEEPEST = 20
"""Below that a structure is no help to anybody."""


def structure_of(sample: Any, *, depth: int = 0) -> list[dict[str, Any]]:
    """The fields of a sample: ``{name, type, fields}``; nothing for what is not a collection."""
    if not isinstance(sample, dict) or depth > DEEPEST:
        return []
    return [{"name": name, **_shape(value, depth)} for name, value in sample.items() if name]


def _shape(value: Any, depth: int) -> dict[str, Any]:
    if isinstance(value, dict):
        return {"type": "collection", "fields": structure_of(value, depth=depth + 1)}
    if isinstance(value, list):
        return {"type": "array", **_element(value, depth)}
    return {"type": _plain(value)}


def _element(values: list[Any], depth: int) -> dict[str, Any]:
    """What the elements have in common: all fields that any of them has, or one plain type."""
    collections = [value for value in values if isinstance(value, dict)]
    if collections and len(collections) == sum(value is not None for value in values):
        fields: dict[str, dict[str, Any]] = {}
        for collection in collections:
            for field in structure_of(collection, depth=depth + 1):
                fields.setdefault(field["name"], field)
        return {"fields": list(fields.values())}
    types = {_plain(value) for value in values if not isinstance(value, list)}
    return {"item": types.pop()} if len(types) == 1 else {}


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, datetime):
        return "date"
    if isinstance(value, bytes | Binary):
        return "buffer"
    return "text"
