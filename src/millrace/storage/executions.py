"""The history: executions as lists and sums. Their journals are read through the store."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, delete, func, select

from millrace.storage.database import Database
from millrace.storage.store import ExecutionRow
from millrace.storage.tables import executions, file_uses, segments
from millrace.storage.team_rows import TeamRows, of_team


class Usage(msgspec.Struct, kw_only=True):
    """What executions used."""

    executions: int = 0
    operations: int = 0
    transfer_bytes: int = 0


class Executions(TeamRows[ExecutionRow]):
    """The executions of each team; newest first, as ids are ordered by time."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, executions, ExecutionRow, "execution")

    async def usage(self, team_id: str, *, since_id: str, scenario_id: str | None = None) -> Usage:
        """Sums over the executions that began at or after `since_id`.

        Args:
            team_id: Whose.
            since_id: An id, or the first 12 digits of one: the milliseconds in hexadecimal.
            scenario_id: Only this one's.
        """
        table = executions
        statement = select(
            func.count(),
            func.coalesce(func.sum(table.c.operations), 0),
            func.coalesce(func.sum(table.c.transfer_bytes), 0),
        ).where(of_team(table, team_id), table.c.id >= since_id)
        if scenario_id is not None:
            statement = statement.where(table.c.scenario_id == scenario_id)
        row = await self._database.read(lambda connection: connection.execute(statement).one())
        return Usage(executions=row[0], operations=row[1], transfer_bytes=row[2])

    async def forget_details(self, team_id: str, *, before_id: str, limit: int = 1000) -> int:
        """Delete journals, files' uses and summaries of finished executions; the rows stay.

        Returns:
            How many executions lost their details. Fewer than `limit`: there are no more.
        """
        return await self._forget(team_id, before_id, limit, is_row_kept=True)

    async def forget(self, team_id: str, *, before_id: str, limit: int = 1000) -> int:
        """Delete finished executions altogether, oldest first; answers how many."""
        return await self._forget(team_id, before_id, limit, is_row_kept=False)

    async def _forget(self, team_id: str, before_id: str, limit: int, *, is_row_kept: bool) -> int:
        table = executions
        old = (
            of_team(table, team_id) & (table.c.id < before_id) & table.c.finished_at_ms.is_not(None)
        )
        if is_row_kept:
            old &= table.c.summary.is_not(None)

        def write(connection: Connection) -> int:
            found = select(table.c.id).where(old).order_by(table.c.id).limit(limit)
            ids: list[Any] = list(connection.execute(found).scalars())
            for part in (segments, file_uses):
                connection.execute(
                    delete(part).where(of_team(part, team_id), part.c.execution_id.in_(ids))
                )
            mine = of_team(table, team_id) & table.c.id.in_(ids)
            if is_row_kept:
                connection.execute(table.update().where(mine).values(summary=None))
            else:
                connection.execute(delete(table).where(mine))
            return len(ids)

        return await self._database.write(write)

    async def files_without_use(self, team_id: str, file_ids: list[str]) -> list[str]:
        """Those of the files that no execution keeps any more."""
        statement = select(file_uses.c.file_id).where(
            of_team(file_uses, team_id), file_uses.c.file_id.in_(file_ids)
        )
        used = await self._database.read(
            lambda connection: set(connection.execute(statement).scalars())
        )
        return [file_id for file_id in file_ids if file_id not in used]
