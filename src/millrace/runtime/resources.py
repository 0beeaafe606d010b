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
from millrace.runtime.named import Named
from millrace.runtime.services import TeamVault
from millrace.runtime.transaction import StoreInfo, missing_store
from millrace.storage.connections import ConnectionRow


@dataclass(frozen=True, kw_only=True)
class OpenConnection:
    """`services.Connected`."""

    fields: Mapping[str, Any]
    signer: Signer | None

    def __repr__(self) -> str:
        return "<OpenConnection>"


class TeamResources:
    """`services.Resources` over the store; what was opened is kept until it is changed.

    Args:
        named: What the teams own.
        vault: Opens what is sealed.
        catalog: Says how a connection signs.
        http: For fetching tokens.
    """

    def __init__(self, named: Named, vault: TeamVault, catalog: Catalog, http: HttpClient) -> None:
        self._named = named
        self._vault = vault
        self._catalog = catalog
        self._http = http
        self._tokens = Tokens()
        self._opened: dict[tuple[str, str], tuple[ConnectionRow | None, OpenConnection]] = {}
        self._stores: dict[tuple[str, str], StoreInfo] = {}

    async def connection(self, team_id: str, name: str, *, used_by: str) -> OpenConnection:
        """See `services.Resources`; a key is opened like a connection that signs nothing."""
        found = self._opened.get((team_id, name))
        if found is None:
            found = self._opened[team_id, name] = await self._open(team_id, name)
        row, opened = found
        if row is not None:
            self._check_type(row, used_by)
        return opened

    async def data_store(self, team_id: str, name: str) -> StoreInfo:
        """See `services.Resources`."""
        found = self._stores.get((team_id, name))
        if found is None:
            row = await self._named.find(team_id, "data_store", name)
            if row is None:
                raise missing_store(name)
            found = self._stores[team_id, name] = StoreInfo(
                id=row.id,
                structure=row.structure or None,
                is_strict=row.is_strict,
                max_bytes=row.max_bytes,
            )
        return found

    async def structure(self, team_id: str, name: str) -> dict[str, Any] | None:
        """See `services.Resources`."""
        row = await self._named.find(team_id, "structure", name)
        return None if row is None else {"fields": row.body, "strict": row.is_strict}

    def open(self, row: ConnectionRow) -> OpenConnection:
        """A connection's fields, and what signs with them."""
        sealer = self._vault.sealer(row.team_id)
        fields = decode(sealer.open(row.body, connection_context(row.id)))
        return self.open_fields(fields, app=row.app, type=row.type, connection_id=row.id)

    def open_fields(
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
            tokens=self._tokens,
        )
        return OpenConnection(fields=fields, signer=signer)

    def forget(self, team_id: str, *, connection_id: str | None = None) -> None:
        """Something of the team was changed: look it up again."""
        for cache in (self._opened, self._stores):
            for key in [key for key in cache if key[0] == team_id]:
                del cache[key]  # type: ignore[attr-defined]
        if connection_id is not None:
            self._tokens.forget(connection_id)

    async def _open(self, team_id: str, name: str) -> tuple[ConnectionRow | None, OpenConnection]:
        row = await self._named.find(team_id, "connection", name)
        if row is not None:
            return row, self.open(row)
        key = await self._named.find(team_id, "key", name)
        if key is not None:
            sealer = self._vault.sealer(team_id)
            fields = decode(sealer.open(key.body, key_context(key.id)))
            return None, OpenConnection(fields=fields, signer=None)
        raise InvalidConfigurationError(
            f"there is no connection {name!r} in this team. Create it, or choose another"
            if name
            else "no connection is chosen. Choose one in the module's settings"
        )

    def _check_type(self, row: ConnectionRow, used_by: str) -> None:
        """A secret goes only to a module that is made for its kind of connection."""
        spec = self._catalog.module(used_by)
        if spec is None:
            return
        accepted = {
            name if ":" in name else f"{spec.app.name}:{name}" for name in spec.manifest.connections
        }
        given = row.type if ":" in row.type else f"{row.app}:{row.type}"
        if given not in accepted:
            raise InvalidConfigurationError(
                f"the connection {row.name!r} is of the kind {given}, "
                f"and {used_by} takes {' or '.join(sorted(accepted)) or 'none'}"
            )


def connection_context(connection_id: str) -> bytes:
    """What the seal of a connection's fields is bound to."""
    return f"connection|{connection_id}".encode()


def key_context(key_id: str) -> bytes:
    """What the seal of a key's fields is bound to."""
    return f"key|{key_id}".encode()
