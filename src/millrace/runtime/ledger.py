"""What is recorded of one execution, and what becomes true with it.

Everything that happens is written down here; from time to time, and before anything that cannot be
taken back, it is handed to the store's writer: one *append* holds the journal's segments, the data
stores' writes, what modules remember and the failures that are kept, and is one commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import count
from typing import Any

import msgspec

from millrace.engine import Interpreter, freeze
from millrace.engine.commands import (
    CallModule,
    Commit,
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
    Failure,
    Kept,
    RolledBack,
    TimeReached,
)
from millrace.runtime.confidential import ExecutionKey
from millrace.runtime.job import Job
from millrace.runtime.journal import (
    ConfidentialJournal,
    Journal,
    Record,
    Sealer,
    decode,
    encode,
    milliseconds,
)
from millrace.runtime.seals import incomplete_context, state_context
from millrace.runtime.services import Services
from millrace.runtime.transaction import Transaction
from millrace.storage.store import (
    Append,
    ExecutionRow,
    ExecutionStatus,
    FileUse,
    IncompleteRow,
    RecordWrite,
    StateWrite,
)

CHECKPOINT_OPERATIONS = 10_000
"""Operations between two checkpoints: what a resumption replays at most, under half a second."""


class Ledger:
    """The records of one execution, and all that waits to be written with them.

    Args:
        services: The installation.
        job: What is carried out.
        run: The interpreter, as far as its counts and its frozen form are concerned.
    """

    def __init__(self, services: Services, job: Job, run: Interpreter) -> None:
        event, program = job.event, job.program
        self.services = services
        self.job = job
        self.run = run
        self.now = job.start.at
        self.auto_commit = program.scenario.settings.auto_commit
        self.sealer = services.vault.sealer(event.team_id)
        self.key: ExecutionKey | None = None
        """Of a confidential execution."""
        if program.scenario.settings.confidential:
            self.key = ExecutionKey(
                self.sealer,
                team_id=event.team_id,
                scenario_id=program.scenario_id,
                execution_id=job.execution_id,
            )
        self.journal = self.new_journal(count())
        self.transaction = Transaction(
            team_id=event.team_id,
            records=services.store.records,
            in_flight=services.in_flight,
            sealer=self.sealer,
        )
        self.states = {module: dict(state) for module, state in job.states.items()}
        """What modules remember, as the cycle under way has changed it."""
        self.committed_states = {module: encode(state) for module, state in job.states.items()}
        self.pending_writes: list[RecordWrite] = []
        """Writes that the next append makes true."""
        self.responses: list[dict[str, Any]] = []
        """Answers of responders that wait for what came before them to be on disk."""
        self.intents: set[int] = set()
        """Effects that were begun before a restart."""
        self.is_owed = False
        """An effect has been made whose answer is not on its way to the disk yet."""
        self.is_settled = False
        """Everything recorded has been told, so that a checkpoint may stand behind it."""
        self.is_written = False
        """The execution's row is on its way to the disk, or there."""
        self.since_checkpoint = 0
        self._is_watched = services.live.is_watched
        self._pending_states: dict[str, StateWrite] = {}
        self._pending_incomplete: list[IncompleteRow] = []
        self._pending_files: dict[str, FileUse] = {}
        self._last_append: asyncio.Future[None] | None = None

    def new_journal(self, numbers: Iterator[int]) -> Journal | ConfidentialJournal:
        """A journal whose segments get these numbers."""
        team_id, execution_id = self.job.event.team_id, self.job.execution_id
        public = Journal(
            team_id=team_id, execution_id=execution_id, sealer=self.sealer, numbers=numbers
        )
        if self.key is None:
            return public
        secret = Journal(
            team_id=team_id,
            execution_id=execution_id,
            sealer=self.key.sealer(),
            numbers=numbers,
            kind="secret",
        )
        return ConfidentialJournal(secret=secret, public=public)

    def own_sealer(self) -> Sealer:
        """What the records that a restart needs are sealed with."""
        return self.sealer if self.key is None else self.key.sealer()

    def tick(self) -> datetime:
        """The present instant, which is that of the next record."""
        self.now = self.services.clock.now()
        return self.now

    # -- records ---------------------------------------------------------------------------------

    def record(self, record: Record) -> list[tuple[str, int]]:
        """Write down what came of a call, before it is told; answers the files in it."""
        self.is_settled = False
        return self._add(record)

    def begun(self) -> None:
        """Write down what the execution begins with."""
        start = self.job.start
        given = {"cycles": start.cycles, "counters": start.counters}
        self.journal.add(Record("b", 0, "", start.at, 0, None, given))

    def note(self, note: Note) -> None:
        """Write down what the engine did itself."""
        failure = None if note.failure is None else plain(note.failure)
        self.since_checkpoint += 1
        self._add(
            Record("n", note.call, note.module, self.now, 0, note.input, note.output, failure)
        )

    def reached(self, command: WaitUntil) -> TimeReached:
        """Write down that the instant has come."""
        self.is_settled = False
        at = max(self.tick(), command.at)
        self.journal.add(Record("w", command.call, command.module, at))
        return TimeReached(command.call, at)

    def continued(self, command: Yield) -> Continued:
        """Write down that others have had their turn."""
        at = self.tick()
        self.journal.add(Record("y", command.call, "", at))
        return Continued(command.call, at)

    def cancelled(self, message: str) -> Cancelled:
        """Write down that somebody stopped the execution."""
        at = self.tick()
        self.journal.add(Record("x", 0, "", at, 0, None, message))
        return Cancelled(at, message)

    def uncommitted(self, module: str) -> dict[str, Any]:
        """What a replay must put back after a call, because no commit has made it true yet."""
        extra: dict[str, Any] = {}
        state, writes = self.states.get(module), self.transaction.writes
        if state is not None:
            extra["state"] = state
        if writes and not self.auto_commit:
            extra["writes"] = [msgspec.structs.astuple(write) for write in writes.values()]
        return extra

    def take_writes(self) -> None:
        """Let what was written to data stores become true with the next append."""
        self.pending_writes += self.transaction.take()

    def _add(self, record: Record) -> list[tuple[str, int]]:
        _, files = self.journal.add(record)
        if files:
            self._keep_files(files)
        if self._is_watched(self.job.event.team_id):
            self._publish(record)
        return files

    def _keep_files(self, files: list[tuple[str, int]]) -> None:
        """Note which files the history refers to, so that they live as long as it does."""
        for id, size in files:
            if id not in self._pending_files:
                self._pending_files[id] = FileUse(
                    team_id=self.job.event.team_id,
                    file_id=id,
                    execution_id=self.job.execution_id,
                    size_bytes=size,
                    created_at_ms=milliseconds(self.now),
                )

    def _publish(self, record: Record) -> None:
        self.services.live.publish(
            self.job.event.team_id,
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

    # -- cycles ----------------------------------------------------------------------------------

    def commit(self, command: Commit) -> Committed:
        """Let the cycle's writes and memories become true with the next append."""
        self.take_writes()
        for module, counted in command.counters.items():
            self.states[f"counter/{module}"] = {"i": counted}
        for module, state in self.states.items():
            body = encode(state)
            if self.committed_states.get(module) != body:
                self.committed_states[module] = body
                self._pending_states[module] = self._state_write(module, body)
        at = self.tick()
        self.journal.add(Record("c", command.call, "", at))
        return Committed(command.call, at)

    def roll_back(self, command: Rollback) -> RolledBack:
        """Undo what can be undone of the cycle."""
        self.forget_cycle()
        at = self.tick()
        self.journal.add(Record("r", command.call, "", at))
        return RolledBack(command.call, at)

    def forget_cycle(self) -> None:
        """Go back to what was committed last."""
        self.transaction.rollback()
        self.states = {module: decode(body) for module, body in self.committed_states.items()}
        if not self.auto_commit:
            self.responses.clear()

    def keep(self, command: KeepIncomplete) -> Kept:
        """Keep a failed bundle with the next append."""
        job, program = self.job, self.job.program
        now_ms = milliseconds(self.now)
        failure, policy = command.failure, command.retry
        # A kept bundle may still refer to what the program of this version knows: pin the version.
        row = IncompleteRow(
            team_id=job.event.team_id,
            id=f"{job.execution_id}-{command.call}",
            scenario_id=program.scenario_id,
            version_id=program.version_id,
            execution_id=job.execution_id,
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
        body = encode({"resumption": command.resumption, "kind": job.kind, "lane": job.lane})
        row.size_bytes = len(body)
        row.body = self.sealer.seal(body, incomplete_context(row.id))
        self._pending_incomplete.append(row)
        at = self.tick()
        self.journal.add(Record("k", command.call, command.module, at, 0, None, True))
        return Kept(command.call, at, True)

    def _state_write(self, module: str, body: bytes) -> StateWrite:
        scenario_id = self.job.program.scenario_id
        return StateWrite(
            team_id=self.job.event.team_id,
            scenario_id=scenario_id,
            module=module,
            body=self.sealer.seal(body, state_context(scenario_id, module)),
        )

    # -- the disk --------------------------------------------------------------------------------

    async def intend(self, command: CallModule) -> None:
        """Before an effect: that it is about to happen is on disk, and all that led to it."""
        if self.since_checkpoint >= CHECKPOINT_OPERATIONS:
            # A checkpoint must stand before the intent: a resumption reads only what is behind it.
            await self.flush()
        self.is_settled = False
        self.journal.add(
            Record("i", command.call, command.module, self.tick(), 0, None, command.key)
        )
        await self.durable()

    async def catch_up(self) -> None:
        """Before something outside is read: the event and the answers of effects are on disk."""
        if self.is_owed or self.responses:
            await self.durable()
        elif self.job.accepted is not None and not self.job.accepted.done():
            await self.job.accepted

    async def flush(self) -> None:
        """Hand what was recorded to the writer; wait only if the one before is not written yet."""
        await self.written()
        self._last_append = self._write(self._take(is_last=False))

    async def durable(self) -> None:
        """Wait until everything recorded so far is on disk; then responders may be heard.

        It is handed over before anything is waited for: until then no other execution sees what
        this one wrote into a data store. Without auto-commit a response waits for the end, because
        an error may still take its place.
        """
        before, self._last_append = self._last_append, None
        future = self._write(self._take(is_last=False))
        if before is not None:
            await before
        await future
        if self.auto_commit:
            self.send_responses()

    async def written(self) -> None:
        """Wait for the append that was handed over last."""
        if self._last_append is not None:
            await self._last_append

    def close(self, row: ExecutionRow, *, is_parked: bool) -> Append:
        """All that is left, to be written with the execution's row as it is now."""
        if is_parked:
            # A parked execution is frozen, so that going on costs no replay.
            self.since_checkpoint = CHECKPOINT_OPERATIONS
        append = self._take(is_last=not is_parked)
        append.execution = row
        return append

    def send_responses(self) -> None:
        """Let the first responder's answer go out; later ones have nobody to hear them."""
        if self.responses:
            response, self.responses = self.responses[0], []
            if self.job.reply is not None and not self.job.reply.done():
                self.job.reply.set_result(response)

    def row(self, status: ExecutionStatus) -> ExecutionRow:
        """The execution as the history lists it."""
        job, event, run = self.job, self.job.event, self.run
        return ExecutionRow(
            team_id=event.team_id,
            id=job.execution_id,
            scenario_id=job.program.scenario_id,
            version_id=job.program.version_id,
            event_id=event.id,
            kind=job.kind,
            status=status,
            started_at_ms=milliseconds(job.start.at),
            origin_id=job.origin_id,
            operations=run.operations,
            transfer_bytes=run.transfer_bytes,
            cycles=run.cycle,
        )

    def _take(self, *, is_last: bool) -> Append:
        """Everything recorded that is not on its way to the disk yet."""
        self.is_owed = False
        states, key = list(self._pending_states.values()), self.key
        if is_last:
            segments = self.journal.take_last()
            if key is not None and key.is_kept:
                states.append(key.destroy())
        else:
            segments = self.journal.take()
            if key is not None and not key.is_kept and self.job.program.version_id:
                states.append(key.keep())
        is_due = self.since_checkpoint >= CHECKPOINT_OPERATIONS
        if is_due and self.is_settled and not self.run.is_over:
            self.since_checkpoint = 0
            segments.append(self.journal.checkpoint(self._frozen(), call=self.run.calls))
        append = Append(
            event_id=self.job.event.id,
            epoch=self.job.event.epoch,
            segments=segments,
            writes=self.pending_writes,
            states=states,
            files=list(self._pending_files.values()),
            incomplete=self._pending_incomplete,
        )
        if not self.is_written:
            append.execution = self.row("running")
            self.is_written = True
        self.pending_writes, self._pending_incomplete = [], []
        self._pending_states, self._pending_files = {}, {}
        return append

    def _frozen(self) -> dict[str, Any]:
        writes = self.transaction.writes.values()
        return {
            "run": freeze(self.run),
            "states": self.states,
            "committed": self.committed_states,
            "writes": [msgspec.structs.astuple(write) for write in writes],
            "responses": self.responses,
        }

    def thawed(self, run: Interpreter, frozen: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.run = run
        self.states, self.committed_states = frozen["states"], frozen["committed"]
        self.responses = frozen["responses"]
        self.restore_writes(frozen["writes"])

    def restore_writes(self, rows: Iterable[Sequence[Any]]) -> None:
        """Put back writes to data stores that no commit had made true."""
        for row in rows:
            write = RecordWrite(**dict(zip(RecordWrite.__struct_fields__, row, strict=True)))
            self.transaction.restore(write)

    def _write(self, append: Append) -> asyncio.Future[None]:
        future = self.services.store.append(append)
        if append.writes:
            watch_writes(self.services, append.writes, future)
        return future


def plain(failure: Failure) -> list[Any]:
    """A failure as a record holds it."""
    return list(msgspec.structs.astuple(failure))


def watch_writes(
    services: Services, writes: list[RecordWrite], future: asyncio.Future[None]
) -> None:
    """Let other executions see writes that are on their way to the disk."""
    serial = services.in_flight.add(writes)
    future.add_done_callback(lambda _: services.in_flight.remove(writes, serial))
