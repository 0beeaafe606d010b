"""A few facts about the installation itself, by name."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from millrace.storage.database import Database
from millrace.storage.tables import meta


class Meta:
    """Names and texts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, name: str) -> str | None:
        """The text, or None."""
        statement = select(meta.c.value).where(meta.c.name == name)
        return await self._database.read(lambda connection: connection.execute(statement).scalar())

    async def put(self, name: str, value: str) -> None:
        """Remember a text by a name."""

        def write(connection: Connection) -> None:
            connection.execute(delete(meta).where(meta.c.name == name))
            connection.execute(insert(meta).values(name=name, value=value))

        await self._database.write(write)
