"""Read the JSON that a parameter gives."""

from __future__ import annotations

from typing import Any

from millrace.appkit import Binary, Call, json_loads


def read_json(call: Call, given: Any) -> Any:
    """The value of a text, bytes or file; what is already a value stays as it is.

    Raises:
        BundleValidationError: not JSON (with line and column), too deep or too large.
    """
    if isinstance(given, Binary):
        given = call.files.read(given)
    return json_loads(given) if isinstance(given, str | bytes) else given
