"""Data stores, their records as people see them, and data structures."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from millrace.errors import NotFound
from millrace.storage.database import Database
from millrace.storage.tables import data_stores, records, structures
from millrace.storage.team_rows import TeamRows, of_team


class DataStoreRow(msgspec.Struct, kw_only=True):
    """A data store; its totals are kept by whoever writes records."""

    team_id: str
    id: str
    name: str
    structure_id: str | None = None
    structure: list[Any] = []
    is_strict: bool = False
    max_bytes: int = 0
    record_count: int = 0
    used_bytes: int = 0
    created_at_ms: int
    created_by: str | None = None


class StructureRow(msgspec.Struct, kw_only=True):
    """A data structure: the shape of records, webhook bodies, parsed texts."""

    team_id: str
    id: str
    name: str
    body: list[Any] = []
    is_strict: bool = False
    created_at_ms: int
    updated_at_ms: int


class StoredRecord(msgspec.Struct, kw_only=True):
    """A record of a data store."""

    key: str
    body: bytes
    """Sealed."""

    size: int
    written_at_ms: int


class DataStores(TeamRows[DataStoreRow]):
    """The data stores of each team. In an execution records are written with its journal."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, data_stores, DataStoreRow, "data store")
        self.structures = TeamRows(database, structures, StructureRow, "data structure")

    async def browse(
        self, team_id: str, data_store_id: str, *, after: str = "", limit: int = 50
    ) -> list[StoredRecord]:
        """A page of records in order of key, beginning behind `after`."""
        statement = (
            select(records.c.key, records.c.body, records.c.size, records.c.written_at_ms)
            .where(
                of_team(records, team_id),
                records.c.data_store_id == data_store_id,
                records.c.key > after,
            )
            .order_by(records.c.key)
            .limit(limit)
        )
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return [StoredRecord(**row._mapping) for row in rows]

    async def put(self, team_id: str, data_store_id: str, record: StoredRecord) -> None:
        """Write one record by hand, outside an execution.

        Raises:
            NotFound: the team has no such data store.
        """
        await self._write(team_id, data_store_id, record.key, record)

    async def take_out(self, team_id: str, data_store_id: str, key: str) -> None:
        """Delete one record by hand; nothing happens if it does not exist."""
        await self._write(team_id, data_store_id, key, None)

    async def empty(self, team_id: str, data_store_id: str) -> None:
        """Delete all records."""
        store = self._is(team_id, data_store_id)
        inside = of_team(records, team_id) & (records.c.data_store_id == data_store_id)

        def write(connection: Connection) -> None:
            connection.execute(delete(records).where(inside))
            connection.execute(
                update(data_stores).where(store).values(record_count=0, used_bytes=0)
            )

        await self._database.write(write)

    async def _write(
        self, team_id: str, data_store_id: str, key: str, record: StoredRecord | None
    ) -> None:
        store = self._is(team_id, data_store_id)
        here = (
            of_team(records, team_id)
            & (records.c.data_store_id == data_store_id)
            & (records.c.key == key)
        )

        def write(connection: Connection) -> None:
            before = connection.execute(select(records.c.size).where(here)).scalar()
            counted = 0 if record is None else 1
            size = 0 if record is None else record.size
            totals = (
                update(data_stores)
                .where(store)
                .values(
                    record_count=data_stores.c.record_count + counted - (before is not None),
                    used_bytes=data_stores.c.used_bytes + size - (before or 0),
                )
            )
            if connection.execute(totals).rowcount == 0:
                raise NotFound(f"There is no data store {data_store_id} in this team.")
            connection.execute(delete(records).where(here))
            if record is not None:
                values = msgspec.structs.asdict(record)
                values |= {"team_id": team_id, "data_store_id": data_store_id}
                connection.execute(insert(records).values(values))

        await self._database.write(write)
