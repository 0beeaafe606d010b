"""What the rest of Millrace may ask of a database, written for whoever implements one.

The hot calls (`Store.accept`, `append`, `park`, `finish`) are plain functions that return a future
at once: the caller goes on working and awaits the future only where the table of effects tells it
to wait. What every implementation promises:

1. A future that is done without an exception means: on disk, after the ``fsync``.
2. Everything in one call is written in one transaction, or not at all. Calls of one caller are
   written in the order in which they were made.
3. A call that fails (`LeaseLost`, a constraint) fails alone; its neighbours in the same group
   commit do not notice.
4. `append`, `park` and `finish` are refused with `LeaseLost` unless the event is still held with
   the epoch that the caller got from `claim` or `recover`. Nothing of a refused call is written.
5. A journal record exists once: its key is (execution, number).

Payloads, bodies and summaries arrive sealed; a store never looks into them. Instants are integer
milliseconds since 1970 in UTC: both databases sort and index them alike, and no time zone can slip
in.
"""

from __future__ import annotations

import zlib
from asyncio import Future
from collections.abc import Collection
from typing import Literal, Protocol

import msgspec

from millrace.storage.database import Database

SHARDS = 256
"""Fixed for ever: the shard of a stored event must not change when Millrace is upgraded."""

EventState = Literal["waiting", "queued", "parked", "running", "held"]
"""waiting: may be claimed now | queued: behind another of its lane | parked: until it is due |
running: claimed | held: until somebody releases it (the scenario is off, a quota is used up)."""

EventKind = Literal["manual", "webhook", "mail", "schedule", "call", "retry"]
ExecutionStatus = Literal[
    "running", "waiting", "success", "warning", "error", "incomplete", "stopped"
]
SegmentKind = Literal["records", "checkpoint", "secret"]
"""``secret``: records sealed with a key of the execution alone, which is destroyed at its end."""
IncompleteState = Literal["waiting", "resuming", "resolved", "discarded"]


def shard_of(lane: str) -> int:
    """The shard of a lane, 0 to 255; the same on every machine and in every release."""
    return zlib.crc32(lane.encode()) % SHARDS


class NewEvent(msgspec.Struct, kw_only=True):
    """Something that asks for an execution, before it has a place in the inbox.

    It is accepted as ``waiting`` (the store finds out whether that means queued or parked) or as
    ``held``. An event without a lane that its own process carries out at once may be accepted as
    ``running``, with an `execution_id` and the store's `epoch`: that spares the claim. If the
    process dies, `Store.recover` finds it like any other.
    """

    id: str
    team_id: str
    scenario_id: str | None
    """None: arrived at a webhook that no scenario listens to yet."""

    kind: EventKind
    payload: bytes
    """Sealed."""

    received_at_ms: int
    due_at_ms: int
    lane: str | None = None
    """Events of one lane run one after the other in order of arrival. None: a lane of its own."""

    origin_id: str | None = None
    """The webhook, incomplete execution or calling execution that this event comes from."""

    state: EventState = "waiting"
    execution_id: str | None = None
    epoch: int = 0
    attempts: int = 0
    shard: int = -1
    """Set from the lane; leave it."""

    def __post_init__(self) -> None:
        if self.shard < 0:
            self.shard = shard_of(self.lane or self.id)


class EventRow(NewEvent, kw_only=True):
    """An event in the inbox. A claimed one has an `execution_id` and the holder's `epoch`."""

    arrival: int
    """The order of arrival among the events that wait; not an identity."""


class ExecutionRow(msgspec.Struct, kw_only=True):
    """One execution as the history lists it; the journal has the rest."""

    team_id: str
    id: str
    scenario_id: str
    version_id: str | None
    event_id: str | None
    kind: EventKind
    status: ExecutionStatus
    started_at_ms: int
    finished_at_ms: int | None = None
    duration_ms: int | None = None
    operations: int = 0
    transfer_bytes: int = 0
    cycles: int = 0
    error_type: str | None = None
    error_message: str | None = None
    error_module: str | None = None
    origin_id: str | None = None
    summary: bytes | None = None
    """Sealed: what the history shows without opening the journal."""


