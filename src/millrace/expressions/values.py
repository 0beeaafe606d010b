"""What a value in a bundle can be.

``Value`` is plain data: None, bool, int, float, str, bytes, an aware ``datetime``, a list of
values, a dict from text to values, or a ``Binary``. Nothing else ever travels in a bundle.
"""

from __future__ import annotations

from typing import Any

Value = Any
"""None, bool, int, float, str, bytes, datetime, list[Value], dict[str, Value], Binary."""


class Binary:
    """A file: a reference to bytes kept elsewhere, never the bytes.

    An expression sees it as one opaque value; text functions ask the scope for its bytes. It is a
    plain class, not a dataclass, because the journal's encoder must meet it as something of its
    own.
    """

    __slots__ = ("id", "media_type", "name", "size_bytes")

    id: str
    """Content id: SHA-256 of the bytes in hexadecimal. Equal bytes are kept and counted once."""

    name: str
    """File name without folders."""

    size_bytes: int
    """Length of the content."""

    media_type: str
    """As declared by where it came from; not verified."""

    def __init__(
        self,
        *,
        id: str,
        name: str,
        size_bytes: int,
        media_type: str = "application/octet-stream",
    ) -> None:
        for field, value in (
            ("id", id),
            ("name", name),
            ("size_bytes", size_bytes),
            ("media_type", media_type),
        ):
            object.__setattr__(self, field, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a Binary does not change")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Binary) and (self.id, self.name, self.media_type) == (
            other.id,
            other.name,
            other.media_type,
        )

    def __hash__(self) -> int:
        return hash((self.id, self.name, self.media_type))

    def __repr__(self) -> str:
        return f"Binary({self.name!r}, {self.size_bytes} bytes)"
