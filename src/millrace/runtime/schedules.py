"""Starts scenarios when their schedules say so."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from datetime import datetime

from millrace.clock import Clock
from millrace.errors import Conflict, MillraceError, NotFound, StorageError
from millrace.runtime.executions import Executions
from millrace.runtime.journal import instant, milliseconds
from millrace.runtime.program import Program
from millrace.runtime.programs import Programs
from millrace.storage.scenarios import ScenarioRow, Scenarios
from millrace.storage.store import Store
from millrace.work.schedule import next_due

_LOG = logging.getLogger(__name__)

LONGEST_SLEEP_SECONDS = 1.0


class Schedules:
    """Looks which scenarios are due, puts an event for each into the inbox, reckons the next time.

    An event's id is made from scenario and due time, so a start that was interrupted between the
    two writes is not doubled. What was missed while the installation was off is made up for once.

    Args:
        scenarios: The store's scenarios.
        store: For what is still in the inbox.
        clock: What time it is.
        programs: Scenario versions ready to run.
        executions: Where events are put.
    """

    def __init__(
        self,
        scenarios: Scenarios,
        store: Store,
        *,
        clock: Clock,
        programs: Programs,
        executions: Executions,
    ) -> None:
        self._scenarios = scenarios
        self._store = store
        self._clock = clock
        self._programs = programs
        self._executions = executions
        self._wakened = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._forever())

    def wake(self) -> None:
        """A schedule was changed."""
        self._wakened.set()

    async def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _forever(self) -> None:
        while True:
            self._wakened.clear()
            try:
                await self.start_due()
                due = await self._scenarios.next_due()
            except StorageError:
                _LOG.exception("schedules could not be read")
                due = None
            seconds = LONGEST_SLEEP_SECONDS
            if due is not None:
                now_ms = milliseconds(self._clock.now())
                seconds = min(seconds, max(0.005, (due - now_ms) / 1000))
            try:
                async with asyncio.timeout(seconds):
                    await self._wakened.wait()
            except TimeoutError:
                pass

    async def start_due(self) -> int:
        """Start what is due now; answers how many scenarios were."""
        now = self._clock.now()
        rows = await self._scenarios.due(now_ms=milliseconds(now))
        for row in rows:
            try:
                await self._start(row, now)
            except MillraceError:
                # One scenario that cannot be started must not keep the others waiting.
                _LOG.exception("a scenario could not be started", extra={"scenario_id": row.id})
                await self._scenarios.change(row.team_id, row.id, next_due_at_ms=None)
        return len(rows)

    async def _start(self, row: ScenarioRow, now: datetime) -> None:
        try:
            program = await self._programs.published(row.team_id, row.id)
        except NotFound:
            await self._scenarios.change(row.team_id, row.id, next_due_at_ms=None)
            return
        waiting = await self._store.waiting(row.team_id, row.id)
        # Polls never overlap: one that takes longer than its interval skips turns.
        if not waiting:
            due_ms = row.next_due_at_ms or 0
            _, fresh = self._executions.put(
                team_id=row.team_id,
                scenario_id=row.id,
                program=program,
                kind="schedule",
                payload={},
                lane=f"scenario|{row.id}",
                event_id=_event_id(row.id, due_ms),
            )
            try:
                await fresh.accepted
            except Conflict:
                _LOG.info("this start was made before", extra={"scenario_id": row.id})
        await self._plan(row, program, now)

    async def _plan(self, row: ScenarioRow, program: Program, now: datetime) -> None:
        """Write when the scenario is due next; an interval goes on from when it was due now."""
        scenario, following = program.scenario, None
        if scenario.schedule is not None:
            anchor = None if row.next_due_at_ms is None else instant(row.next_due_at_ms)
            following = next_due(scenario.schedule, scenario.timezone, now, anchor=anchor)
        due_ms = None if following is None else milliseconds(following)
        await self._scenarios.change(row.team_id, row.id, next_due_at_ms=due_ms)


def _event_id(scenario_id: str, due_ms: int) -> str:
    digest = hashlib.sha256(f"{scenario_id}|{due_ms}".encode()).hexdigest()
    # The time stays in front, so that the inbox and the history sort as for any other id.
    return f"{due_ms:012x}{digest[:20]}"
