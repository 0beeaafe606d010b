"""Group commit: one transaction for everything that waits, one ``fsync`` for all of them.

Theory of operation. Whoever has something to write puts it into a queue and gets a future. The
writer takes what is queued, executes the statements *on the event loop's own thread*, then hands
only the ``COMMIT`` to a thread, and resolves the futures when it returns; what arrives meanwhile is
the next batch. There is no timer: a lone write starts at once and pays one commit, a thousand
writes pay one commit together.

The statements run on the loop's thread because they take 3 to 5 µs each: less than two threads need
to pass the interpreter's lock to and fro. ``COMMIT`` waits for the disk without that lock, so it is
worth a thread.

An event that is accepted and finished within one batch is never written at all: the transaction
would insert its row and delete it again. Most events that their own process carries out at once are
like that, and it halves what they cost.

A batch is first tried at full speed: the same statement of many callers in one ``executemany``, in
the order of `_RANKS`. If anything in it fails, the transaction is rolled back and the batch is done
again caller by caller, each inside a savepoint, so that only the guilty one fails.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any

from millrace.errors import Conflict, LeaseLost, StorageUnavailable
from millrace.storage.statements import Statement

MAXIMUM = 512
"""Writes in one batch: at about 10 µs each the loop is held for 5 ms at most."""

_RANKS = ("accept", "holds", "execution", "segment", "*", "promote", "requeue", "leave")
"""The order in a batch. ``*``: everything else, in the order of the callers.

It is safe to regroup like this because no statement before ``*`` reads what one behind it writes,
and because a lease is checked before the statement that ends it."""

_MUST_HIT = frozenset({"requeue", "leave"})
"""Statements that have to find their row: otherwise the lease is lost."""

Step = tuple[Statement, tuple[Any, ...]]
Lease = tuple[str, int]
"""An event's id and the epoch of whoever holds it."""


class Write:
    """What one caller wants written, all or nothing: steps, or a function of the connection.

    With `is_outside` the function runs in the thread, between two transactions.
    """

    __slots__ = ("begins", "call", "ends", "future", "holds", "is_outside", "result", "steps")

    def __init__(
        self,
        future: asyncio.Future[Any],
        steps: list[Step],
        call: Callable[[sqlite3.Connection], Any] | None,
        is_outside: bool,
        begins: Lease | None = None,
        holds: Lease | None = None,
        ends: Lease | None = None,
    ) -> None:
        self.begins = begins
        """The event that this accepts as running, and nothing else."""
        self.holds = holds
        """The event whose lease the last step checks."""
        self.ends = ends
        """The event that the last step takes out of the inbox."""
        self.future = future
        self.steps = steps
        self.call = call
        self.is_outside = is_outside
        self.result: Any = None


