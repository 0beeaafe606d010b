"""Which scenarios use a connection, a webhook, a data store."""

from __future__ import annotations

from millrace.errors import ScenarioInvalid
from millrace.scenario.formats import read_scenario
from millrace.storage.scenarios import Scenarios


class Uses:
    """Finds the scenarios that name a resource.

    Args:
        scenarios: The scenarios of each team.
    """

    def __init__(self, scenarios: Scenarios) -> None:
        self._scenarios = scenarios

    async def of(self, team_id: str, word: str, id: str, name: str) -> list[dict[str, str]]:
        """The scenarios whose draft or published version names it, as id and name."""
        found = []
        before: str | None = None
        while rows := await self._scenarios.page(
            team_id, before=before, limit=200, deleted_at_ms=None
        ):
            for row in rows:
                for version_id in {row.draft_version_id, row.published_version_id} - {None}:
                    version = await self._scenarios.versions.find(team_id, str(version_id))
                    if version is not None and _names(version.body, word, {id, name}):
                        found.append({"id": row.id, "name": row.name})
                        break
            before = rows[-1].id
        return found


def _names(body: str, word: str, names: set[str]) -> bool:
    # Reading a scenario takes milliseconds, looking for a text takes microseconds.
    if not any(name in body for name in names):
        return False
    try:
        scenario = read_scenario(body)
    except ScenarioInvalid:
        return False
    return any(module.resources.get(word) in names for module in scenario.modules())
