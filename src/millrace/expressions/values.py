"""What a value in a bundle can be.

``Value`` is plain data: None, bool, int, float, str, bytes, an aware ``datetime``, a list of values, a
dict from text to values, or a ``Binary``. Nothing else ever travels in a bundle.
"""

from __future__ import annotations

from typing import Any

import msgspec

Value = Any
"""None | bool | int | float | str | bytes | datetime | list[Value] | dict[str, Value] | Binary."""


class Binary(msgspec.Struct, frozen=True, kw_only=True):
    """A file: a reference to bytes kept elsewhere, never the bytes.

    An expression sees it as one opaque value; text functions ask the scope for its bytes.
    """

    id: str
    """Content id: the SHA-256 of the bytes in hexadecimal. The same bytes are kept once and counted once."""

    name: str
    """File name without folders."""

    size_bytes: int
    """Length of the content."""

    media_type: str = "application/octet-stream"
    """As declared by where it came from; not verified."""
