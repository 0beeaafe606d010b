from __future__ import annotations

import asyncio
import gc
import shutil
from pathlib import Path
from typing import Any

import pytest

from millrace.errors import StorageUnavailable
from millrace.storage.executions import Executions
from millrace.storage.sqlite import SqliteStore
from millrace.storage.store import Finish, shard_of

from . import rows

MARKER = b"mk9Zq7-a-marker-that-must-not-be-found-after-a-purge"


async def pragma(store: SqliteStore, text: str) -> Any:
    """Ask the connection that writes."""
    return await store.write(
        lambda connection: connection.exec_driver_sql(f"PRAGMA {text}").scalar()
    )


def found_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir() if MARKER in file.read_bytes())


async def test_what_was_deleted_is_not_on_the_disk_after_a_scrub(
    store: SqliteStore, tmp_path: Path
) -> None:
    for number in range(30):
        id = f"{number:032x}"
        event = rows.event(payload=MARKER, state="running", epoch=store.epoch, execution_id=id)
        store.accept(event)
        await store.finish(
            Finish(
                event_id=event.id,
                epoch=store.epoch,
                execution=rows.execution(id, finished_at_ms=rows.NOW, summary=MARKER),
                segments=[rows.segment(id, body=MARKER * 100)],
            )
        )
    assert found_in(tmp_path) != []
    assert await Executions(store).forget(rows.TEAM, before_id="f") == 30
    await store.scrub()
    assert found_in(tmp_path) == []


async def test_writes_go_on_around_a_scrub(store: SqliteStore) -> None:
    writes = [store.accept(rows.event()) for _ in range(600)]
    scrub = asyncio.ensure_future(store.scrub())
    await asyncio.sleep(0)
    writes += [store.accept(rows.event()) for _ in range(600)]
    await asyncio.gather(scrub, *writes)
    assert await store.waiting(rows.TEAM, rows.SCENARIO) == {"waiting": 1200}


async def test_a_full_disk_is_told_and_writing_goes_on_when_there_is_room(
    store: SqliteStore,
) -> None:
    pages = await pragma(store, "page_count")
    await pragma(store, f"max_page_count = {pages + 20}")
    results = await asyncio.gather(
        *(store.accept(rows.event(payload=bytes(20_000))) for _ in range(50)),
        return_exceptions=True,
    )
    kept = [result for result in results if result is None]
    refused = [result for result in results if result is not None]
    assert {type(error) for error in refused} == {StorageUnavailable}
    assert "has room" in str(refused[0])
    await pragma(store, "max_page_count = 1000000")
    await store.accept(rows.event())
    [waiting] = (await store.waiting(rows.TEAM, rows.SCENARIO)).values()
    assert waiting == len(kept) + 1


async def test_a_large_payload_is_kept_whole(store: SqliteStore) -> None:
    payload = bytes(range(256)) * 20_000
    await store.accept(rows.event(payload=payload))
    [event] = await store.claim(limit=1, now_ms=rows.NOW)
    assert event.payload == payload


def test_each_start_has_a_larger_epoch(tmp_path: Path) -> None:
    async def epoch() -> int:
        store = SqliteStore.open(tmp_path / "millrace.db")
        await store.close()
        return store.epoch

    assert [asyncio.run(epoch()) for _ in range(3)] == [1, 2, 3]


async def test_the_files_are_durable_and_wipe_what_they_delete(store: SqliteStore) -> None:
    assert await pragma(store, "journal_mode") == "wal"
    assert await pragma(store, "synchronous") == 2
    assert await pragma(store, "secure_delete") == 1
    assert await pragma(store, "foreign_keys") == 1


async def test_a_reader_cannot_write(store: SqliteStore) -> None:
    with pytest.raises(StorageUnavailable, match="readonly"):
        await store.read(lambda connection: connection.exec_driver_sql("DELETE FROM events"))


def test_the_shard_of_a_lane_never_changes() -> None:
    assert [shard_of(lane) for lane in ("", "a", "scenario-1", "ü")] == [0, 67, 250, 213]
    assert rows.event(lane="a").shard == 67


async def test_a_closed_store_leaves_nothing_to_complain_about(
    tmp_path: Path, migrated: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "millrace.db"
    shutil.copyfile(migrated, path)
    store = SqliteStore.open(path)
    await Executions(store).page(rows.TEAM)
    await Executions(store).forget(rows.TEAM, before_id="f")
    await store.close()
    del store
    gc.collect()
    assert [record.message for record in caplog.records if record.name.startswith("sql")] == []
