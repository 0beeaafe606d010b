"""What modules remember between executions, as people change it. Executions use the journal."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert

from millrace.storage.database import Database
from millrace.storage.tables import module_states
from millrace.storage.team_rows import of_team


class ModuleStates:
    """Where triggers begin, chosen by hand. Reading is `Store.state`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set(self, team_id: str, scenario_id: str, module: str, body: bytes | None) -> None:
        """Remember a sealed body for a module; None forgets.

        Raises:
            Conflict: the team has no such scenario.
        """
        here = (
            of_team(module_states, team_id)
            & (module_states.c.scenario_id == scenario_id)
            & (module_states.c.module == module)
        )

        def write(connection: Connection) -> None:
            connection.execute(delete(module_states).where(here))
            if body is not None:
                connection.execute(
                    insert(module_states).values(
                        team_id=team_id, scenario_id=scenario_id, module=module, body=body
                    )
                )

        await self._database.write(write)
