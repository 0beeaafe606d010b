"""Webhooks and the log of what arrived at them."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import delete, select

from millrace.storage.database import Database
from millrace.storage.tables import webhook_log, webhooks
from millrace.storage.team_rows import TeamRows


class WebhookRow(msgspec.Struct, kw_only=True):
    """An address that receives."""

    team_id: str
    id: str
    name: str
    kind: str = "web"
    """web | mail."""

    token_hash: bytes
    """SHA-256 of the secret part of the address."""

    prefix: str
    """The first characters of the secret part, so that people can tell addresses apart."""

    scenario_id: str | None = None
    settings: dict[str, Any] = {}
    """method, allowed addresses, rate limit, headers, structure, pass-through."""

    is_enabled: bool = True
    is_learning: bool = False
    body: bytes | None = None
    """Sealed: what the service answered when the address was attached there."""

    created_at_ms: int
    created_by: str | None = None
    expires_at_ms: int | None = None


class WebhookLogRow(msgspec.Struct, kw_only=True):
    """One request to a webhook; its content is in the event."""

    team_id: str
    id: str
    webhook_id: str
    received_at_ms: int
    status: int
    method: str
    address: str
    size_bytes: int = 0
    event_id: str | None = None
    problem: str | None = None


class Webhooks(TeamRows[WebhookRow]):
    """The webhooks of each team."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, webhooks, WebhookRow, "webhook")
        self.log = TeamRows(database, webhook_log, WebhookLogRow, "webhook request")

    async def by_token(self, token_hash: bytes) -> WebhookRow | None:
        """The webhook of an address: the only look-up without a team, since the caller has none."""
        found = await self._select(webhooks.c.token_hash == token_hash, limit=1)
        return found[0] if found else None

    async def everywhere(self) -> list[WebhookRow]:
        """All webhooks of all teams: what the gateway keeps in memory."""
        statement = select(*self._columns)
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return [WebhookRow(**row._mapping) for row in rows]

    async def forget_log(self, *, before_id: str) -> int:
        """Delete the log of all teams before an id, and answer how many requests that were."""
        statement = delete(webhook_log).where(webhook_log.c.id < before_id)
        return await self._database.write(lambda connection: connection.execute(statement).rowcount)
