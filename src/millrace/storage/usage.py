"""What a team used, in sums: made by the database, because the rows may be millions."""

from __future__ import annotations

import msgspec
from sqlalchemy import func, select

from millrace.storage.database import Database
from millrace.storage.tables import executions
from millrace.storage.team_rows import of_team

DAY_MS = 86_400_000


class UsageSum(msgspec.Struct, kw_only=True):
    """What one scenario used on one day."""

    scenario_id: str
    day: int
    """Days since 1970, in UTC."""

    executions: int
    operations: int
    transfer_bytes: int
    errors: int


class UsageSums:
    """Sums over the history of each team."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def by_day(
        self, team_id: str, *, since_id: str, scenario_id: str | None = None
    ) -> list[UsageSum]:
        """By day and scenario, oldest first.

        Args:
            team_id: Whose.
            since_id: The first 12 digits of an id: milliseconds in hexadecimal.
            scenario_id: Only this one's.
        """
        table = executions
        day = (table.c.started_at_ms // DAY_MS).label("day")
        statement = (
            select(
                table.c.scenario_id,
                day,
                func.count().label("executions"),
                func.coalesce(func.sum(table.c.operations), 0).label("operations"),
                func.coalesce(func.sum(table.c.transfer_bytes), 0).label("transfer_bytes"),
                func.count().filter(table.c.status == "error").label("errors"),
            )
            .where(of_team(table, team_id), table.c.id >= since_id)
            .group_by(table.c.scenario_id, day)
            .order_by(day, table.c.scenario_id)
        )
        if scenario_id is not None:
            statement = statement.where(table.c.scenario_id == scenario_id)
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return [UsageSum(**{**row._mapping, "day": int(row.day)}) for row in rows]
