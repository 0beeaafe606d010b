"""The queue of a single process: its own store, its own loop.

Theory of operation. An event that arrives while there is room is accepted as running and carried
out from memory, which spares the claim. When there is no room it waits in the store, and is claimed
in batches as room becomes free. Events in a lane are always claimed, because only the store knows
what else is in the lane.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import Future
from collections import deque

from millrace.clock import Clock
from millrace.errors import LeaseLost, StorageError
from millrace.ids import new_id
from millrace.storage.store import Append, EventRow, NewEvent, Requeue, Store
from millrace.work.queue import Work

_LOG = logging.getLogger(__name__)

CONCURRENCY = 200
"""Executions under way at a time. Most of their time they wait; memory bounds the number."""

BACKLOG = 2_000
"""Accepted events kept in memory, ready to go. Beyond that they wait in the store alone."""

LONGEST_SLEEP_SECONDS = 1.0
"""A lost wake-up delays; it never loses."""

RETRY_AFTER_BUG_MS = 60_000
"""Doubled each time, so that what always breaks down does not fill the log."""

LONGEST_RETRY_MS = 3_600_000


class EmbeddedQueue:
    """`Queue` for one process.

    Args:
        store: Where the events are.
        clock: For what is due.
        work: Carries out one event to its end.
        concurrency: Executions under way at a time.
    """

    def __init__(
        self, store: Store, clock: Clock, work: Work, *, concurrency: int = CONCURRENCY
    ) -> None:
        self._store = store
        self._clock = clock
        self._work = work
        self._concurrency = concurrency
        self._ready: deque[EventRow] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._wakened = asyncio.Event()
        self._loop_task: asyncio.Task[None] | None = None
        self._is_closed = False
        self._is_stored = True
        """Something may wait in the store alone, so room that becomes free is worth a claim."""
        self.skip: set[str] = set()
        """Scenarios that may not begin anything now."""

    @property
    def running(self) -> int:
        """Executions under way."""
        return len(self._tasks)

    @property
    def is_idle(self) -> bool:
        """Nothing is under way or ready."""
        return not self._tasks and not self._ready

    def put(self, event: NewEvent) -> Future[None]:
        """See `Queue.put`."""
        has_room = len(self._ready) < BACKLOG and not self._is_closed
        if event.lane is None and event.state == "waiting" and has_room and self._may_start(event):
            event.state = "running"
            event.execution_id = event.execution_id or new_id()
            event.epoch = self._store.epoch
            event.attempts += 1
            future = self._store.accept(event)
            self._ready.append(_row(event))
            self._start_ready()
            return future
        future = self._store.accept(event)
        self.wake()
        return future

    def _may_start(self, event: NewEvent) -> bool:
        is_due = event.due_at_ms <= event.received_at_ms
        return is_due and event.scenario_id is not None and event.scenario_id not in self.skip

    def wake(self) -> None:
        """See `Queue.wake`."""
        self._is_stored = True
        self._wakened.set()

    async def start(self) -> None:
        """See `Queue.start`."""
        for recovered in await self._store.recover():
            self._begin(recovered.event, is_resumed=True)
        self._loop_task = asyncio.create_task(self._claim_forever())

    async def close(self, *, grace_seconds: float = 5.0) -> None:
        """See `Queue.close`."""
        self._is_closed = True
        self._ready.clear()
        if self._loop_task is not None:
            self._loop_task.cancel()
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=grace_seconds)
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left)

    def _start_ready(self) -> None:
        while self._ready and len(self._tasks) < self._concurrency and not self._is_closed:
            self._begin(self._ready.popleft(), is_resumed=False)

    def _begin(self, event: EventRow, *, is_resumed: bool) -> None:
        task = asyncio.create_task(self._carry_out(event, is_resumed))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        # The next of a lane becomes due when this one has ended.
        if event.lane is not None:
            task.add_done_callback(lambda _: self.wake())

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._ready:
            self._start_ready()
        elif self._is_stored:
            self._wakened.set()

    async def _carry_out(self, event: EventRow, is_resumed: bool) -> None:
        try:
            await self._work(event, is_resumed)
        except LeaseLost:
            _LOG.warning("another worker took over", extra={"execution_id": event.execution_id})
        except StorageError:
            # Nothing can be written now; the event is still ours on disk and is taken up at the
            # next start, if not by the try below.
            _LOG.exception("the store refused", extra={"execution_id": event.execution_id})
            await self._put_back(event)
        except Exception:  # noqa: BLE001 - the worker loop outlives any bug
            _LOG.exception("an execution broke down", extra={"execution_id": event.execution_id})
            await self._put_back(event)

    async def _put_back(self, event: EventRow) -> None:
        """An execution that could not even end is tried again later, from its journal."""
        wait = min(RETRY_AFTER_BUG_MS * 2 ** min(event.attempts - 1, 10), LONGEST_RETRY_MS)
        due = int(self._clock.now().timestamp() * 1000) + wait
        until = Requeue(due_at_ms=due, execution_id=event.execution_id)
        try:
            await self._store.park(Append(event_id=event.id, epoch=event.epoch), until)
        except StorageError:
            _LOG.exception("an event could not be put back", extra={"event_id": event.id})

    async def _claim_forever(self) -> None:
        while True:
            self._wakened.clear()
            room = self._concurrency - len(self._tasks)
            if room > 0 and not self._ready:
                try:
                    now_ms = int(self._clock.now().timestamp() * 1000)
                    events = await self._store.claim(limit=room, now_ms=now_ms, skip=self.skip)
                except StorageError:
                    _LOG.exception("events could not be claimed")
                    await asyncio.sleep(LONGEST_SLEEP_SECONDS)
                    continue
                for event in events:
                    # A parked execution keeps its id and may have a journal.
                    self._begin(event, is_resumed=event.attempts > 1)
                if len(events) == room:
                    await asyncio.sleep(0)
                    continue
                self._is_stored = False
            await self._sleep()

    async def _sleep(self) -> None:
        seconds = LONGEST_SLEEP_SECONDS
        if len(self._tasks) < self._concurrency:
            due = await self._store.next_due()
            if due is not None and due > 0:
                now_ms = self._clock.now().timestamp() * 1000
                seconds = min(seconds, max(0.001, (due - now_ms) / 1000))
        try:
            async with asyncio.timeout(seconds):
                await self._wakened.wait()
        except TimeoutError:
            pass


def _row(event: NewEvent) -> EventRow:
    """An event we accepted ourselves, as a claim would give it."""
    return EventRow(
        id=event.id,
        team_id=event.team_id,
        scenario_id=event.scenario_id,
        kind=event.kind,
        payload=event.payload,
        received_at_ms=event.received_at_ms,
        due_at_ms=event.due_at_ms,
        lane=event.lane,
        origin_id=event.origin_id,
        state="running",
        execution_id=event.execution_id,
        epoch=event.epoch,
        attempts=event.attempts,
        shard=event.shard,
        arrival=0,
    )
