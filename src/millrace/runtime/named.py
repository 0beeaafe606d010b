"""What a team owns, by the names that scenarios use.

A scenario says ``connection: warehouse``. The name, or the id, is looked up inside the team, when a
scenario is checked and again when it runs: a scenario can never reach what another team owns.
"""

from __future__ import annotations

from typing import Any

from millrace.errors import NotFound
from millrace.storage.connections import ConnectionRow, Connections, KeyRow, Keys
from millrace.storage.database import Database
from millrace.storage.datastores import DataStoreRow, DataStores, StructureRow
from millrace.storage.webhooks import WebhookRow, Webhooks

WORDS = ("connection", "webhook", "data_store", "key", "structure")
"""What of a team's a module can name."""

Thing = ConnectionRow | KeyRow | DataStoreRow | WebhookRow | StructureRow


class Named:
    """The connections, keys, data stores, structures and webhooks of each team."""

    def __init__(self, database: Database) -> None:
        self.connections = Connections(database)
        self.keys = Keys(database)
        self.data_stores = DataStores(database)
        self.webhooks = Webhooks(database)
        self._rows: dict[str, Any] = {
            "connection": self.connections,
            "key": self.keys,
            "data_store": self.data_stores,
            "webhook": self.webhooks,
            "structure": self.data_stores.structures,
        }

    async def find(self, team_id: str, word: str, name: str) -> Any:
        """A row by its name or its id, or None.

        Args:
            team_id: Whose.
            word: One of `WORDS`.
            name: Names are unique in a team; an id is found too.
        """
        if not name:
            return None
        rows = self._rows[word]
        named = await rows.page(team_id, name=name, limit=1)
        return named[0] if named else await rows.find(team_id, name)

    async def get(self, team_id: str, word: str, name: str) -> Any:
        """A row by its name or its id.

        Raises:
            NotFound: the team has none.
        """
        row = await self.find(team_id, word, name)
        if row is None:
            raise NotFound(f"There is no {word.replace('_', ' ')} {name!r} in this team.")
        return row
