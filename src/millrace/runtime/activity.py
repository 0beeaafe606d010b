"""What people did, for those who ask later."""

from __future__ import annotations

from typing import Any

from millrace.clock import Clock
from millrace.runtime.actor import Actor
from millrace.runtime.journal import milliseconds
from millrace.storage.audit import Audit, AuditRow
from millrace.storage.database import Database


class Activity:
    """The activity of each team: who did what to what, and when."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._audit = Audit(database)
        self._clock = clock

    async def note(self, by: Actor, action: str, kind: str, id: str, **detail: Any) -> None:
        """Note a deed. `detail` never holds a secret or the content of a bundle."""
        row = AuditRow(
            team_id=by.team_id,
            at_ms=milliseconds(self._clock.now()),
            actor=f"user:{by.user_id}" if by.user_id else by.via,
            action=action,
            object_kind=kind,
            object_id=id,
            detail={"via": by.via, **detail},
        )
        await self._audit.add(row)

    async def page(
        self,
        *,
        by: Actor,
        before: int | None = None,
        limit: int = 50,
        object_id: str | None = None,
    ) -> list[AuditRow]:
        """The newest deeds of the team first."""
        by.authorize("history.read")
        return await self._audit.page(
            by.team_id, before_seq=before, limit=limit, object_id=object_id
        )
