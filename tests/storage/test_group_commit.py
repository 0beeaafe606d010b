from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from millrace.errors import Conflict, LeaseLost, StorageUnavailable
from millrace.storage.sqlite import SqliteStore
from millrace.storage.store import Append, Finish

from . import rows


async def test_what_was_awaited_is_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "millrace.db"
    first = SqliteStore.open(path)
    accepted = rows.event()
    await first.accept(accepted)
    await first.close()

    second = SqliteStore.open(path)
    [claimed] = await second.claim(limit=10, now_ms=rows.NOW)
    await second.close()
    assert (claimed.id, claimed.payload) == (accepted.id, b"sealed")


async def test_a_write_that_fails_fails_alone(store: SqliteStore) -> None:
    twice = rows.event()
    good = [rows.event() for _ in range(20)]
    results = await asyncio.gather(
        *map(store.accept, [*good[:10], twice, twice, *good[10:]]), return_exceptions=True
    )
    refused = [result for result in results if result is not None]
    assert len(refused) == 1
    assert isinstance(refused[0], Conflict)
    assert len(await store.claim(limit=100, now_ms=rows.NOW)) == 21


async def test_a_refused_append_writes_nothing_at_all(store: SqliteStore) -> None:
    await store.accept(rows.event())
    [held] = await store.claim(limit=1, now_ms=rows.NOW)
    late = Append(
        event_id=held.id,
        epoch=held.epoch - 1,
        execution=rows.execution(held.execution_id),
        segments=[rows.segment(held.execution_id)],
        events=[rows.event()],
    )
    neighbour = rows.event()
    result, other = await asyncio.gather(
        store.append(late), store.accept(neighbour), return_exceptions=True
    )
    assert isinstance(result, LeaseLost)
    assert other is None
    assert held.execution_id is not None
    assert await store.segments(rows.TEAM, held.execution_id) == []
    assert [e.id for e in await store.claim(limit=9, now_ms=rows.NOW)] == [neighbour.id]


async def test_an_event_can_be_finished_only_once(store: SqliteStore) -> None:
    await store.accept(rows.event())
    [held] = await store.claim(limit=1, now_ms=rows.NOW)
    done = Finish(event_id=held.id, epoch=held.epoch)
    results = await asyncio.gather(store.finish(done), store.finish(done), return_exceptions=True)
    assert results[0] is None
    assert isinstance(results[1], LeaseLost)


async def test_a_journal_record_exists_once(store: SqliteStore) -> None:
    await store.accept(rows.event())
    [held] = await store.claim(limit=1, now_ms=rows.NOW)
    piece = Append(
        event_id=held.id, epoch=held.epoch, segments=[rows.segment(held.execution_id, 0)]
    )
    await store.append(piece)
    with pytest.raises(Conflict):
        await store.append(piece)
    assert held.execution_id is not None
    assert [s.number for s in await store.segments(rows.TEAM, held.execution_id)] == [0]


async def test_more_writes_than_a_batch_holds_are_all_written(store: SqliteStore) -> None:
    await asyncio.gather(*(store.accept(rows.event()) for _ in range(1300)))
    assert len(await store.claim(limit=2000, now_ms=rows.NOW)) == 1300


async def test_closing_writes_what_is_queued_and_refuses_what_comes_later(tmp_path: Path) -> None:
    path = tmp_path / "millrace.db"
    store = SqliteStore.open(path)
    queued = store.accept(rows.event())
    await store.close()
    assert queued.result() is None
    with pytest.raises(StorageUnavailable):
        await store.accept(rows.event())
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (1,)
    connection.close()


async def test_a_value_that_no_column_takes_is_told_to_its_caller_only(store: SqliteStore) -> None:
    results = await asyncio.gather(
        store.accept(rows.event()),
        store.accept(rows.event(due_at_ms=2**70)),
        return_exceptions=True,
    )
    assert results[0] is None
    assert isinstance(results[1], OverflowError)


async def test_a_second_process_cannot_use_the_same_data(
    store: SqliteStore, tmp_path: Path
) -> None:
    with pytest.raises(StorageUnavailable, match="Another Millrace process"):
        SqliteStore.open(tmp_path / "millrace.db")
