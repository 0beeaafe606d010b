"""Values of bundles as JSON can say them."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from millrace.expressions.values import Binary


def plain(value: Any) -> Any:
    """A value of a bundle as JSON can say it: dates as ISO 8601, bytes and files as objects."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, Binary):
        return {
            "$file": {
                "id": value.id,
                "name": value.name,
                "size_bytes": value.size_bytes,
                "media_type": value.media_type,
            }
        }
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    if value is None or isinstance(value, str | int | float):
        return value
    return str(value)
