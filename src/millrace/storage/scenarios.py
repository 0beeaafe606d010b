"""Scenarios and their versions."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from millrace.errors import NotFound
from millrace.storage.database import Database
from millrace.storage.tables import scenario_versions, scenarios
from millrace.storage.team_rows import TeamRows, of_team


class ScenarioRow(msgspec.Struct, kw_only=True):
    """A scenario as the list shows it; what it does is in its versions."""

    team_id: str
    id: str
    name: str
    folder: str = ""
    is_active: bool = False
    draft_version_id: str | None = None
    published_version_id: str | None = None
    schedule: dict[str, Any] = {}
    next_due_at_ms: int | None = None
    """When its schedule starts it next; only looked at while it is active."""

    consecutive_errors: int = 0
    paused_reason: str | None = None
    created_at_ms: int
    created_by: str | None = None
    updated_at_ms: int
    revision: int = 1
    deleted_at_ms: int | None = None
    """Set: in the trash, from which it can be brought back until it is purged."""


class VersionRow(msgspec.Struct, kw_only=True):
    """What a scenario was at one time. Never changed."""

    team_id: str
    id: str
    scenario_id: str
    number: int
    body: str
    """The native format."""

    note: str = ""
    created_at_ms: int
    created_by: str | None = None
    is_published: bool = False
    """It was published at some time."""


class Scenarios(TeamRows[ScenarioRow]):
    """The scenarios of each team."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, scenarios, ScenarioRow, "scenario")
        self.versions = TeamRows(database, scenario_versions, VersionRow, "version")

    async def save(
        self,
        team_id: str,
        scenario_id: str,
        *,
        version_id: str,
        body: str,
        at_ms: int,
        by: str | None,
        note: str = "",
        revision: int | None = None,
    ) -> int:
        """Keep a new version as the draft.

        Returns:
            Its number: 1, 2, 3 … within the scenario.

        Raises:
            NotFound: the team has no such scenario.
            Conflict: the scenario is of another revision now.
        """
        of_team(scenarios, team_id)

        def write(connection: Connection) -> int:
            latest = select(func.coalesce(func.max(scenario_versions.c.number), 0)).where(
                of_team(scenario_versions, team_id),
                scenario_versions.c.scenario_id == scenario_id,
            )
            self._change(
                connection,
                team_id,
                scenario_id,
                revision,
                {"draft_version_id": version_id, "updated_at_ms": at_ms},
            )
            number = connection.execute(latest).scalar_one() + 1
            version = VersionRow(
                team_id=team_id,
                id=version_id,
                scenario_id=scenario_id,
                number=number,
                body=body,
                note=note,
                created_at_ms=at_ms,
                created_by=by,
            )
            connection.execute(insert(scenario_versions).values(msgspec.structs.asdict(version)))
            return number

        return await self._database.write(write)

    async def publish(self, team_id: str, scenario_id: str, version_id: str, *, at_ms: int) -> None:
        """Make a version the one that runs.

        Raises:
            NotFound: the scenario has no such version.
        """
        of_team(scenarios, team_id)

        def write(connection: Connection) -> None:
            published = connection.execute(
                update(scenario_versions)
                .where(
                    of_team(scenario_versions, team_id),
                    scenario_versions.c.scenario_id == scenario_id,
                    scenario_versions.c.id == version_id,
                )
                .values(is_published=True)
            )
            if published.rowcount == 0:
                raise NotFound(f"The scenario has no version {version_id}.")
            values = {"published_version_id": version_id, "updated_at_ms": at_ms}
            self._change(connection, team_id, scenario_id, None, values)

        await self._database.write(write)

    async def due(self, *, now_ms: int, limit: int = 100) -> list[ScenarioRow]:
        """Active scenarios of all teams whose schedule is due, longest overdue first."""
        condition = (
            scenarios.c.is_active
            & (scenarios.c.next_due_at_ms <= now_ms)
            & scenarios.c.deleted_at_ms.is_(None)
        )
        return await self._select(condition, limit=limit, order=scenarios.c.next_due_at_ms)

    async def next_due(self) -> int | None:
        """When the schedule of any active scenario is due next; None when none is."""
        statement = select(func.min(scenarios.c.next_due_at_ms)).where(
            scenarios.c.is_active, scenarios.c.deleted_at_ms.is_(None)
        )
        return await self._database.read(lambda connection: connection.execute(statement).scalar())
