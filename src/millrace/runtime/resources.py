"""Team resources by the names that scenarios use, opened for executions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from millrace.appkit.auth import Tokens, open_connection
from millrace.appkit.catalog import Catalog
from millrace.appkit.http import HttpClient, Signer
from millrace.errors import InvalidConfigurationError
from millrace.runtime.journal import decode
from millrace.runtime.services import TeamVault
from millrace.runtime.transaction import StoreInfo, missing_store
from millrace.storage.connections import Connections
from millrace.storage.datastores import DataStores


@dataclass(frozen=True, kw_only=True)
class OpenConnection:
    """`services.Connected`."""

    fields: Mapping[str, Any]
    signer: Signer | None

    def __repr__(self) -> str:
        return "<OpenConnection>"


class TeamResources:
    """`services.Resources` over the store.

    Args:
        connections: The store's connections.
        data_stores: The store's data stores.
        vault: Opens what is sealed.
        catalog: Says how a connection signs.
        http: For fetching tokens.
    """

    def __init__(
        self,
        connections: Connections,
        data_stores: DataStores,
        vault: TeamVault,
        catalog: Catalog,
        http: HttpClient,
    ) -> None:
        self._connections = connections
        self._data_stores = data_stores
        self._vault = vault
        self._catalog = catalog
        self._http = http
        self.tokens = Tokens()
        """Access tokens in memory; `forget` a connection when it changes."""

    async def connection(self, team_id: str, name: str, *, used_by: str) -> OpenConnection:
        """See `services.Resources`."""
        rows = await self._connections.page(team_id, name=name, limit=1) if name else []
        if not rows:
            raise InvalidConfigurationError(
                f"there is no connection {name!r} in this team. Create it, or choose another"
                if name
                else "no connection is chosen. Choose one in the module's settings"
            )
        row = rows[0]
        sealer = self._vault.sealer(team_id)
        fields = decode(sealer.open(row.body, connection_context(row.id)))
        return self.open(fields, app=row.app, type=row.type, connection_id=row.id)

    def open(
        self, fields: Mapping[str, Any], *, app: str, type: str, connection_id: str
    ) -> OpenConnection:
        """A connection from its fields."""
        manifest = self._catalog.connection(type, app=app)
        signer = open_connection(
            manifest,
            fields,
            app=app,
            connection_id=connection_id,
            client=self._http,
            tokens=self.tokens,
        )
        return OpenConnection(fields=fields, signer=signer)

    async def data_store(self, team_id: str, name: str) -> StoreInfo:
        """See `services.Resources`."""
        rows = await self._data_stores.page(team_id, name=name, limit=1) if name else []
        if not rows:
            raise missing_store(name)
        row = rows[0]
        return StoreInfo(
            id=row.id,
            structure=row.structure or None,
            is_strict=row.is_strict,
            max_bytes=row.max_bytes,
        )


def connection_context(connection_id: str) -> bytes:
    """What the seal of a connection's fields is bound to."""
    return f"connection|{connection_id}".encode()
