"""A second look at a database that a running process holds: for a command that changes little.

SQLite lets several processes write one after the other. What must not be done beside a running
process is carrying out executions; for that there is the lock in `sqlite`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from millrace.errors import StorageUnavailable
from millrace.storage.database import core, translated
from millrace.storage.migrations import is_current

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")


class BesideDatabase:
    """`Database` on a SQLite file that another process may be using.

    Args:
        path: The file; of the newest schema.

    Raises:
        StorageUnavailable: there is no such file, or its schema is another one.
    """

    def __init__(self, path: Path) -> None:
        if not is_current(path):
            raise StorageUnavailable(
                f"{path} does not exist yet or has an older schema. Run millrace serve first."
            )
        self._raw = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._raw.execute("PRAGMA busy_timeout = 5000")
        self._raw.execute("PRAGMA foreign_keys = ON")
        self._raw.execute("PRAGMA synchronous = FULL")
        self._core = core(self._raw)

    async def read(self, function: Callable[[Connection], T]) -> T:
        """See `Database.read`."""
        return translated(function, self._core)

    async def write(self, function: Callable[[Connection], T]) -> T:
        """See `Database.write`."""
        self._raw.execute("BEGIN IMMEDIATE")
        try:
            result = translated(function, self._core)
        except BaseException:
            self._raw.execute("ROLLBACK")
            raise
        self._raw.execute("COMMIT")
        return result

    def close(self) -> None:
        """Let go of the file."""
        self._raw.close()
