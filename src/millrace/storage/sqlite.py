"""The store in one SQLite file: the default, for one process that does everything."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from asyncio import Future
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from millrace.errors import StorageUnavailable
from millrace.ids import new_id
from millrace.storage.database import core, translated
from millrace.storage.migrations import is_current, migrate
from millrace.storage.statements import Statement, load
from millrace.storage.store import (
    Append,
    EventRow,
    EventState,
    ExecutionRow,
    Finish,
    NewEvent,
    RecordWrite,
    Recovered,
    Requeue,
    Segment,
)
from millrace.storage.turns import Turns
from millrace.storage.writer import Step, Writer

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")


class SqliteStore:
    """`Store` on SQLite. Made by `open`; used from one event loop."""

    def __init__(
        self, path: Path, *, lock: sqlite3.Connection, writing: sqlite3.Connection
    ) -> None:
        self.path = path
        self._lock = lock
        self._sql = sql = load("sqlite")
        self._reading = _connect(path, is_writer=False)
        self._readers = _Readers(path)
        # Made before anything is written: SQLAlchemy ends a transaction that is open when it first
        # meets a connection.
        self._core = core(writing)
        self.records = SqliteRecords(self._reading, sql)
        self._accept, self._holds, self._leave = sql["accept"], sql["holds"], sql["leave"]
        self._promote = sql["promote"]
        self._turns = Turns(sql)
        self._execution, self._segment = sql["execution"], sql["segment"]
        writing.execute("BEGIN IMMEDIATE")
        writing.execute(
            "INSERT INTO meta (name, value) VALUES ('epoch', '1')"
            " ON CONFLICT (name) DO UPDATE SET value = CAST(value AS INTEGER) + 1"
        )
        row = writing.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
        writing.execute("COMMIT")
        self.epoch = int(row[0])
        self._writer = Writer(writing)

    @classmethod
    def open(cls, path: Path) -> SqliteStore:
        """Open the database in the file `path`, making it if there is none.

        Raises:
            StorageUnavailable: another process uses it, or it is not a database of ours.
        """
        lock = _locked(path.with_name(path.name + ".lock"))
        try:
            if not is_current(path):
                migrate(f"sqlite:///{path}")
            writing = _connect(path, is_writer=True)
            return cls(path, lock=lock, writing=writing)
        except BaseException:
            lock.close()
            raise

    def accept(self, event: NewEvent) -> Future[None]:
        """See `Store.accept`."""
        if event.state == "running" and event.lane is not None:
            raise ValueError("An event in a lane is claimed, never accepted as running.")
        steps = [(self._accept, self._accept.pick(event))]
        if event.state == "running":
            return self._writer.put(steps, begins=(event.id, event.epoch))
        return self._writer.put(steps)

    def append(self, append: Append) -> Future[None]:
        """See `Store.append`."""
        steps = self._steps(append)
        lease = (append.event_id, append.epoch)
        steps.append((self._holds, lease))
        return self._writer.put(steps, holds=lease)

    def park(self, append: Append, until: Requeue) -> Future[None]:
        """See `Store.park`."""
        steps = self._steps(append)
        steps.append(self._requeued(append, until))
        return self._writer.put(steps)

    def finish(self, finish: Finish) -> Future[None]:
        """See `Store.finish`."""
        steps = self._steps(finish)
        if finish.requeue is not None:
            steps.append(self._requeued(finish, finish.requeue))
            return self._writer.put(steps)
        lease = (finish.event_id, finish.epoch)
        if finish.is_in_lane:
            steps.append((self._promote, (finish.event_id,)))
        steps.append((self._leave, lease))
        return self._writer.put(steps, ends=lease)

    def _requeued(self, append: Append, until: Requeue) -> Step:
        parameters = (
            until.state,
            until.due_at_ms,
            until.execution_id,
            append.event_id,
            append.epoch,
        )
        return self._sql["requeue"], parameters

    def _steps(self, append: Append) -> list[Step]:
        """All that a piece of journal writes, except what happens to its event."""
        sql = self._sql
        steps: list[Step] = []
        if append.execution is not None:
            steps.append((self._execution, self._execution.pick(append.execution)))
        pick = self._segment.pick
        for segment in append.segments:
            steps.append((self._segment, pick(segment)))
        for write in append.writes:
            steps += self._record_steps(write)
        for state in append.states:
            statement = sql["forget" if state.body is None else "remember"]
            steps.append((statement, statement.pick(state)))
        for use in append.files:
            steps.append((sql["file_use"], sql["file_use"].pick(use)))
        for incomplete in append.incomplete:
            steps.append((sql["keep_incomplete"], sql["keep_incomplete"].pick(incomplete)))
        for change in append.changes:
            steps.append((sql["change_incomplete"], sql["change_incomplete"].pick(change)))
        if append.scenario is not None:
            steps.append((sql["change_scenario"], sql["change_scenario"].pick(append.scenario)))
        for event in append.events:
            steps.append((self._accept, self._accept.pick(event)))
        return steps

    def _record_steps(self, write: RecordWrite) -> list[Step]:
        key = (write.team_id, write.data_store_id, write.key)
        present = write.body is not None
        size = write.size if present else 0
        account: Step = (self._sql["record_account"], (present, *key, size))
        statement = self._sql["record_put" if present else "record_remove"]
        return [account, (statement, statement.pick(write))]

    async def claim(self, *, limit: int, now_ms: int, skip: Collection[str] = ()) -> list[EventRow]:
        """See `Store.claim`."""
        wake = self._sql["wake"].sql

        def claim(connection: sqlite3.Connection) -> list[EventRow]:
            connection.execute(wake, (now_ms,))
            return self._take(connection, self._turns.pick(connection, limit, skip))

        return await self._writer.call(claim)

    def _take(self, connection: sqlite3.Connection, rows: list[Any]) -> list[EventRow]:
        """Make events ours."""
        events = [_event(row) for row in rows]
        for event in events:
            event.state = "running"
            event.epoch = self.epoch
            event.attempts += 1
            event.execution_id = event.execution_id or new_id()
        take = self._sql["take"]
        connection.executemany(take.sql, map(take.pick, events))
        return events

    async def next_due(self) -> int | None:
        """See `Store.next_due`."""
        return self._reading.execute(self._sql["next_due"].sql).fetchone()[0]

    async def recover(self) -> list[Recovered]:
        """See `Store.recover`."""
        left, known = self._sql["left_running"].sql, self._sql["execution_of"].sql

        def recover(connection: sqlite3.Connection) -> list[Recovered]:
            found = []
            for event in self._take(connection, connection.execute(left, (self.epoch,)).fetchall()):
                row = connection.execute(known, (event.team_id, event.execution_id)).fetchone()
                execution = None if row is None else ExecutionRow(**_named(EXECUTION, row))
                found.append(Recovered(event=event, execution=execution))
            return found

        return await self._writer.call(recover)

    def hold(self, team_id: str, scenario_id: str) -> Future[None]:
        """See `Store.hold`."""
        scenario = (team_id, scenario_id)
        return self._writer.put(
            [(self._sql["hold_waiting"], scenario), (self._sql["hold_parked"], scenario)]
        )

    def release(self, team_id: str, scenario_id: str) -> Future[None]:
        """See `Store.release`."""
        return self._writer.put([(self._sql["release"], (team_id, scenario_id))])

    async def waiting(self, team_id: str, scenario_id: str) -> dict[EventState, int]:
        """See `Store.waiting`."""
        sql = self._sql["inbox_counts"].sql
        return dict(self._reading.execute(sql, (team_id, scenario_id)).fetchall())

    async def segments(self, team_id: str, execution_id: str, *, after: int = -1) -> list[Segment]:
        """See `Store.segments`."""
        sql = self._sql["segments"].sql
        rows = await self._readers.run(
            lambda reader: reader.connection.execute(sql, (team_id, execution_id, after)).fetchall()
        )
        return [Segment(**_named(SEGMENT, row)) for row in rows]

    async def checkpoint(self, team_id: str, execution_id: str) -> Segment | None:
        """See `Store.checkpoint`."""
        sql = self._sql["checkpoint"].sql
        row = await self._readers.run(
            lambda reader: reader.connection.execute(sql, (team_id, execution_id)).fetchone()
        )
        return None if row is None else Segment(**_named(SEGMENT, row))

    async def state(self, team_id: str, scenario_id: str) -> dict[str, bytes]:
        """See `Store.state`."""
        return dict(
            self._reading.execute(self._sql["remembered"].sql, (team_id, scenario_id)).fetchall()
        )

    async def scrub(self) -> None:
        """See `Store.scrub`.

        ``secure_delete`` zeroes the pages of the file; the write-ahead log still has what was there
        before, until a checkpoint empties it.
        """
        await self._writer.outside(
            lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        )

    async def close(self) -> None:
        """See `Store.close`."""
        await self._writer.close()
        self._readers.close()
        self._reading.close()
        self._lock.close()

    async def read(self, function: Callable[[Connection], T]) -> T:
        """See `Database.read`."""
        return await self._readers.run(lambda reader: translated(function, reader.core()))

    async def write(self, function: Callable[[Connection], T]) -> T:
        """See `Database.write`."""
        connection = self._core
        return await self._writer.call(lambda _: translated(function, connection))


class _Reader:
    """A thread's own connection."""

    def __init__(self, path: Path) -> None:
        self.connection = _connect(path, is_writer=False)
        self._core: Connection | None = None

    def core(self) -> Connection:
        if self._core is None:
            self._core = core(self.connection)
        return self._core


