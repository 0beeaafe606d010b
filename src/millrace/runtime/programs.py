"""Programs by scenario version, compiled once and kept."""

from __future__ import annotations

from collections import OrderedDict

from millrace.appkit.catalog import Catalog
from millrace.errors import NotFound
from millrace.runtime.program import Program
from millrace.scenario.formats import read_scenario
from millrace.storage.scenarios import ScenarioRow, Scenarios

KEPT = 500
"""Programs in memory. One takes some 50 kB; one that is missing costs a few milliseconds."""


class Programs:
    """Scenarios as they stand now, and their versions ready to run.

    Args:
        scenarios: The store's scenarios.
        catalog: The apps.
    """

    def __init__(self, scenarios: Scenarios, catalog: Catalog) -> None:
        self._scenarios = scenarios
        self._catalog = catalog
        self._rows: dict[tuple[str, str], ScenarioRow] = {}
        self._programs: OrderedDict[tuple[str, str], Program] = OrderedDict()

    async def row(self, team_id: str, scenario_id: str) -> ScenarioRow:
        """The scenario as it stands; kept until `forget`. Executions change its error count."""
        key = (team_id, scenario_id)
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = await self._scenarios.get(team_id, scenario_id)
        return row

    async def published(self, team_id: str, scenario_id: str) -> Program:
        """What runs when the scenario starts by itself.

        Raises:
            NotFound: there is no such scenario, or nothing of it is published.
        """
        row = await self.row(team_id, scenario_id)
        if row.published_version_id is None:
            raise NotFound(f"The scenario {row.name!r} has no published version.")
        return await self.version(team_id, row.published_version_id)

    async def version(self, team_id: str, version_id: str) -> Program:
        """One version, published or not."""
        key = (team_id, version_id)
        program = self._programs.get(key)
        if program is not None:
            self._programs.move_to_end(key)
            return program
        row = await self._scenarios.versions.get(team_id, version_id)
        program = Program(
            read_scenario(row.body),
            self._catalog,
            team_id=team_id,
            scenario_id=row.scenario_id,
            version_id=version_id,
        )
        self.keep(program)
        return program

    def keep(self, program: Program) -> None:
        """Keep a program that is already there."""
        self._programs[program.team_id, program.version_id or program.scenario_id] = program
        while len(self._programs) > KEPT:
            self._programs.popitem(last=False)

    def forget(self, team_id: str, scenario_id: str) -> None:
        """The scenario was changed; versions never are."""
        self._rows.pop((team_id, scenario_id), None)
