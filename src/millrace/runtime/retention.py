"""Forget what is older than was promised: history, logs, what people were told.

Source of the defaults: Integromat's privacy policy, "data retention" (features.md S55-S59), read
2026-11-21: execution details 60 days, activity 30, webhook logs 30, notifications 7. Incomplete
executions carry their own expiry.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta

from millrace.clock import Clock
from millrace.errors import StorageError
from millrace.runtime.journal import milliseconds
from millrace.storage.audit import Audit, Notifications
from millrace.storage.database import Database
from millrace.storage.executions import Executions
from millrace.storage.incomplete import Incomplete
from millrace.storage.store import Store
from millrace.storage.users import Users
from millrace.storage.webhooks import Webhooks

_LOG = logging.getLogger(__name__)

EVERY = timedelta(hours=1)
AT_ONCE = 500
"""Rows deleted in one transaction: webhooks must not wait for a purge."""

DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """How long things are kept."""

    details: timedelta = 60 * DAY
    """Inputs and outputs of operations."""

    executions: timedelta = 365 * DAY
    """That an execution was, how it ended, what it used."""

    activity: timedelta = 30 * DAY
    webhook_log: timedelta = 30 * DAY
    notifications: timedelta = 7 * DAY


class Retention:
    """Deletes what is too old, once an hour.

    Args:
        database: Where everything is.
        store: Makes sure that what was deleted is gone from the disk.
        clock: What time it is.
        kept: How long things are kept.
    """

    def __init__(self, database: Database, store: Store, *, clock: Clock, kept: Kept) -> None:
        self._store = store
        self._clock = clock
        self._kept = kept
        self._users = Users(database)
        self._executions = Executions(database)
        self._incomplete = Incomplete(database)
        self._webhooks = Webhooks(database)
        self._audit = Audit(database)
        self._notifications = Notifications(database)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._forever())

    async def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def purge(self) -> int:
        """Delete everything that is too old now; answers how many rows that were."""
        now_ms = milliseconds(self._clock.now())
        kept = self._kept
        count = 0
        for team in await self._users.teams():
            for forget, before in (
                (self._executions.forget_details, self._id_before(kept.details)),
                (self._executions.forget, self._id_before(kept.executions)),
            ):
                gone = AT_ONCE
                while gone == AT_ONCE:
                    gone = await forget(team.id, before_id=before, limit=AT_ONCE)
                    count += gone
        gone = AT_ONCE
        while gone == AT_ONCE:
            gone = await self._incomplete.forget_expired(now_ms=now_ms, limit=AT_ONCE)
            count += gone
        count += await self._webhooks.forget_log(before_id=self._id_before(kept.webhook_log))
        count += await self._audit.forget(before_ms=self._before(kept.activity))
        count += await self._notifications.forget(before_ms=self._before(kept.notifications))
        await self._users.forget_expired(now_ms=now_ms)
        if count:
            await self._store.scrub()
        return count

    async def _forever(self) -> None:
        while True:
            try:
                count = await self.purge()
            except StorageError:
                _LOG.exception("what is too old could not be deleted; it is tried again in an hour")
            else:
                if count:
                    _LOG.info("deleted what is too old", extra={"rows": count})
            await asyncio.sleep(EVERY.total_seconds())

    def _before(self, span: timedelta) -> int:
        return milliseconds(self._clock.now() - span)

    def _id_before(self, span: timedelta) -> str:
        """Ids begin with the milliseconds of their making."""
        return f"{self._before(span):012x}"