class _Readers:
    """Threads for reads that may be long; two, so that a long one does not stop the others."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own = threading.local()
        self._all: list[_Reader] = []
        self._threads = ThreadPoolExecutor(2, "millrace-read", self._start)

    def _start(self) -> None:
        self._own.reader = _Reader(self._path)
        self._all.append(self._own.reader)

    async def run(self, function: Callable[[_Reader], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: function(self._own.reader))

    def close(self) -> None:
        self._threads.shutdown()
        for reader in self._all:
            reader.connection.close()


class SqliteRecords:
    """`Records` on SQLite: answers on the calling thread."""

    def __init__(self, connection: sqlite3.Connection, sql: dict[str, Statement]) -> None:
        self._connection = connection
        self._get, self._scan = sql["record_get"].sql, sql["record_scan"].sql
        self._totals = sql["record_totals"].sql

    def get(self, team_id: str, data_store_id: str, key: str) -> bytes | None:
        """See `Records.get`."""
        row = self._connection.execute(self._get, (team_id, data_store_id, key)).fetchone()
        return None if row is None else row[0]

    def scan(
        self, team_id: str, data_store_id: str, *, after: str = "", limit: int = 1000
    ) -> list[tuple[str, bytes]]:
        """See `Records.scan`."""
        return self._connection.execute(
            self._scan, (team_id, data_store_id, after, limit)
        ).fetchall()

    def count(self, team_id: str, data_store_id: str) -> int:
        """See `Records.count`."""
        return self._total(team_id, data_store_id)[0]

    def size(self, team_id: str, data_store_id: str) -> int:
        """See `Records.size`."""
        return self._total(team_id, data_store_id)[1]

    def _total(self, team_id: str, data_store_id: str) -> tuple[int, int]:
        row = self._connection.execute(self._totals, (team_id, data_store_id)).fetchone()
        return (0, 0) if row is None else row


EVENT = (
    "arrival", "id", "team_id", "scenario_id", "shard", "lane", "kind", "state", "payload",
    "received_at_ms", "due_at_ms", "execution_id", "epoch", "attempts", "origin_id",
)  # fmt: skip
EXECUTION = ExecutionRow.__struct_fields__
SEGMENT = Segment.__struct_fields__


def _named(names: tuple[str, ...], row: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(names, row, strict=True))


def _event(row: tuple[Any, ...]) -> EventRow:
    return EventRow(**_named(EVENT, row))


def _connect(path: Path, *, is_writer: bool) -> sqlite3.Connection:
    mode = "rwc" if is_writer else "ro"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    connection.execute("PRAGMA busy_timeout = 5000")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA mmap_size = 268435456")
    if is_writer:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        # What is deleted is overwritten with zeros: no erased record survives in a free page.
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA cache_size = -16384")
        # 16 MB of journal between two checkpoints: fewer page writes for the same work.
        connection.execute("PRAGMA wal_autocheckpoint = 4096")
        connection.execute("PRAGMA journal_size_limit = 67108864")
    else:
        connection.execute("PRAGMA query_only = ON")
    return connection


def _locked(path: Path) -> sqlite3.Connection:
    """Hold the data for this process alone, until it closes the connection or dies.

    The lock is an exclusive transaction on an empty database beside the real one: SQLite knows how
    to lock a file on every system, and the system lets go of it when the process is killed.
    """
    connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        connection.close()
        raise StorageUnavailable(
            f"Another Millrace process uses {path.parent}. Stop it, or choose another folder."
        ) from error
    return connection
