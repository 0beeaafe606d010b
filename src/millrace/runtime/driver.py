"""Carries out one execution: does what the interpreter asks, records it, tells it what came of it.

The rules (ARCHITECTURE.md, "Effects"):

* Before something outside is changed, answered or said to be done, everything recorded is on disk.
  The intent of an effect travels in the same commit as the results before it: one durable write
  each. Reading waits only for the event itself and for the answers of earlier effects.
* Pure modules run at once on the loop's thread and wait for nothing.
* After a restart the journal is told to a new interpreter; what remains unanswered is done, as far
  as its effect allows it. An effect that may or may not have happened is never tried again: the
  bundle is kept, and a person says done, repeat or skip.

How a module is called is in `operations`, what is written and when in `ledger`, restarts in
`resuming`; here is the order of it all.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter_ns
from typing import Any, cast

from millrace.engine import Interpreter
from millrace.engine.commands import (
    CallModule,
    Command,
    Commit,
    Finish,
    KeepIncomplete,
    Note,
    Rollback,
    WaitUntil,
    Yield,
)
from millrace.engine.events import Event, TimeReached
from millrace.runtime.bindings import Bindings
from millrace.runtime.job import Job
from millrace.runtime.journal import encode, milliseconds
from millrace.runtime.ledger import Ledger
from millrace.runtime.operations import Operations
from millrace.runtime.resuming import resume
from millrace.runtime.seals import summary_context
from millrace.runtime.services import CallContext, Services
from millrace.storage.store import Append, ExecutionRow, ExecutionStatus, IncompleteRow

TURN_NS = 5_000_000
"""How long an execution may keep the loop to itself: 5 ms."""


@dataclass(kw_only=True)
class Outcome:
    """How an execution ended, and what is to be written with its end."""

    finish: Finish
    row: ExecutionRow
    append: Append
    incomplete: list[IncompleteRow]
    started_at: datetime
    is_parked: bool = False
    parked_until: datetime | None = None


class Parked(Exception):
    """The execution waits so long that it leaves memory."""

    def __init__(self, until: datetime) -> None:
        super().__init__()
        self.until = until


class Driver:
    """Carries out one execution. `run` answers how it ended; the caller writes the end."""

    def __init__(self, services: Services, job: Job) -> None:
        program = job.program
        self.services = services
        self.job = job
        self.team_id = job.event.team_id
        self.files = services.vault.files(self.team_id)
        run = Interpreter(
            program.plan,
            execution_id=job.execution_id,
            limits=job.limits,
            names=program.names,
            read_bytes=self.files.read,
        )
        self.ledger = Ledger(services, job, run)
        context = CallContext(
            services, files=self.files, zone=program.plan.zone, execution_id=job.execution_id
        )
        self.bindings = Bindings(context, self.ledger.transaction)
        self.operations = Operations(
            self.ledger,
            context,
            self.bindings,
            module_timeout_seconds=services.module_timeout_seconds,
        )
        self.resumed_at = 0
        """Operations that had been done before this process took the execution over."""
        self._tasks: list[asyncio.Task[Event]] = []
        """Calls and waits that are under way at the same time."""
        self._waiter: asyncio.Task[Event] | None = None
        """The only thing that is under way."""
        self._is_cancelled = False
        self._cancelled_by = ""

    async def run(self) -> Outcome:
        """Carry out the execution to its end, or until it is parked."""
        program = self.job.program
        if program.resources:
            resources = self.services.resources
            failure = await self.bindings.open(resources, program, team_id=self.team_id)
            if failure is not None:
                return self._ended(Finish("error", failure, True, True, 0, 0, 0, {}, {}, None))
        try:
            return self._ended(await self._carry_out(deque(await self._begin())))
        except Parked as parked:
            return self._parked(parked.until)
        finally:
            for task in self._tasks:
                task.cancel()

    def cancel(self, message: str) -> None:
        """Stop before the next operation."""
        self._is_cancelled, self._cancelled_by = True, message
        if self._waiter is not None:
            self._waiter.cancel()

    async def _begin(self) -> list[Command]:
        ledger, job = self.ledger, self.job
        if job.is_resumed and await resume(ledger, read_bytes=self.files.read):
            self.resumed_at = ledger.run.operations
            ledger.send_responses()
            return ledger.run.waiting()
        ledger.begun()
        return ledger.run.begin(job.start)

    # -- the loop --------------------------------------------------------------------------------

    async def _carry_out(self, commands: deque[Command]) -> Finish:
        """The loop. Everything that can be done at once is done at once; the rest are tasks."""
        ledger, run, operations = self.ledger, self.ledger.run, self.operations
        operators, journal = self.job.program.operators, ledger.journal
        turn = perf_counter_ns()
        while True:
            while commands:
                command = commands.popleft()
                if isinstance(command, Note):
                    ledger.note(command)
                elif isinstance(command, CallModule):
                    if run.is_stopping:
                        # An end was decided after this was asked: nothing more may happen outside.
                        continue
                    operator = operators[command.node]
                    if operator is None or not operator.is_quick:
                        if await self._start(operations.wait_for(command, operator), commands):
                            turn = perf_counter_ns()
                        continue
                    event = operations.run(command, operator)
                    if ledger.pending_writes and ledger.auto_commit:
                        await ledger.durable()
                    commands.extend(run.tell(event))
                    ledger.since_checkpoint += 1
                    if journal.is_full:
                        await self._flush()
                    if perf_counter_ns() - turn > TURN_NS:
                        if ledger.is_owed:
                            await ledger.flush()
                        await asyncio.sleep(0)
                        turn = perf_counter_ns()
                    if self._is_cancelled and not _has(commands, Finish):
                        commands.extend(self._cancel())
                elif isinstance(command, WaitUntil):
                    if await self._start(self._wait(command), commands):
                        turn = perf_counter_ns()
                elif isinstance(command, Yield):
                    await self._flush()
                    await asyncio.sleep(0)
                    turn = perf_counter_ns()
                    if self._is_cancelled:
                        commands.extend(self._cancel())
                    else:
                        commands.extend(run.tell(ledger.continued(command)))
                elif isinstance(command, Commit):
                    commands.extend(run.tell(ledger.commit(command)))
                elif isinstance(command, Rollback):
                    commands.extend(run.tell(ledger.roll_back(command)))
                elif isinstance(command, KeepIncomplete):
                    commands.extend(run.tell(ledger.keep(command)))
                else:
                    return command
            done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            turn = perf_counter_ns()
            if self._is_cancelled:
                commands.extend(self._cancel())
                continue
            answered = [task for task in self._tasks if task in done]
            self._tasks = [task for task in self._tasks if task not in done]
            for task in answered:
                commands.extend(run.tell(task.result()))

    async def _start(self, work: Coroutine[Any, Any, Event], commands: deque[Command]) -> bool:
        """Begin a call or a wait; whether it was the only thing to do, and is done."""
        if self._tasks or _has(commands, CallModule, WaitUntil):
            self._tasks.append(asyncio.create_task(work))
            return False
        self.ledger.is_settled = True
        event = await self._alone(work)
        commands.extend(self._cancel() if event is None else self.ledger.run.tell(event))
        return True

    async def _alone(self, work: Coroutine[Any, Any, Event]) -> Event | None:
        """Wait for the only thing under way; None when the execution was cancelled meanwhile."""
        self._waiter = asyncio.create_task(work)
        try:
            return await self._waiter
        except asyncio.CancelledError:
            if self._is_cancelled:
                return None
            raise
        finally:
            self._waiter = None

    async def _wait(self, command: WaitUntil) -> TimeReached:
        ledger = self.ledger
        seconds = (command.at - ledger.tick()).total_seconds()
        if seconds > 0:
            is_alone = self._waiter is not None
            await ledger.durable()
            if is_alone and seconds > self.services.park_from_seconds:
                raise Parked(command.at)
            await asyncio.sleep(seconds)
        return ledger.reached(command)

    async def _flush(self) -> None:
        self.ledger.is_settled = not self._tasks
        await self.ledger.flush()

    def _cancel(self) -> list[Command]:
        for task in self._tasks:
            task.cancel()
        self._tasks = []
        self._is_cancelled = False
        return self.ledger.run.tell(self.ledger.cancelled(self._cancelled_by))

    # -- the end ---------------------------------------------------------------------------------

    def _ended(self, finish: Finish) -> Outcome:
        ledger = self.ledger
        now = ledger.tick()
        row = ledger.row(cast("ExecutionStatus", finish.status))
        row.finished_at_ms = milliseconds(now)
        row.duration_ms = max(0, row.finished_at_ms - row.started_at_ms)
        row.operations, row.transfer_bytes = finish.operations, finish.transfer_bytes
        row.cycles = finish.cycles
        if finish.failure is not None:
            row.error_type = finish.failure.type
            row.error_message = finish.failure.message
            row.error_module = finish.failure.module or None
        summary: dict[str, Any] = {"by_module": finish.by_module, "links": finish.links}
        if finish.outputs is not None and ledger.key is None:
            summary["outputs"] = finish.outputs
        row.summary = ledger.sealer.seal(encode(summary), summary_context(row.id))
        return self._outcome(finish, row, None)

    def _parked(self, until: datetime) -> Outcome:
        finish = Finish("waiting", None, False, False, 0, 0, 0, {}, {}, None)
        return self._outcome(finish, self.ledger.row("waiting"), until)

    def _outcome(self, finish: Finish, row: ExecutionRow, until: datetime | None) -> Outcome:
        append = self.ledger.close(row, is_parked=until is not None)
        return Outcome(
            finish=finish,
            row=row,
            append=append,
            incomplete=append.incomplete,
            started_at=self.job.start.at,
            is_parked=until is not None,
            parked_until=until,
        )


def _has(commands: Iterable[Command], *kinds: type) -> bool:
    """Whether one of these is to be carried out next."""
    return any(isinstance(command, kinds) for command in commands)
