"""Carries out one execution: does what the interpreter asks, records it, tells it what came of it.

The rules (ARCHITECTURE.md, "Effects"):

* Before something outside is changed, answered or said to be done, everything recorded is on disk.
  The intent of an effect travels in the same commit as the results before it: one durable write
  each. Reading waits only for the event itself and for the answers of earlier effects.
* Pure modules run at once on the loop's thread and wait for nothing.
* After a restart the journal is told to a new interpreter; what remains unanswered is done, as far
  as its effect allows it. An effect that may or may not have happened is never tried again: the
  bundle is kept, and a person says done, repeat or skip.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from inspect import isawaitable
from itertools import count as counting
from itertools import islice
from time import perf_counter_ns
from typing import Any

import msgspec

from millrace.appkit.call import Call
from millrace.engine import Interpreter, Limits, Start, freeze, thaw
from millrace.engine.bundle import binaries_in
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
from millrace.engine.events import (
    Cancelled,
    Committed,
    Continued,
    Event,
    Failure,
    Kept,
    ModuleAnswered,
    ModuleFailed,
    RolledBack,
    TimeReached,
)
from millrace.errors import ModuleError, ModuleTimeoutError, UnexpectedError
from millrace.runtime.journal import (
    ConfidentialJournal,
    Journal,
    Record,
    Sealer,
    decode,
    encode,
    event_of,
    milliseconds,
    read_checkpoint,
    read_records,
)
from millrace.runtime.program import Operator, Program
from millrace.runtime.services import CallContext, Connected, Services
from millrace.runtime.transaction import RecordsView, StoreInfo, Transaction
from millrace.storage.store import (
    Append,
    EventRow,
    ExecutionRow,
    FileUse,
    IncompleteRow,
    RecordWrite,
    StateWrite,
)
from millrace.vault.seal import KEY_BYTES
from millrace.vault.seal import Sealer as ExecutionSealer

_LOG = logging.getLogger(__name__)

SECRET = "key/"  # noqa: S105 - a name, not a key
"""Begins the names under which the keys of confidential executions are kept."""

EFFECTS = frozenset({"keyed", "checkable", "blind"})
"""What changes something outside: its intent is on disk before, its answer at once after."""

PAGE = 500
"""Bundles taken from a stream at a time."""

SMALL_BYTES = 1024
"""Data of a bundle below this is not charged; see `Driver._transfer`."""

CHECKPOINT_OPERATIONS = 10_000
"""Operations between two checkpoints: what a resumption replays at most, under half a second."""

TURN_NS = 5_000_000
"""How long an execution may keep the loop to itself: 5 ms."""


@dataclass(kw_only=True)
class Job:
    """One execution to be carried out."""

    event: EventRow
    program: Program
    execution_id: str
    start: Start
    limits: Limits = field(default_factory=Limits)
    accepted: asyncio.Future[None] | None = None
    """The event's own commit, when nobody has waited for it yet."""

    reply: asyncio.Future[Any] | None = None
    """Whoever waits for a responder's answer."""

    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What modules remember between executions, opened."""

    is_resumed: bool = False
    """Something of it may be in the journal already."""

    kind: str = "manual"
    origin_id: str | None = None
    lane: str | None = None
    """Where the event that began it all was in order; a retry's own lane is another."""


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
        self.services = services
        self.job = job
        program = self.program = job.program
        event = job.event
        self.team_id = event.team_id
        self.sealer = services.vault.sealer(event.team_id)
        files = services.vault.files(event.team_id)
        self.run_: Interpreter = Interpreter(
            program.plan,
            execution_id=job.execution_id,
            limits=job.limits,
            names=self._names(),
            read_bytes=files.read,
        )
        self.secret = os.urandom(KEY_BYTES) if program.scenario.settings.confidential else b""
        """The key of a confidential execution alone; empty for any other."""
        self.is_secret_written = False
        self.journal = self._new_journal(counting())
        self.transaction = Transaction(
            team_id=event.team_id,
            records=services.store.records,
            in_flight=services.in_flight,
            sealer=self.sealer,
        )
        self.context = CallContext(
            services, files=files, zone=program.plan.zone, execution_id=job.execution_id
        )
        self.now = job.start.at
        self.connections: dict[str, Connected] = {}
        self.data_stores: dict[str, StoreInfo] = {}
        self.structures: dict[str, dict[str, Any] | None] = {}
        self.states = {module: dict(state) for module, state in job.states.items()}
        self.committed_states = {module: encode(state) for module, state in job.states.items()}
        self.pending_writes: list[RecordWrite] = []
        """Writes that the next append makes true."""
        self.pending_states: dict[str, StateWrite] = {}
        self.pending_incomplete: list[IncompleteRow] = []
        self.pending_files: dict[str, FileUse] = {}
        """Files that this execution keeps from being deleted."""
        self.streams: dict[str, Any] = {}
        self.responses: list[dict[str, Any]] = []
        """Answers of responders that wait for what came before them to be on disk."""
        self.intents: set[int] = set()
        self.last_append: asyncio.Future[None] | None = None
        self.is_written = False
        self.since_checkpoint = 0
        self.resumed_at = 0
        """Operations that had been done before this process took the execution over."""
        self.is_owed = False
        """An effect has been made whose answer is not on its way to the disk yet."""
        self.is_settled = False
        """Everything recorded has been told, so that a checkpoint may stand behind it."""
        self.is_cancelled = False
        self.cancelled_by = ""
        self.waiter: asyncio.Task[Any] | None = None
        self.auto_commit = program.scenario.settings.auto_commit
        self.is_watched = services.live.is_watched(event.team_id)

    def _new_journal(self, numbers: Iterator[int]) -> Journal | ConfidentialJournal:
        execution_id = self.job.execution_id
        public = Journal(
            team_id=self.team_id, execution_id=execution_id, sealer=self.sealer, numbers=numbers
        )
        if not self.secret:
            return public
        sealer = self._own_sealer()
        secret = Journal(
            team_id=self.team_id,
            execution_id=execution_id,
            sealer=sealer,
            numbers=numbers,
            kind="secret",
        )
        return ConfidentialJournal(secret=secret, public=public)

    def _own_sealer(self) -> Sealer:
        """What the records that a restart needs are sealed with."""
        if not self.secret:
            return self.sealer
        return ExecutionSealer(self.secret, scope=self.job.execution_id.encode())

    def _secret_state(self, body: bytes | None) -> StateWrite:
        """The execution's own key, kept as long as the execution may have to be resumed."""
        module, scenario_id = f"{SECRET}{self.job.execution_id}", self.program.scenario_id
        if body is not None:
            body = self.sealer.seal(body, state_context(scenario_id, module))
        return StateWrite(team_id=self.team_id, scenario_id=scenario_id, module=module, body=body)

    def _names(self) -> dict[str, Any]:
        program = self.program
        return {
            "scenarioName": program.scenario.name,
            "scenarioId": program.scenario_id,
            "scenarioID": program.scenario_id,
        }

    # -- the loop --------------------------------------------------------------------------------

    async def run(self) -> Outcome:
        """Carry out the execution to its end, or until it is parked."""
        try:
            if self.program.resources:
                await self._open_resources()
        except ModuleError as error:
            return self._not_initialised(error)
        try:
            commands = await self._resume() if self.job.is_resumed else self._begin()
            finish = await self._carry_out(deque(commands))
        except Parked as parked:
            return self._outcome(None, parked_until=parked.until)
        return self._outcome(finish)

    def cancel(self, message: str) -> None:
        """Stop before the next operation."""
        self.is_cancelled, self.cancelled_by = True, message
        if self.waiter is not None:
            self.waiter.cancel()

    def _begin(self) -> list[Command]:
        start = self.job.start
        begun = {"cycles": start.cycles, "counters": start.counters}
        self.journal.add(Record("b", 0, "", start.at, 0, None, begun))
        return self.run_.begin(start)

    async def _carry_out(self, commands: deque[Command]) -> Finish:
        """The loop. Everything that can be done at once is done at once; the rest are tasks."""
        run, journal, operators = self.run_, self.journal, self.program.operators
        tasks: dict[asyncio.Task[Event], CallModule | WaitUntil] = {}
        turn = perf_counter_ns()
        while True:
            while commands:
                command = commands.popleft()
                kind = command.__class__
                if kind is Note:
                    self._note(command)  # type: ignore[arg-type]
                    continue
                if kind is CallModule and run.is_stopping:
                    # An end was decided after this was asked: nothing more may happen outside.
                    continue
                if kind is CallModule:
                    operator = operators[command.node]  # type: ignore[union-attr]
                    if operator is not None and operator.is_quick:
                        event = self._call_quick(command, operator)  # type: ignore[arg-type]
                        if self.pending_writes and self.auto_commit:
                            await self._durable()
                        commands.extend(run.tell(event))
                        self.since_checkpoint += 1
                        if journal.is_full:
                            self.is_settled = not tasks
                            await self._flush()
                        if perf_counter_ns() - turn > TURN_NS:
                            if self.is_owed:
                                await self._flush()
                            await asyncio.sleep(0)
                            turn = perf_counter_ns()
                        if self.is_cancelled and not commands_end(commands):
                            commands.extend(self._cancel(tasks))
                        continue
                    if tasks or _asks(commands):
                        task = asyncio.create_task(self._call(command, operator))  # type: ignore[arg-type]
                        tasks[task] = command  # type: ignore[assignment]
                        continue
                    self.is_settled = True
                    event = await self._alone(self._call(command, operator))  # type: ignore[arg-type]
                    commands.extend(run.tell(event) if event else self._cancel(tasks))
                    turn = perf_counter_ns()
                elif kind is WaitUntil:
                    if tasks or _asks(commands):
                        task = asyncio.create_task(self._wait(command))  # type: ignore[arg-type]
                        tasks[task] = command  # type: ignore[assignment]
                        continue
                    self.is_settled = True
                    event = await self._alone(self._wait(command, may_park=True))  # type: ignore[arg-type]
                    commands.extend(run.tell(event) if event else self._cancel(tasks))
                    turn = perf_counter_ns()
                elif kind is Yield:
                    self.is_settled = not tasks
                    await self._flush()
                    await asyncio.sleep(0)
                    turn = perf_counter_ns()
                    if self.is_cancelled:
                        commands.extend(self._cancel(tasks))
                        continue
                    commands.extend(self._told(Continued(command.call, self._tick()), "y"))
                elif kind is Commit:
                    self._commit(command)  # type: ignore[arg-type]
                    commands.extend(self._told(Committed(command.call, self._tick()), "c"))
                elif kind is Rollback:
                    self._rollback()
                    commands.extend(self._told(RolledBack(command.call, self._tick()), "r"))
                elif kind is KeepIncomplete:
                    self._keep(command)  # type: ignore[arg-type]
                    at = self._tick()
                    journal.add(Record("k", command.call, command.module, at, 0, None, True))
                    commands.extend(run.tell(Kept(command.call, at, True)))
                else:
                    for task in tasks:
                        task.cancel()
                    return command  # type: ignore[return-value]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            turn = perf_counter_ns()
            if self.is_cancelled:
                commands.extend(self._cancel(tasks))
                continue
            for task in [task for task in tasks if task in done]:
                del tasks[task]
                commands.extend(run.tell(task.result()))

    def _told(self, event: Event, kind: str) -> list[Command]:
        self.journal.add(Record(kind, event.call, "", event.at))  # type: ignore[union-attr]
        return self.run_.tell(event)

    def _cancel(self, tasks: dict[asyncio.Task[Event], Any]) -> list[Command]:
        for task in tasks:
            task.cancel()
        tasks.clear()
        self.is_cancelled = False
        event = Cancelled(self._tick(), self.cancelled_by)
        self.journal.add(Record("x", 0, "", event.at, 0, None, event.message))
        return self.run_.tell(event)

    async def _alone(self, work: Any) -> Event | None:
        """Wait for the only thing under way; None when the execution was cancelled meanwhile."""
        self.waiter = asyncio.ensure_future(work)
        try:
            return await self.waiter
        except asyncio.CancelledError:
            if self.is_cancelled:
                return None
            raise
        finally:
            self.waiter = None

    def _tick(self) -> datetime:
        self.now = self.services.clock.now()
        return self.now

    # -- modules ---------------------------------------------------------------------------------

    def _call_of(self, command: CallModule, operator: Operator) -> Call:
        call = Call(
            parameters=command.parameters,
            context=self.context,
            now=self.now,
            module_id=command.module,
            bundles=command.bundles,
            key=command.key,
        )
        if operator.effect != "pure":
            call.http = self.context.http
        if operator.resources:
            self._bind(call, operator)
        if operator.uses_state:
            call.state = self.states.setdefault(command.module, {})
        return call

    def _bind(self, call: Call, operator: Operator) -> None:
        for word, name in operator.resources.items():
            if word == "data_store":
                info = self.data_stores[name]
                call.records = RecordsView(self.transaction, info, milliseconds(self.now))
            elif word in ("connection", "key"):
                connected = self.connections[name]
                call.connection = connected.fields
                call.http = self.context.bind(connected.signer)
            elif word == "structure":
                call.parameters = {**call.parameters, "structure": self.structures[name]}

    def _call_quick(self, command: CallModule, operator: Operator) -> Event:
        """A module that waits for nothing: run it here and now."""
        began = perf_counter_ns()
        at = self._tick()
        if command.page and command.key in self.streams:
            return self._page_quick(command, began)
        call = self._call_of(command, operator)
        try:
            answer = operator.run(call)
            bundles, has_more = self._taken(command, answer)
        except ModuleError as error:
            return self._failed(command, error, at, began)
        except Exception as error:  # noqa: BLE001 - apps are others' code; logged in _unexpected
            return self._failed(command, _unexpected(error), at, began)
        if call.response is not None:
            self.responses.append(call.response)
        return self._answered(command, bundles, has_more, at, began, is_outside=False)

    def _page_quick(self, command: CallModule, began: int) -> Event:
        try:
            bundles = list(islice(self.streams[command.key], PAGE))
        except ModuleError as error:
            return self._failed(command, error, self.now, began)
        except Exception as error:  # noqa: BLE001 - apps are others' code; logged in _unexpected
            return self._failed(command, _unexpected(error), self.now, began)
        has_more = len(bundles) == PAGE
        return self._answered(command, bundles, has_more, self.now, began, is_outside=False)

    def _taken(self, command: CallModule, answer: Any) -> tuple[list[dict[str, Any]], bool]:
        """The bundles of an answer; of a stream the page that was asked for."""
        if answer.__class__ is dict:
            return [answer], False
        if answer is None:
            return [], False
        if answer.__class__ is list:
            if not command.page:
                return answer, False
            return answer[command.page :], False
        if isinstance(answer, Iterator):
            if command.page:
                # Asked again after a restart: what was delivered is skipped.
                for _ in islice(answer, command.page):
                    pass
            bundles = list(islice(answer, PAGE))
            has_more = len(bundles) == PAGE
            if has_more:
                self.streams[command.key] = answer
            return bundles, has_more
        return list(answer), False

    async def _call(self, command: CallModule, operator: Operator | None) -> Event:
        """A module that touches the outside, or takes its time."""
        if operator is None:
            message = "this module cannot be called; it is part of the scenario's structure"
            return self._failed(command, UnexpectedError(message), self._tick(), perf_counter_ns())
        effect = operator.effect_of(command.parameters)
        if command.call in self.intents and effect in ("blind", "checkable"):
            return self._unknown(command)
        if effect in EFFECTS:
            record = Record("i", command.call, command.module, self._tick(), 0, None, command.key)
            self.journal.add(record)
            await self._durable()
        elif self.is_owed or self.responses:
            await self._durable()
        elif self.job.accepted is not None and not self.job.accepted.done():
            await self.job.accepted
        began = perf_counter_ns()
        seconds = operator.spec.manifest.timeout_seconds or self.services.module_timeout_seconds
        call = self._call_of(command, operator)
        call.timeout = timedelta(seconds=seconds)
        try:
            async with asyncio.timeout(seconds):
                bundles, has_more = await self._operate(command, operator, call)
        except TimeoutError:
            self.is_owed = effect in EFFECTS
            message = f"no answer within {seconds:g} seconds. Ask for less, or allow more time"
            return self._failed(command, ModuleTimeoutError(message), self._tick(), began)
        except ModuleError as error:
            self.is_owed = effect in EFFECTS
            return self._failed(command, error, self._tick(), began)
        except Exception as error:  # noqa: BLE001 - apps are others' code; logged in _unexpected
            self.is_owed = effect in EFFECTS
            return self._failed(command, _unexpected(error), self._tick(), began)
        if call.response is not None:
            self.responses.append(call.response)
        self.is_owed = self.is_owed or effect in EFFECTS
        is_outside = effect != "pure" and not command.page
        return self._answered(
            command, bundles, has_more, self._tick(), began, is_outside=is_outside
        )

    async def _operate(
        self, command: CallModule, operator: Operator, call: Call
    ) -> tuple[list[dict[str, Any]], bool]:
        stream = self.streams.get(command.key) if command.page else None
        if stream is None:
            if operator.spec.is_blocking:
                loop = asyncio.get_running_loop()
                answer = await loop.run_in_executor(None, operator.run, call)
            else:
                answer = operator.run(call)
            if isawaitable(answer):
                answer = await answer
        else:
            answer = stream
        if isinstance(answer, AsyncIterator):
            return await self._async_page(command, answer, is_new=stream is None)
        if operator.spec.is_blocking and isinstance(answer, Iterator):
            loop = asyncio.get_running_loop()
            if stream is not None:
                page = await loop.run_in_executor(None, _page, stream)
                return page, len(page) == PAGE
            return await loop.run_in_executor(None, self._taken, command, answer)
        if stream is not None:
            page = _page(stream)
            return page, len(page) == PAGE
        return self._taken(command, answer)

    async def _async_page(
        self, command: CallModule, stream: AsyncIterator[dict[str, Any]], *, is_new: bool
    ) -> tuple[list[dict[str, Any]], bool]:
        skip = command.page if is_new else 0
        bundles: list[dict[str, Any]] = []
        async for bundle in stream:
            if skip:
                skip -= 1
                continue
            bundles.append(bundle)
            if len(bundles) == PAGE:
                self.streams[command.key] = stream
                return bundles, True
        return bundles, False

    def _unknown(self, command: CallModule) -> Event:
        """The process died between this effect and its answer: nobody can know if it happened."""
        node = self.program.plan.by_id[command.module]
        message = (
            f"{node.label}: the process stopped while this module was acting; whether it "
            "acted is not known. Look at the service, then choose done, repeat or skip"
        )
        failure = Failure("OutcomeUnknownError", message, module=command.module)
        at = self._tick()
        self.is_settled = False
        plain = list(msgspec.structs.astuple(failure))
        self.journal.add(Record("f", command.call, command.module, at, failure=plain))
        return ModuleFailed(command.call, at, failure)

    def _answered(
        self,
        command: CallModule,
        bundles: list[dict[str, Any]],
        has_more: bool,
        at: datetime,
        began: int,
        *,
        is_outside: bool,
    ) -> Event:
        extra: dict[str, Any] | None = None
        transfer = self._transfer(bundles) if is_outside else 0
        if has_more or transfer or command.warnings:
            extra = {"more": has_more, "transfer": transfer}
            if command.warnings:
                extra["warnings"] = command.warnings
        if command.module in self.states or self.transaction.writes:
            extra = self._uncommitted(command, extra or {})
        given = None if command.page else _input(command)
        self.is_settled = False
        took = (perf_counter_ns() - began) // 1000
        record = Record("a", command.call, command.module, at, took, given, bundles, None, extra)
        _, files = self.journal.add(record)
        if files:
            self._keep_files(files)
        if self.transaction.writes and self.auto_commit:
            self.pending_writes += self.transaction.take()
        if self.is_watched:
            self._publish(record)
        return ModuleAnswered(
            command.call, at, bundles, has_more, transfer, tuple(files) if files else ()
        )

    def _keep_files(self, files: list[tuple[str, int]]) -> None:
        """Note which files the history refers to, so that they live as long as it does."""
        for id, size in files:
            if id not in self.pending_files:
                self.pending_files[id] = FileUse(
                    team_id=self.team_id,
                    file_id=id,
                    execution_id=self.job.execution_id,
                    size_bytes=size,
                    created_at_ms=milliseconds(self.now),
                )

    def _uncommitted(self, command: CallModule, extra: dict[str, Any]) -> dict[str, Any]:
        """What a replay must put back, because no commit has made it true yet."""
        state = self.states.get(command.module)
        if state is not None:
            extra["state"] = state
        if self.transaction.writes and not self.auto_commit:
            extra["writes"] = [
                msgspec.structs.astuple(write) for write in self.transaction.writes.values()
            ]
        return extra

    def _transfer(self, bundles: list[dict[str, Any]]) -> int:
        """Data that enters the scenario, in bytes, files excluded (the engine counts those once).

        What is smaller than a kilobyte is not charged: the seeds' examples count the image, not the
        few bytes that say its name.
        """
        size = len(encode(bundles)) if bundles else 0
        return size if size >= SMALL_BYTES else 0

    def _failed(self, command: CallModule, error: ModuleError, at: datetime, began: int) -> Event:
        # A generator that raised gives nothing any more: a repetition begins it anew.
        self.streams.pop(command.key, None)
        node = self.program.plan.nodes[command.node]
        failure = Failure.of(error)
        failure = msgspec.structs.replace(
            failure, module=command.module, message=f"{node.label}: {failure.message}"
        )
        self.is_settled = False
        took = (perf_counter_ns() - began) // 1000
        plain = list(msgspec.structs.astuple(failure))
        given = None if command.page else _input(command)
        record = Record("f", command.call, command.module, at, took, given, None, plain)
        self.journal.add(record)
        if self.is_watched:
            self._publish(record)
        return ModuleFailed(command.call, at, failure)

    def _note(self, note: Note) -> None:
        failure = None if note.failure is None else list(msgspec.structs.astuple(note.failure))
        record = Record("n", note.call, note.module, self.now, 0, note.input, note.output, failure)
        _, files = self.journal.add(record)
        if files:
            self._keep_files(files)
        self.since_checkpoint += 1
        if self.is_watched:
            self._publish(record)

    async def _wait(self, command: WaitUntil, *, may_park: bool = False) -> Event:
        seconds = (command.at - self._tick()).total_seconds()
        if seconds > 0:
            if may_park and seconds > self.services.park_from_seconds:
                raise Parked(command.at)
            await self._durable()
            await asyncio.sleep(seconds)
        at = max(self._tick(), command.at)
        self.is_settled = False
        self.journal.add(Record("w", command.call, command.module, at))
        return TimeReached(command.call, at)

    # -- cycles ----------------------------------------------------------------------------------

    def _commit(self, command: Commit) -> None:
        self.pending_writes += self.transaction.take()
        for module, count in command.counters.items():
            self.states[f"counter/{module}"] = {"i": count}
        for module, state in self.states.items():
            body = encode(state)
            if self.committed_states.get(module) != body:
                self.committed_states[module] = body
                self.pending_states[module] = StateWrite(
                    team_id=self.team_id,
                    scenario_id=self.program.scenario_id,
                    module=module,
                    body=self.sealer.seal(body, state_context(self.program.scenario_id, module)),
                )

    def _rollback(self) -> None:
        self.transaction.rollback()
        self.states = {module: decode(body) for module, body in self.committed_states.items()}
        if not self.auto_commit:
            self.responses.clear()

    def _keep(self, command: KeepIncomplete) -> None:
        now_ms = milliseconds(self.now)
        failure, policy = command.failure, command.retry
        # A kept bundle may still refer to what the program of this version knows: pin the version.
        row = IncompleteRow(
            team_id=self.team_id,
            id=f"{self.job.execution_id}-{command.call}",
            scenario_id=self.program.scenario_id,
            version_id=self.program.version_id,
            execution_id=self.job.execution_id,
            created_at_ms=now_ms,
            error_type=failure.type,
            error_message=failure.message,
            error_module=command.module,
            body=b"",
            size_bytes=0,
            max_attempts=policy.attempts if policy else 0,
            interval_seconds=policy.interval_seconds if policy else 0,
        )
        if policy is not None and failure.retry_after_seconds:
            row.retry_at_ms = now_ms + round(failure.retry_after_seconds * 1000)
        plain = encode(
            {"resumption": command.resumption, "kind": self.job.kind, "lane": self.job.lane}
        )
        row.size_bytes = len(plain)
        row.body = self.sealer.seal(plain, incomplete_context(row.id))
        self.pending_incomplete.append(row)

    # -- the disk --------------------------------------------------------------------------------

    def _take_append(self, *, is_last: bool = False) -> Append:
        """Everything recorded that is not on its way to the disk yet."""
        self.is_owed = False
        if is_last:
            segments = self.journal.take_last()
            if self.is_secret_written:
                self.pending_states[SECRET] = self._secret_state(None)
        else:
            segments = self.journal.take()
            if self.secret and not self.is_secret_written and self.program.version_id:
                self.pending_states[SECRET] = self._secret_state(self.secret)
                self.is_secret_written = True
        is_due = self.since_checkpoint >= CHECKPOINT_OPERATIONS
        if is_due and self.is_settled and not self.run_.is_over:
            self.since_checkpoint = 0
            segments.append(self.journal.checkpoint(self._frozen(), call=self.run_.calls))
        append = Append(
            event_id=self.job.event.id,
            epoch=self.job.event.epoch,
            segments=segments,
            writes=self.pending_writes,
            states=list(self.pending_states.values()),
            files=list(self.pending_files.values()),
            incomplete=self.pending_incomplete,
        )
        if not self.is_written:
            append.execution = self._row("running")
            self.is_written = True
        self.pending_writes, self.pending_states, self.pending_incomplete = [], {}, []
        self.pending_files = {}
        return append

    def _frozen(self) -> dict[str, Any]:
        return {"run": freeze(self.run_), "states": self.states, "committed": self.committed_states}

    async def _flush(self) -> None:
        """Hand what was recorded to the writer; wait only if the one before is not written yet."""
        if self.last_append is not None:
            await self.last_append
        self.last_append = self._write(self._take_append())

    async def _durable(self) -> None:
        """Wait until everything recorded so far is on disk; then responders may be heard.

        It is handed over before anything is waited for: until then no other execution sees what
        this one wrote into a data store. Without auto-commit a response waits for the end, because
        an error may still take its place.
        """
        before, self.last_append = self.last_append, None
        future = self._write(self._take_append())
        if before is not None:
            await before
        await future
        if self.auto_commit:
            self.send_responses()

    def _write(self, append: Append) -> asyncio.Future[None]:
        future = self.services.store.append(append)
        if append.writes:
            watch_writes(self.services, append.writes, future)
        return future

    def send_responses(self) -> None:
        """Let the first responder's answer go out; later ones have nobody to hear them."""
        if self.responses:
            response, self.responses = self.responses[0], []
            if self.job.reply is not None and not self.job.reply.done():
                self.job.reply.set_result(response)

    # -- restarts --------------------------------------------------------------------------------

    async def _resume(self) -> list[Command]:
        """Tell a new interpreter what the journal says; answer what remains to be done."""
        store, execution_id = self.services.store, self.job.execution_id
        checkpoint = await store.checkpoint(self.team_id, execution_id)
        after = -1 if checkpoint is None else checkpoint.number
        segments = await store.segments(self.team_id, execution_id, after=after)
        if checkpoint is None and not segments:
            return self._begin()
        self.is_written = True
        last = segments[-1].number if segments else after
        if self.secret:
            sealed = await store.state(self.team_id, self.program.scenario_id)
            name = f"{SECRET}{execution_id}"
            context = state_context(self.program.scenario_id, name)
            self.secret = self.sealer.open(sealed[name], context)
            self.is_secret_written = True
        self.journal, sealer = self._new_journal(counting(last + 1)), self._own_sealer()
        if checkpoint is not None:
            frozen = read_checkpoint(checkpoint, sealer)
            self.run_ = thaw(
                self.program.plan,
                frozen["run"],
                execution_id=execution_id,
                limits=self.job.limits,
                names=self._names(),
                read_bytes=self.context.files.read,
            )
            self.states, self.committed_states = frozen["states"], frozen["committed"]
        kind = "secret" if self.secret else "records"
        for segment in segments:
            if segment.kind == kind:
                for record in read_records(segment, sealer):
                    self._replay(record)
        self.resumed_at = self.run_.operations
        self.send_responses()
        return self.run_.waiting()

    def _replay(self, record: Record) -> None:
        run = self.run_
        self.now = record.at
        if record.kind == "b":
            start = self.job.start
            start.at = record.at
            start.cycles, start.counters = record.output["cycles"], record.output["counters"]
            run.begin(start)
            return
        if record.kind == "i":
            self.intents.add(record.call)
            return
        event = event_of(record)
        if event is None:
            return
        if record.kind == "a":
            event.files = tuple((b.id, b.size_bytes) for b in binaries_in(record.output))  # type: ignore[union-attr]
            extra = record.extra or {}
            if "state" in extra:
                self.states[record.module] = extra["state"]
            for plain in extra.get("writes", ()):
                write = RecordWrite(**dict(zip(RecordWrite.__struct_fields__, plain, strict=True)))
                self.transaction.writes[write.data_store_id, write.key] = write
        elif record.kind == "c":
            # Written in the same transaction as this record: true already.
            self.transaction.take()
            self.committed_states = {m: encode(state) for m, state in self.states.items()}
        elif record.kind == "r":
            self._rollback()
        run.tell(event)

    # -- beginning and end -----------------------------------------------------------------------

    async def _open_resources(self) -> None:
        """Initialisation: every connection is opened and every store found before anything runs."""
        resources, plan = self.services.resources, self.program.plan
        for node in plan.nodes:
            operator = self.program.operators[node.index]
            if operator is None:
                continue
            for word, name in operator.resources.items():
                try:
                    if word in ("connection", "key") and name not in self.connections:
                        self.connections[name] = await resources.connection(
                            self.team_id, name, used_by=operator.spec.name
                        )
                    elif word == "data_store" and name not in self.data_stores:
                        self.data_stores[name] = await resources.data_store(self.team_id, name)
                    elif word == "structure" and name not in self.structures:
                        self.structures[name] = await resources.structure(self.team_id, name)
                except ModuleError as error:
                    error.args = (f"{node.label}: {error.message}",)
                    error.__dict__["module_id"] = node.id
                    raise

    def _not_initialised(self, error: ModuleError) -> Outcome:
        module = error.__dict__.get("module_id", "")
        failure = Failure("AccountValidationError", error.message, error.detail, module=module)
        finish = Finish("error", failure, True, True, 0, 0, 0, {}, {}, None)
        return self._outcome(finish)

    def _row(self, status: Any) -> ExecutionRow:
        job, event = self.job, self.job.event
        return ExecutionRow(
            team_id=event.team_id,
            id=job.execution_id,
            scenario_id=self.program.scenario_id,
            version_id=self.program.version_id,
            event_id=event.id,
            kind=job.kind,  # type: ignore[arg-type]
            status=status,
            started_at_ms=milliseconds(job.start.at),
            origin_id=job.origin_id,
            operations=self.run_.operations,
            transfer_bytes=self.run_.transfer_bytes,
            cycles=self.run_.cycle,
        )

    def _outcome(self, finish: Finish | None, parked_until: datetime | None = None) -> Outcome:
        now = self._tick()
        row = self._row("waiting" if finish is None else finish.status)
        if finish is None:
            # A parked execution is frozen, so that going on costs no replay.
            self.since_checkpoint = CHECKPOINT_OPERATIONS
            finish = Finish("waiting", None, False, False, 0, 0, 0, {}, {}, None)
        else:
            row.finished_at_ms = milliseconds(now)
            row.duration_ms = max(0, row.finished_at_ms - row.started_at_ms)
            row.operations, row.transfer_bytes = finish.operations, finish.transfer_bytes
            row.cycles = finish.cycles
            if finish.failure is not None:
                row.error_type = finish.failure.type
                row.error_message = finish.failure.message
                row.error_module = finish.failure.module or None
            summary = {"by_module": finish.by_module, "links": finish.links}
            if finish.outputs is not None and not self.secret:
                summary["outputs"] = finish.outputs
            row.summary = self.sealer.seal(encode(summary), summary_context(row.id))
        append = self._take_append(is_last=parked_until is None)
        append.execution = row
        return Outcome(
            finish=finish,
            row=row,
            append=append,
            incomplete=append.incomplete,
            started_at=self.job.start.at,
            is_parked=parked_until is not None,
            parked_until=parked_until,
        )

    def _publish(self, record: Record) -> None:
        self.services.live.publish(
            self.team_id,
            {
                "type": "operation",
                "execution_id": self.job.execution_id,
                "module": record.module,
                "call": record.call,
                "bundles": None if record.output is None else len(record.output),
                "took_us": record.took_us,
                "error": None if record.failure is None else record.failure[:2],
            },
        )


