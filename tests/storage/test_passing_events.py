"""An event that comes and goes within one commit is never in the inbox, and nothing is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from millrace.errors import Conflict
from millrace.ids import new_id
from millrace.storage.sqlite import SqliteStore
from millrace.storage.store import Append, ExecutionRow, Finish, NewEvent, Segment


def _running(store: SqliteStore) -> NewEvent:
    return NewEvent(
        id=new_id(),
        team_id="t",
        scenario_id="s",
        kind="webhook",
        payload=b"sealed",
        received_at_ms=1,
        due_at_ms=1,
        state="running",
        execution_id=new_id(),
        epoch=store.epoch,
    )


def _segment(event: NewEvent, number: int) -> Segment:
    return Segment(
        team_id="t",
        execution_id=event.execution_id or "",
        number=number,
        first_seq=0,
        last_seq=1,
        body=b"sealed",
    )


def _finish(event: NewEvent, segments: list[Segment]) -> Finish:
    row = ExecutionRow(
        team_id="t",
        id=event.execution_id or "",
        scenario_id="s",
        version_id=None,
        event_id=event.id,
        kind="webhook",
        status="success",
        started_at_ms=1,
    )
    return Finish(
        event_id=event.id, epoch=event.epoch, execution=row, segments=segments, is_in_lane=False
    )


async def test_accepted_and_finished_in_one_commit_it_is_in_the_history_alone(
    tmp_path: Path,
) -> None:
    store = SqliteStore.open(tmp_path / "millrace.db")
    event = _running(store)
    append = Append(event_id=event.id, epoch=event.epoch, segments=[_segment(event, 0)])
    await asyncio.gather(
        store.accept(event),
        store.append(append),
        store.finish(_finish(event, [_segment(event, 1)])),
    )
    await store.close()
    again = SqliteStore.open(tmp_path / "millrace.db")
    assert await again.recover() == []
    segments = await again.segments("t", event.execution_id or "")
    assert [segment.number for segment in segments] == [0, 1]
    await again.close()


async def test_when_the_end_is_refused_the_event_stays_in_the_inbox(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "millrace.db")
    event = _running(store)
    twice = [_segment(event, 0), _segment(event, 0)]
    accepted, finished = store.accept(event), store.finish(_finish(event, twice))
    await accepted
    with pytest.raises(Conflict):
        await finished
    await store.close()
    again = SqliteStore.open(tmp_path / "millrace.db")
    assert [found.event.id for found in await again.recover()] == [event.id]
    await again.close()
