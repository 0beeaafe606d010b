"""How the statements of the nouns reach a database: the same Core statements for both.

A noun hands over a function of a SQLAlchemy connection. A driver runs it inside one transaction
(the group commit of SQLite; a connection of the pool of PostgreSQL, through ``run_sync``) and gives
back what it returns.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from millrace.errors import Conflict, StorageUnavailable

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")


class Database(Protocol):
    """Something that nouns can read from and write to."""

    async def read(self, function: Callable[[Connection], T]) -> T:
        """Run a function that only reads."""
        ...

    async def write(self, function: Callable[[Connection], T]) -> T:
        """Run a function that writes, in one transaction; it may be run twice, so it does no more.

        Returns:
            What the function returned, when it is on disk.

        Raises:
            Conflict: the database refused a row: it exists already, or refers to nothing.
            StorageUnavailable: the database could not write.
        """
        ...


def core(connection: sqlite3.Connection) -> Connection:
    """A SQLAlchemy connection on top of a SQLite connection whose transactions are ours.

    SQLAlchemy must neither begin nor end one: it gets a connection that commits by itself, and
    does not roll back when it lets go of it. Still it ends what is open when it first meets a
    connection, so that has to happen before anything is written.
    """
    from sqlalchemy import create_engine
    from sqlalchemy.pool import StaticPool

    engine = create_engine(
        "sqlite://",
        creator=lambda: connection,
        poolclass=StaticPool,
        pool_reset_on_return=None,
        isolation_level="AUTOCOMMIT",
    )
    return engine.connect()


def translated(function: Callable[[Connection], T], connection: Connection) -> T:
    """Call the function; the database's refusals become ours."""
    from sqlalchemy.exc import IntegrityError, OperationalError

    try:
        return function(connection)
    except IntegrityError as error:
        raise Conflict(f"The database refused a row: {error.orig}.") from error
    except OperationalError as error:
        raise StorageUnavailable(
            f"The database did not answer ({error.orig}). Check that the disk has room."
        ) from error
