"""Who did what, when, and to what thing; and what people are told."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import delete, insert, select

from millrace.storage.database import Database
from millrace.storage.tables import audit, notifications
from millrace.storage.team_rows import TeamRows, of_team


class AuditRow(msgspec.Struct, kw_only=True):
    """One deed."""

    team_id: str
    at_ms: int
    actor: str
    """``user:<id>``, ``token:<id>`` or ``system``."""

    action: str
    """``scenario.activate``."""

    object_kind: str
    object_id: str
    detail: dict[str, Any] = {}
    """Never a secret or the content of a bundle."""

    seq: int | None = None
    """Given by the store."""


class NotificationRow(msgspec.Struct, kw_only=True):
    """Something that a team, or one person in it, should know."""

    team_id: str
    id: str
    user_id: str | None = None
    kind: str
    message: str
    scenario_id: str | None = None
    created_at_ms: int
    read_at_ms: int | None = None


class Audit:
    """The activity of each team. Rows are added and, when their time is over, deleted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, row: AuditRow) -> None:
        """Note a deed."""
        of_team(audit, row.team_id)
        values = msgspec.structs.asdict(row)
        del values["seq"]
        await self._database.write(
            lambda connection: connection.execute(insert(audit).values(values))
        )

    async def page(
        self,
        team_id: str,
        *,
        before_seq: int | None = None,
        limit: int = 50,
        object_id: str | None = None,
    ) -> list[AuditRow]:
        """The newest deeds first."""
        statement = (
            select(audit).where(of_team(audit, team_id)).order_by(audit.c.seq.desc()).limit(limit)
        )
        if before_seq is not None:
            statement = statement.where(audit.c.seq < before_seq)
        if object_id is not None:
            statement = statement.where(audit.c.object_id == object_id)
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return [AuditRow(**row._mapping) for row in rows]

    async def forget(self, *, before_ms: int) -> int:
        """Delete what all teams did before an instant, and answer how many deeds that were."""
        statement = delete(audit).where(audit.c.at_ms < before_ms)
        return await self._database.write(lambda connection: connection.execute(statement).rowcount)


class Notifications(TeamRows[NotificationRow]):
    """What people are told."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, notifications, NotificationRow, "notification")

    async def forget(self, *, before_ms: int) -> int:
        """Delete what all teams were told before an instant, and answer how much that was."""
        statement = delete(notifications).where(notifications.c.created_at_ms < before_ms)
        return await self._database.write(lambda connection: connection.execute(statement).rowcount)