class Segment(msgspec.Struct, kw_only=True):
    """A batch of journal records, or a checkpoint; compressed and sealed by the writer of it."""

    team_id: str
    execution_id: str
    number: int
    """0, 1, 2 … within the execution, records and checkpoints together."""

    first_seq: int
    last_seq: int
    kind: SegmentKind = "records"
    body: bytes


class RecordWrite(msgspec.Struct, kw_only=True):
    """A change to a data store that becomes true together with the journal that tells of it."""

    team_id: str
    data_store_id: str
    key: str
    body: bytes | None
    """Sealed; None removes the record."""

    size: int = 0
    """Bytes counted against the data store's limit: those of the record before sealing."""

    written_at_ms: int = 0


class StateWrite(msgspec.Struct, kw_only=True):
    """What a module remembers between executions: a trigger's cursor, a counter."""

    team_id: str
    scenario_id: str
    module: str
    """The module's id, or another name that is unique in the scenario."""

    body: bytes | None
    """Sealed; None forgets."""


class FileUse(msgspec.Struct, kw_only=True):
    """An execution keeps a file: it stays in the blob store as long as anything keeps it."""

    team_id: str
    file_id: str
    execution_id: str
    size_bytes: int
    created_at_ms: int


class IncompleteRow(msgspec.Struct, kw_only=True):
    """A failed execution kept so that it can be resumed."""

    team_id: str
    id: str
    scenario_id: str
    version_id: str | None
    execution_id: str
    created_at_ms: int
    error_type: str
    error_message: str
    error_module: str | None
    """The failed module's id: the place from which it is resumed."""

    body: bytes
    """Sealed: all that resuming needs."""

    size_bytes: int
    state: IncompleteState = "waiting"
    retry_at_ms: int | None = None
    """When it is retried without a person; None: never."""

    attempts: int = 0
    max_attempts: int = 0
    interval_seconds: int = 0
    expires_at_ms: int | None = None


class IncompleteChange(msgspec.Struct, kw_only=True):
    """What a retry made of an incomplete execution. Fields left None stay as they are."""

    team_id: str
    id: str
    state: IncompleteState
    retry_at_ms: int | None = None
    """Always written: None means no further retry by itself."""

    attempts: int | None = None
    error_type: str | None = None
    error_message: str | None = None
    error_module: str | None = None
    body: bytes | None = None


class ScenarioChange(msgspec.Struct, kw_only=True):
    """What an execution changed about its scenario. Fields left None stay as they are."""

    team_id: str
    id: str
    consecutive_errors: int | None = None
    is_active: bool | None = None
    paused_reason: str | None = None


class Append(msgspec.Struct, kw_only=True):
    """A piece of the journal of an execution that goes on, and all that becomes true with it."""

    event_id: str
    epoch: int
    execution: ExecutionRow | None = None
    """Written the first time, and when its counters should be seen before the end."""

    segments: list[Segment] = []
    writes: list[RecordWrite] = []
    states: list[StateWrite] = []
    files: list[FileUse] = []
    incomplete: list[IncompleteRow] = []
    changes: list[IncompleteChange] = []
    scenario: ScenarioChange | None = None
    events: list[NewEvent] = []
    """Events that this execution causes."""


class Finish(Append, kw_only=True):
    """The end of an execution: the event leaves the inbox in the same transaction."""

    is_in_lane: bool = True
    """False spares the look for the next event of the lane."""

    requeue: Requeue | None = None
    """Instead of leaving, the event waits again for a new execution: the cycle was rolled back."""


class Requeue(msgspec.Struct, kw_only=True):
    """Put an event back into the inbox; it keeps its place in its lane."""

    due_at_ms: int
    state: Literal["parked", "held"] = "parked"
    execution_id: str | None = None
    """Kept by an execution that is parked; None starts a new one at the next claim."""


