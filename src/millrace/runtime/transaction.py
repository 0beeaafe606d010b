"""The data stores as one execution sees them: what is committed, and its own writes on top.

Writes are gathered here and become true together with the journal that tells of them. What another
execution has handed to the writer, but the disk has not confirmed yet, is seen as well: otherwise
two executions could both find a key free within one commit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from millrace.errors import InvalidConfigurationError, OutOfSpaceError
from millrace.runtime.journal import Sealer, decode, encode
from millrace.storage.store import Records, RecordWrite


class StoreInfo:
    """What is known of a data store besides its records."""

    __slots__ = ("id", "is_strict", "max_bytes", "structure")

    def __init__(
        self, *, id: str, structure: list[dict[str, Any]] | None, is_strict: bool, max_bytes: int
    ) -> None:
        self.id = id
        self.structure = structure
        self.is_strict = is_strict
        self.max_bytes = max_bytes


class InFlight:
    """Writes of all executions that the disk has not confirmed yet; one per process."""

    def __init__(self) -> None:
        self._bodies: dict[tuple[str, str, str], tuple[int, bytes | None]] = {}
        self._serial = 0

    def add(self, writes: list[RecordWrite]) -> int:
        """Writes have been handed to the writer; answers the mark to take them away with."""
        self._serial += 1
        for write in writes:
            key = (write.team_id, write.data_store_id, write.key)
            self._bodies[key] = (self._serial, write.body)
        return self._serial

    def remove(self, writes: list[RecordWrite], serial: int) -> None:
        """They are on disk (or were refused); younger writes of the same keys stay."""
        for write in writes:
            key = (write.team_id, write.data_store_id, write.key)
            found = self._bodies.get(key)
            if found is not None and found[0] == serial:
                del self._bodies[key]

    def find(self, team_id: str, store_id: str, key: str) -> tuple[bool, bytes | None]:
        """(whether there is a write, its body)."""
        found = self._bodies.get((team_id, store_id, key))
        return (False, None) if found is None else (True, found[1])

    def of_store(self, team_id: str, store_id: str) -> dict[str, bytes | None]:
        """Every write to one data store."""
        if not self._bodies:
            return {}
        return {
            key: body
            for (team, store, key), (_, body) in self._bodies.items()
            if team == team_id and store == store_id
        }


class Transaction:
    """The uncommitted writes of one execution's cycle, over all data stores."""

    def __init__(
        self, *, team_id: str, records: Records, in_flight: InFlight, sealer: Sealer
    ) -> None:
        self.team_id = team_id
        self.records = records
        self.in_flight = in_flight
        self.sealer = sealer
        self.writes: dict[tuple[str, str], RecordWrite] = {}
        self.growth: dict[str, int] = {}
        """By data store: bytes by which the writes change it."""
        self._saved: tuple[dict[tuple[str, str], RecordWrite], dict[str, int]] | None = None

    def save(self) -> None:
        """Remember the writes as they are before an operation that may write."""
        self._saved = dict(self.writes), dict(self.growth)

    def undo(self) -> None:
        """Forget what the operation wrote: it failed."""
        if self._saved is not None:
            self.writes, self.growth = self._saved
            self._saved = None

    def done(self) -> None:
        """The operation has succeeded."""
        self._saved = None

    def take(self) -> list[RecordWrite]:
        """The writes, which are no longer ours: they are about to become true."""
        writes = list(self.writes.values())
        self.rollback()
        return writes

    def restore(self, write: RecordWrite) -> None:
        """Put back a write of before a restart; what it replaces is counted as nothing."""
        self.writes[write.data_store_id, write.key] = write
        grown = self.growth.get(write.data_store_id, 0) + (write.size if write.body else 0)
        self.growth[write.data_store_id] = grown

    def rollback(self) -> None:
        """Forget the writes."""
        self.writes, self.growth = {}, {}