def commands_end(commands: deque[Command]) -> bool:
    """Whether the execution is over anyway."""
    return any(command.__class__ is Finish for command in commands)


def _asks(commands: deque[Command]) -> bool:
    """Whether something else is to be done at the same time."""
    return any(command.__class__ in (CallModule, WaitUntil) for command in commands)


def _input(command: CallModule) -> Any:
    if command.bundles:
        return {**command.parameters, "gathered": command.bundles}
    return command.parameters


def _page(stream: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return list(islice(stream, PAGE))


def _unexpected(error: Exception) -> UnexpectedError:
    """A bug in an app: named, logged with its trace, its text kept from people's eyes."""
    _LOG.error("an app raised what it should not have", exc_info=error)
    return UnexpectedError(
        f"the app has a bug ({type(error).__name__}). The server's log tells its maintainers more"
    )


def watch_writes(
    services: Services, writes: list[RecordWrite], future: asyncio.Future[None]
) -> None:
    """Let other executions see writes that are on their way to the disk."""
    serial = services.in_flight.add(writes)
    future.add_done_callback(lambda _: services.in_flight.remove(writes, serial))


def state_context(scenario_id: str, module: str) -> bytes:
    """What the seal of a module's memory is bound to."""
    return f"state|{scenario_id}|{module}".encode()


def incomplete_context(id: str) -> bytes:
    """What the seal of an incomplete execution is bound to."""
    return f"incomplete|{id}".encode()


def summary_context(execution_id: str) -> bytes:
    """What the seal of an execution's summary is bound to."""
    return f"summary|{execution_id}".encode()
