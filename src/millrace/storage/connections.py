"""Connections, and keys: accounts and secrets, sealed."""

from __future__ import annotations

import msgspec

from millrace.storage.database import Database
from millrace.storage.tables import connections, keys
from millrace.storage.team_rows import TeamRows


class ConnectionRow(msgspec.Struct, kw_only=True):
    """One account at one service."""

    team_id: str
    id: str
    name: str
    app: str
    type: str
    """The app's connection spec."""

    body: bytes
    """Sealed: secrets and all that the app keeps with them."""

    hosts: list[str] = []
    """The only hosts that its secrets are sent to."""

    account: str = ""
    """Shown to people: whose account it is at the service."""

    scopes: list[str] = []
    revision: int = 1
    """Counted at each change: a token refresh that began before a re-connection is refused."""

    expires_at_ms: int | None = None
    checked_at_ms: int | None = None
    problem: str | None = None
    created_at_ms: int
    created_by: str | None = None
    updated_at_ms: int


class KeyRow(msgspec.Struct, kw_only=True):
    """A key or certificate of a team."""

    team_id: str
    id: str
    name: str
    type: str
    body: bytes
    """Sealed."""

    fingerprint: str = ""
    created_at_ms: int
    created_by: str | None = None


class Connections(TeamRows[ConnectionRow]):
    """The connections of each team."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, connections, ConnectionRow, "connection")


class Keys(TeamRows[KeyRow]):
    """The keys of each team."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, keys, KeyRow, "key")