class RecordsView:
    """One data store inside a transaction; what an app's function gets as ``call.records``."""

    __slots__ = ("_info", "_now_ms", "_transaction")

    def __init__(self, transaction: Transaction, info: StoreInfo, now_ms: int) -> None:
        self._transaction = transaction
        self._info = info
        self._now_ms = now_ms

    @property
    def structure(self) -> list[dict[str, Any]] | None:
        """Declared fields; None when any key is allowed."""
        return self._info.structure

    @property
    def is_strict(self) -> bool:
        """Whether keys outside the structure are refused."""
        return self._info.is_strict

    def get(self, key: str) -> dict[str, Any] | None:
        """A record, with this execution's own writes."""
        found, body = self._overlaid(key)
        if not found:
            t = self._transaction
            body = t.records.get(t.team_id, self._info.id, key)
        return None if body is None else self._open(key, body)

    def put(self, key: str, data: dict[str, Any]) -> None:
        """Write a record.

        Raises:
            OutOfSpaceError: the data store is full.
        """
        plain = encode(data)
        t, info = self._transaction, self._info
        if info.max_bytes:
            used = t.records.size(t.team_id, info.id) + t.growth.get(info.id, 0)
            if used + len(plain) - self._size(key) > info.max_bytes:
                raise OutOfSpaceError(
                    f"the data store is full ({info.max_bytes} bytes); delete records or enlarge it"
                )
        self._write(key, t.sealer.seal(plain, self._context(key)), len(plain))

    def remove(self, key: str) -> bool:
        """Remove a record; whether there was one."""
        if self.get(key) is None:
            return False
        self._write(key, None, 0)
        return True

    def scan(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every record in order of its key."""
        t, store = self._transaction, self._info.id
        overlay = t.in_flight.of_store(t.team_id, store)
        overlay.update((w.key, w.body) for (s, _), w in t.writes.items() if s == store)
        pending = sorted(overlay)
        for key, body in self._stored():
            while pending and pending[0] < key:
                yield from self._one(pending.pop(0), overlay)
            if key in overlay:
                if pending and pending[0] == key:
                    pending.pop(0)
                yield from self._one(key, overlay)
            else:
                yield key, self._open(key, body)
        for key in pending:
            yield from self._one(key, overlay)

    def count(self) -> int:
        """How many records there are."""
        return sum(1 for _ in self.scan())

    def clear(self) -> int:
        """Remove every record; how many there were."""
        keys = [key for key, _ in self.scan()]
        for key in keys:
            self._write(key, None, 0)
        return len(keys)

    def _stored(self) -> Iterator[tuple[str, bytes]]:
        t, after = self._transaction, ""
        while page := t.records.scan(t.team_id, self._info.id, after=after, limit=1000):
            yield from page
            after = page[-1][0]

    def _size(self, key: str) -> int:
        """Bytes that the record counts for now, in this execution's eyes."""
        t = self._transaction
        own = t.writes.get((self._info.id, key))
        if own is not None:
            return own.size
        body = t.records.get(t.team_id, self._info.id, key)
        return 0 if body is None else len(t.sealer.open(body, self._context(key)))

    def _one(
        self, key: str, overlay: dict[str, bytes | None]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        body = overlay[key]
        if body is not None:
            yield key, self._open(key, body)

    def _overlaid(self, key: str) -> tuple[bool, bytes | None]:
        t = self._transaction
        own = t.writes.get((self._info.id, key))
        if own is not None:
            return True, own.body
        return t.in_flight.find(t.team_id, self._info.id, key)

    def _write(self, key: str, body: bytes | None, size: int) -> None:
        t = self._transaction
        if self._info.max_bytes:
            grown = t.growth.get(self._info.id, 0)
            t.growth[self._info.id] = grown + size - self._size(key)
        t.writes[self._info.id, key] = RecordWrite(
            team_id=t.team_id,
            data_store_id=self._info.id,
            key=key,
            body=body,
            size=size,
            written_at_ms=self._now_ms,
        )

    def _open(self, key: str, body: bytes) -> dict[str, Any]:
        return decode(self._transaction.sealer.open(body, self._context(key)))

    def _context(self, key: str) -> bytes:
        return record_context(self._info.id, key)


def record_context(store_id: str, key: str) -> bytes:
    """What a record's seal is bound to."""
    return f"record|{store_id}|{key}".encode()


def missing_store(name: str) -> InvalidConfigurationError:
    """What a module is told that names a data store which is not there."""
    return InvalidConfigurationError(
        f"there is no data store {name!r} in this team. Create it, or choose another"
        if name
        else "no data store is chosen. Choose one in the module's settings"
    )