class Recovered(msgspec.Struct, kw_only=True):
    """An event that a dead process was working on, now held by the caller."""

    event: EventRow
    execution: ExecutionRow | None
    """None: nothing had been written about it."""


class Records(Protocol):
    """Quick reads of data-store records, for a driver in the middle of an execution.

    They answer at once (tens of microseconds) and see what is committed. Writes go through
    `Append`.
    """

    def get(self, team_id: str, data_store_id: str, key: str) -> bytes | None:
        """The sealed record, or None."""
        ...

    def scan(
        self, team_id: str, data_store_id: str, *, after: str = "", limit: int = 1000
    ) -> list[tuple[str, bytes]]:
        """Keys and sealed records in order of key, beginning behind `after`."""
        ...

    def count(self, team_id: str, data_store_id: str) -> int:
        """How many records there are."""
        ...

    def size(self, team_id: str, data_store_id: str) -> int:
        """How many bytes they count for."""
        ...


class Store(Database, Protocol):
    """The inbox, the journal and what belongs to them. The promises: at the top of this file."""

    @property
    def epoch(self) -> int:
        """Given by `claim` and `recover` to what they hand out; larger after every start."""
        ...

    @property
    def records(self) -> Records:
        """Data-store records, for reading in the middle of an execution."""
        ...

    def accept(self, event: NewEvent) -> Future[None]:
        """Put an event into the inbox. Done: whoever sent it may be told "accepted"."""
        ...

    def append(self, append: Append) -> Future[None]:
        """Write a piece of journal.

        Raises (through the future):
            LeaseLost: the event is held by another epoch, or gone.
            Conflict: a segment with this number exists already.
        """
        ...

    def park(self, append: Append, until: Requeue) -> Future[None]:
        """Write a piece of journal and let go of the event until it is due again."""
        ...

    def finish(self, finish: Finish) -> Future[None]:
        """Write the end of an execution; the event leaves the inbox (or is requeued)."""
        ...

    async def claim(self, *, limit: int, now_ms: int, skip: Collection[str] = ()) -> list[EventRow]:
        """Take due events, at most one of each lane; teams take turns, then their scenarios.

        A taken event is running, has this store's epoch, one more attempt, and an execution id
        (its own from before, if it was parked). Whoever takes it must look whether its scenario
        is still active, and requeue it as held otherwise.

        Args:
            limit: At most so many; fewer only if no more are due.
            now_ms: Parked events due until then are taken too.
            skip: Scenarios that already have all the executions they may have.
        """
        ...

    async def next_due(self) -> int | None:
        """When there is something to claim, in milliseconds: 0 for now, None for never."""
        ...

    async def recover(self) -> list[Recovered]:
        """Take over the events that an earlier epoch left running. Called once, before `claim`."""
        ...

    def hold(self, team_id: str, scenario_id: str) -> Future[None]:
        """Keep the scenario's waiting events from being claimed; those running go on."""
        ...

    def release(self, team_id: str, scenario_id: str) -> Future[None]:
        """Let the scenario's held events be claimed again, in their order."""
        ...

    async def waiting(self, team_id: str, scenario_id: str) -> dict[EventState, int]:
        """How many events of the scenario are in the inbox, by state."""
        ...

    async def segments(self, team_id: str, execution_id: str, *, after: int = -1) -> list[Segment]:
        """The journal in order, beginning behind the segment `after`."""
        ...

    async def checkpoint(self, team_id: str, execution_id: str) -> Segment | None:
        """The last checkpoint; replaying begins behind its number."""
        ...

    async def state(self, team_id: str, scenario_id: str) -> dict[str, bytes]:
        """What the modules of a scenario remember: module → sealed body."""
        ...

    async def scrub(self) -> None:
        """Make sure that what was deleted is no more on the disk. Called after a purge."""
        ...

    async def close(self) -> None:
        """Write what is queued, then let go of the database."""
        ...
