"""A value that does not show itself."""

from __future__ import annotations

import hmac
from typing import NoReturn


class Secret:
    """Wraps a secret so that it cannot slip into a log, a message or a file.

    Printing and formatting give ``***``; pickling and copying raise. Only `reveal` gives the value,
    so a search for that word finds every place that uses a secret.
    """

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """The secret itself: for the place that sends it, and for nothing else."""
        return self.__value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__value.encode(), other.__value.encode())

    __hash__ = None  # type: ignore[assignment]  # a hash of a short secret gives it away

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("A Secret cannot be pickled or copied.")

    def __getstate__(self) -> NoReturn:
        raise TypeError("A Secret cannot be pickled or copied.")
