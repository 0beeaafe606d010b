"""Incomplete executions: failed ones that are kept until somebody, or time, resolves them."""

from __future__ import annotations

from typing import Any

import msgspec

from millrace.errors import Conflict
from millrace.runtime.activity import Activity
from millrace.runtime.actor import Actor
from millrace.runtime.executions import Executions
from millrace.storage.database import Database
from millrace.storage.incomplete import Incomplete as Rows
from millrace.storage.store import IncompleteRow, IncompleteState


class IncompleteDetails(msgspec.Struct, kw_only=True):
    """One incomplete execution with what it holds."""

    row: IncompleteRow
    held: dict[str, Any]
    """The bundles and variables with which it would go on."""


class Incomplete:
    """The incomplete executions of each team."""

    def __init__(self, database: Database, *, executions: Executions, activity: Activity) -> None:
        self._rows = Rows(database)
        self._executions = executions
        self._activity = activity

    async def page(
        self,
        *,
        by: Actor,
        before: str | None = None,
        limit: int = 50,
        scenario_id: str | None = None,
        state: IncompleteState | None = "waiting",
    ) -> list[IncompleteRow]:
        """The newest first; those that wait, unless another state (or None: any) is asked for."""
        by.authorize("incomplete.read")
        equal = {"scenario_id": scenario_id, "state": state}
        wanted = {name: value for name, value in equal.items() if value is not None}
        return await self._rows.page(by.team_id, before=before, limit=limit, **wanted)

    async def get(self, id: str, *, by: Actor) -> IncompleteDetails:
        """One of them, opened.

        Raises:
            NotFound: the team has no such incomplete execution.
        """
        by.authorize("incomplete.read")
        row = await self._rows.get(by.team_id, id)
        return IncompleteDetails(row=row, held=self._executions.open_incomplete(row)["resumption"])

    async def retry(self, id: str, *, by: Actor) -> None:
        """Let it go on at its failed module, now; what went well before is not done again.

        Raises:
            NotFound: the team has no such incomplete execution.
            Conflict: it does not wait any more.
        """
        by.authorize("incomplete.change")
        row = await self._waiting(by, id)
        await self._executions.retry(row)
        await self._activity.note(by, "incomplete.retry", "incomplete execution", id)

    async def retry_all(self, *, by: Actor, scenario_id: str | None = None) -> int:
        """Retry every waiting one, oldest first; answers how many."""
        by.authorize("incomplete.change")
        count = 0
        before: str | None = None
        found: list[IncompleteRow] = []
        while rows := await self.page(by=by, before=before, limit=500, scenario_id=scenario_id):
            found += rows
            before = rows[-1].id
        for row in reversed(found):
            await self._executions.retry(row)
            count += 1
        await self._activity.note(
            by, "incomplete.retry_all", "scenario", scenario_id or "", count=count
        )
        return count

    async def resolve(self, id: str, *, by: Actor) -> None:
        """Say that it was dealt with elsewhere: it is kept as resolved and not retried.

        Raises:
            NotFound: the team has no such incomplete execution.
            Conflict: it does not wait any more.
        """
        await self._settle(id, by, "resolved")

    async def discard(self, id: str, *, by: Actor) -> None:
        """Give it up; what it holds is kept until its time is over.

        Raises:
            NotFound: the team has no such incomplete execution.
            Conflict: it does not wait any more.
        """
        await self._settle(id, by, "discarded")

    async def _settle(self, id: str, by: Actor, state: IncompleteState) -> None:
        by.authorize("incomplete.change")
        row = await self._waiting(by, id)
        await self._rows.change(by.team_id, id, state=state, retry_at_ms=None)
        await self._activity.note(by, f"incomplete.{state}", "incomplete execution", id)
        # Events of an ordered scenario wait for its open failures.
        await self._executions.release(by.team_id, row.scenario_id)

    async def _waiting(self, by: Actor, id: str) -> IncompleteRow:
        row = await self._rows.get(by.team_id, id)
        if row.state != "waiting":
            raise Conflict(f"It is {row.state}; only a waiting one can be changed.")
        return row
