"""Incomplete executions: failed ones that can be resumed."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, select, update

from millrace.errors import Conflict
from millrace.storage.database import Database
from millrace.storage.store import IncompleteRow
from millrace.storage.tables import incomplete_executions
from millrace.storage.team_rows import TeamRows, of_team

_OPEN = ("waiting", "resuming")


class Incomplete(TeamRows[IncompleteRow]):
    """The incomplete executions of each team."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, incomplete_executions, IncompleteRow, "incomplete execution")

    async def totals(self, team_id: str, scenario_id: str) -> tuple[int, int]:
        """How many of the scenario are open, and their bytes: what its limit is compared with."""
        table = incomplete_executions
        statement = select(func.count(), func.coalesce(func.sum(table.c.size_bytes), 0)).where(
            of_team(table, team_id),
            table.c.scenario_id == scenario_id,
            table.c.state.in_(_OPEN),
        )
        row = await self._database.read(lambda connection: connection.execute(statement).one())
        return row[0], row[1]

    async def open_ids(self, team_id: str, scenario_id: str) -> list[str]:
        """The ids of the scenario's open ones."""
        table = incomplete_executions
        statement = select(table.c.id).where(
            of_team(table, team_id),
            table.c.scenario_id == scenario_id,
            table.c.state.in_(_OPEN),
        )
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return [row.id for row in rows]

    async def begin_resuming(self, team_id: str, id: str) -> None:
        """Take it for a retry, so that two never resume the same.

        Raises:
            NotFound: the team has no such incomplete execution.
            Conflict: it is being resumed already, or was resolved or discarded.
        """
        table = incomplete_executions
        where = self._is(team_id, id)

        def write(connection: Connection) -> None:
            taken = (
                update(table)
                .where(where, table.c.state == "waiting")
                .values(state="resuming", attempts=table.c.attempts + 1)
            )
            if connection.execute(taken).rowcount == 1:
                return
            state = connection.execute(select(table.c.state).where(where)).scalar()
            if state is None:
                raise self._not_found(id)
            raise Conflict(f"This incomplete execution is {state}; only a waiting one is resumed.")

        await self._database.write(write)

    async def due(self, *, now_ms: int, limit: int = 100) -> list[IncompleteRow]:
        """Those of all teams that are to be retried by themselves now, longest overdue first."""
        table = incomplete_executions
        condition = (table.c.state == "waiting") & (table.c.retry_at_ms <= now_ms)
        return await self._select(condition, limit=limit, order=table.c.retry_at_ms)

    async def next_due(self) -> int | None:
        """When any is to be retried next."""
        table = incomplete_executions
        statement = select(func.min(table.c.retry_at_ms)).where(table.c.state == "waiting")
        return await self._database.read(lambda connection: connection.execute(statement).scalar())

    async def forget_expired(self, *, now_ms: int, limit: int = 1000) -> int:
        """Delete those of all teams whose time is over, and answer how many."""
        table = incomplete_executions
        expired = (
            select(table.c.team_id, table.c.id)
            .where(table.c.expires_at_ms <= now_ms, table.c.state != "resuming")
            .limit(limit)
        )

        def write(connection: Connection) -> int:
            rows = connection.execute(expired).all()
            for team_id, id in rows:
                connection.execute(delete(table).where(self._is(team_id, id)))
            return len(rows)

        return await self._database.write(write)
