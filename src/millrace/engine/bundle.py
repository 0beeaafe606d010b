"""Bundles, and the files in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from millrace.expressions.values import Binary

__all__ = ["Binary", "Bundle", "binaries_in"]

Bundle = dict[str, Any]
"""One record travelling between modules: named values (see ``expressions/values.py``).

A bundle is shared, never copied: whoever has received one must not change it.
"""


def binaries_in(value: Any) -> Iterator[Binary]:
    """Every file referred to anywhere in a value."""
    if isinstance(value, Binary):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from binaries_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from binaries_in(inner)
