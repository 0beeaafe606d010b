"""What every noun of a team can do, written once: every statement names the team."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, delete, insert, select, update

from millrace.errors import Conflict, NotFound, StorageError
from millrace.storage.database import Database

Row = TypeVar("Row", bound=msgspec.Struct)


def of_team(table: Table, team_id: str) -> ColumnElement[bool]:
    """The condition that a row is the team's.

    Raises:
        StorageError: no team was named. There is no default, not even for one's own code.
    """
    if not isinstance(team_id, str) or not team_id:
        raise StorageError(f"A statement about {table.name} was made without a team.")
    return table.c.team_id == team_id


class TeamRows(Generic[Row]):
    """The rows of one table, team by team.

    Args:
        database: Where they are.
        table: Its key is ``(team_id, id)``.
        row: The struct with one field for each column that is read.
        word: What a row is called in messages: ``scenario``.
    """

    def __init__(self, database: Database, table: Table, row: type[Row], word: str) -> None:
        self._database = database
        self._table = table
        self._row = row
        self._word = word
        self._columns = [table.c[name] for name in row.__struct_fields__]

    async def add(self, row: Row) -> None:
        """Insert a row.

        Raises:
            Conflict: it exists already, or what it refers to does not exist in the team.
        """
        values = msgspec.structs.asdict(row)
        of_team(self._table, values["team_id"])
        await self._database.write(
            lambda connection: connection.execute(insert(self._table).values(values))
        )

    async def find(self, team_id: str, id: str) -> Row | None:
        """The row, or None."""
        found = await self._select(self._is(team_id, id), limit=1)
        return found[0] if found else None

    async def get(self, team_id: str, id: str) -> Row:
        """The row.

        Raises:
            NotFound: the team has no such row; whether another team has it is not told.
        """
        row = await self.find(team_id, id)
        if row is None:
            raise self._not_found(id)
        return row

    async def page(
        self, team_id: str, *, before: str | None = None, limit: int = 50, **equal: Any
    ) -> list[Row]:
        """The newest rows first.

        Args:
            team_id: Whose.
            before: The id of the last row of the page before this one.
            limit: At most so many.
            equal: Only rows with these values; None means that there is none.
        """
        condition = of_team(self._table, team_id)
        if before is not None:
            condition &= self._table.c.id < before
        for name, value in equal.items():
            condition &= self._table.c[name] == value
        return await self._select(condition, limit=limit, order=self._table.c.id.desc())

    async def change(
        self, team_id: str, id: str, *, revision: int | None = None, **values: Any
    ) -> None:
        """Change some columns.

        Args:
            team_id: Whose.
            id: Which.
            revision: The one that the change was made on; only of tables that count them.
            values: The columns and what they become.

        Raises:
            NotFound: the team has no such row.
            Conflict: it is of another revision now.
        """
        of_team(self._table, team_id)
        await self._database.write(
            lambda connection: self._change(connection, team_id, id, revision, values)
        )

    def _change(
        self,
        connection: Connection,
        team_id: str,
        id: str,
        revision: int | None,
        values: dict[str, Any],
    ) -> None:
        """`change`, as a part of a larger transaction."""
        table = self._table
        where = self._is(team_id, id)
        statement = update(table).where(where).values(values)
        if "revision" in table.c:
            statement = statement.values(revision=table.c.revision + 1)
        if revision is not None:
            statement = statement.where(table.c.revision == revision)
        if connection.execute(statement).rowcount == 1:
            return
        if connection.execute(select(table.c.id).where(where)).first() is None:
            raise self._not_found(id)
        raise Conflict(
            f"The {self._word} was changed by somebody else in the meantime. Load it again."
        )

    async def remove(self, team_id: str, id: str) -> None:
        """Delete the row and what belongs to it.

        Raises:
            NotFound: the team has no such row.
        """
        where = self._is(team_id, id)

        def write(connection: Connection) -> None:
            if connection.execute(delete(self._table).where(where)).rowcount == 0:
                raise self._not_found(id)

        await self._database.write(write)

    def _is(self, team_id: str, id: str) -> ColumnElement[bool]:
        return of_team(self._table, team_id) & (self._table.c.id == id)

    def _not_found(self, id: str) -> NotFound:
        return NotFound(f"There is no {self._word} {id} in this team.")

    async def _select(
        self,
        condition: ColumnElement[bool],
        *,
        limit: int,
        order: ColumnElement[Any] | None = None,
    ) -> list[Row]:
        statement = select(*self._columns).where(condition).limit(limit)
        if order is not None:
            statement = statement.order_by(order)
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return [self._row(**row._mapping) for row in rows]
