"""How much may come out of an archive. Source: trust.md 4.13, which measured 50 MB in 48 kB."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from millrace.errors import DataError

MOST_ENTRIES = 1_000
MOST_BYTES = 200 * 1024 * 1024
HIGHEST_RATIO = 100
FREE_BYTES = 1024 * 1024
"""Up to here the ratio does not count: a small table of zeros is no bomb."""

PIECE_BYTES = 256 * 1024


class Allowance:
    """What may still come out of one archive."""

    def __init__(self, packed_bytes: int) -> None:
        self._most = min(MOST_BYTES, max(FREE_BYTES, packed_bytes * HIGHEST_RATIO))
        self._spent = 0

    def spend(self, count: int) -> None:
        """Count bytes that came out.

        Raises:
            DataError: more than allowed.
        """
        self._spent += count
        if self._spent <= self._most:
            return
        if self._most == MOST_BYTES:
            raise DataError(f"the archive holds more than {MOST_BYTES >> 20} MB")
        raise DataError(
            f"the archive holds more than {HIGHEST_RATIO} times its own size; it looks like a trap"
        )

    def pieces(self, stream: BinaryIO) -> Iterator[bytes]:
        """All of a stream, counted before anyone keeps it."""
        while piece := stream.read(PIECE_BYTES):
            self.spend(len(piece))
            yield piece