class Writer:
    """The only one that writes to a SQLite file.

    Args:
        connection: Opened with ``isolation_level=None`` and ``check_same_thread=False``; the writer
            owns it from now on.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._queue: deque[Write] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="millrace-commit")
        self._is_busy = False
        self._is_closed = False
        self._idle: asyncio.Future[None] | None = None

    def put(self, steps: list[Step], **lease: Lease) -> asyncio.Future[None]:
        """Queue statements that are written together; must be called on the event loop.

        Args:
            steps: In their order.
            lease: What they do to an event: see `Write.begins`, `Write.holds` and `Write.ends`.
        """
        return self._enqueue(steps, None, lease=lease)

    def call(self, function: Callable[[sqlite3.Connection], Any]) -> asyncio.Future[Any]:
        """Queue a function that reads and writes inside the transaction; the future has its result.

        The function may be called twice (see the top of the file), so it must do nothing else.
        """
        return self._enqueue([], function)

    def outside(self, function: Callable[[sqlite3.Connection], Any]) -> asyncio.Future[Any]:
        """Queue something that cannot be done inside a transaction, such as a checkpoint."""
        return self._enqueue([], function, is_outside=True)

    def _enqueue(
        self,
        steps: list[Step],
        call: Callable[[sqlite3.Connection], Any] | None,
        *,
        is_outside: bool = False,
        lease: Mapping[str, Lease] = MappingProxyType({}),
    ) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        if self._is_closed:
            future.set_exception(StorageUnavailable("The database is closed; nothing was written."))
            return future
        self._queue.append(Write(future, steps, call, is_outside, **lease))
        if not self._is_busy:
            self._is_busy = True
            # One turn of the loop later, so that what was begun in this turn can still join.
            loop.call_soon(loop.call_soon, self._begin, loop)
        return future

    async def close(self) -> None:
        """Write what is queued, then refuse."""
        self._is_closed = True
        if self._is_busy:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle
        self._thread.shutdown()
        self._connection.close()

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Execute a batch, then commit it in the thread."""
        queue = self._queue
        if queue[0].is_outside:
            alone = queue.popleft()
            done = loop.run_in_executor(self._thread, self._run_outside, alone)
            done.add_done_callback(lambda done: self._committed(loop, [alone], {}, done))
            return
        batch: list[Write] = []
        while queue and len(batch) < MAXIMUM and not queue[0].is_outside:
            batch.append(queue.popleft())
        try:
            failed = self._execute(batch)
        except sqlite3.Error as error:
            self._end(loop, batch, {}, _translated(error))
            return
        commit = loop.run_in_executor(self._thread, self._connection.execute, "COMMIT")
        commit.add_done_callback(lambda done: self._committed(loop, batch, failed, done))

    def _run_outside(self, write: Write) -> None:
        write.result = write.call(self._connection) if write.call else None

    def _committed(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: list[Write],
        failed: dict[Write, BaseException],
        done: asyncio.Future[Any],
    ) -> None:
        error = done.exception()
        self._end(loop, batch, failed, None if error is None else _translated(error))

    def _end(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: list[Write],
        failed: dict[Write, BaseException],
        error: BaseException | None,
    ) -> None:
        """Tell the callers, then begin the next batch after they had a turn to add to it."""
        if error is not None and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        for write in batch:
            if write.future.cancelled():
                continue
            if error is not None:
                write.future.set_exception(error)
            elif write in failed:
                write.future.set_exception(failed[write])
            else:
                write.future.set_result(write.result)
        if self._queue:
            loop.call_soon(self._begin, loop)
        else:
            self._is_busy = False
            if self._idle is not None:
                self._idle.set_result(None)

    def _execute(self, batch: list[Write]) -> dict[Write, BaseException]:
        """Run a batch inside a transaction that is left open; answers who failed."""
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            return self._execute_together(batch)
        except Exception:  # noqa: BLE001 - done again below, where it is told to its caller
            if self._connection.in_transaction:
                execute("ROLLBACK")
        execute("BEGIN IMMEDIATE")
        failed: dict[Write, BaseException] = {}
        for write in batch:
            self._execute_alone(write, failed)
        return failed

    def _execute_together(self, batch: list[Write]) -> dict[Write, BaseException]:
        connection = self._connection
        groups: dict[str, list[Any]] = {name: [] for name in _RANKS}
        statements: dict[str, Statement] = {}
        rest = groups["*"]
        passing = _passing(batch)
        for write in batch:
            if write.call is not None:
                rest.append(write)
            for step in _steps_of(write, passing) if passing else write.steps:
                name = step[0].name
                group = groups.get(name)
                if group is None:
                    rest.append(step)
                else:
                    group.append(step[1])
                    statements[name] = step[0]
        failed: dict[Write, BaseException] = {}
        for name, group in groups.items():
            if not group:
                continue
            if name == "*":
                for step in group:
                    if isinstance(step, Write):
                        self._execute_alone(step, failed)
                    else:
                        connection.execute(step[0].sql, step[1])
            elif name == "holds":
                for parameters in group:
                    _check(connection, statements[name], parameters)
            else:
                cursor = connection.executemany(statements[name].sql, group)
                if name in _MUST_HIT and cursor.rowcount != len(group):
                    raise _lease_lost()
        return failed

    def _execute_alone(self, write: Write, failed: dict[Write, BaseException]) -> None:
        connection = self._connection
        connection.execute("SAVEPOINT one")
        try:
            if write.call is not None:
                write.result = write.call(connection)
            for statement, parameters in sorted(write.steps, key=_rank):
                if statement.name == "holds":
                    _check(connection, statement, parameters)
                elif (
                    connection.execute(statement.sql, parameters).rowcount != 1
                    and statement.name in _MUST_HIT
                ):
                    raise _lease_lost()
        except Exception as error:
            if not connection.in_transaction:  # a full disk ends the transaction for everyone
                raise
            connection.execute("ROLLBACK TO one")
            failed[write] = _translated(error)
        connection.execute("RELEASE one")


def _passing(batch: list[Write]) -> set[Lease]:
    """The events that come and go within a batch."""
    begun = {write.begins for write in batch if write.begins is not None}
    return {write.ends for write in batch if write.ends in begun} if begun else begun


def _steps_of(write: Write, passing: set[Lease]) -> list[Step]:
    """The steps of a write without those that concern the row of a passing event."""
    if write.begins in passing:
        return []
    if write.ends in passing or write.holds in passing:
        return write.steps[:-1]
    return write.steps


def _rank(step: Step) -> int:
    name = step[0].name
    return _RANKS.index(name if name in _RANKS else "*")


def _check(connection: sqlite3.Connection, holds: Statement, parameters: tuple[Any, ...]) -> None:
    if connection.execute(holds.sql, parameters).fetchone() is None:
        raise _lease_lost()


def _lease_lost() -> LeaseLost:
    return LeaseLost(
        "Another worker holds this event now, or it has left the inbox; nothing was written. "
        "Stop working on the execution."
    )


def _translated(error: BaseException) -> BaseException:
    """A database error in our words; anything else as it is."""
    if isinstance(error, sqlite3.IntegrityError):
        translated: BaseException = Conflict(f"The database refused a row: {error}.")
    elif isinstance(error, sqlite3.OperationalError):
        translated = StorageUnavailable(
            f"The database could not write ({error}). Check that the disk has room and is writable."
        )
    else:
        return error
    translated.__cause__ = error
    return translated
