from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
from collections import defaultdict
from pathlib import Path

import millrace
from millrace.storage.sqlite import SqliteStore

SOURCE = Path(millrace.__file__).parents[1]


async def acknowledged_until_killed(path: Path) -> dict[str, set[str]]:
    """Start the endless writer, kill it in the middle, and answer what it was told."""
    writer = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("endless_writer.py")),
        str(SOURCE),
        str(path),
        stdout=asyncio.subprocess.PIPE,
    )
    assert writer.stdout is not None
    told: defaultdict[str, set[str]] = defaultdict(set)
    async for line in writer.stdout:
        word, _, id = line.decode().strip().partition(" ")
        told[word].add(id)
        if len(told["finished"]) == 200:
            break
    writer.kill()
    with contextlib.suppress(ValueError):  # a line that was cut in half by the kill
        for line in (await writer.stdout.read()).decode().splitlines(keepends=True):
            if line.endswith("\n"):
                word, id = line.split()
                told[word].add(id)
    await writer.wait()
    return told


async def test_a_killed_process_has_lost_nothing_it_was_told_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "millrace.db"
    told = await acknowledged_until_killed(path)
    store = SqliteStore.open(path)
    recovered = {found.event.id: found for found in await store.recover()}
    await store.close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        kept = dict(connection.execute("SELECT id, status FROM executions").fetchall())
        numbers: defaultdict[str, list[int]] = defaultdict(list)
        for id, number in connection.execute("SELECT execution_id, number FROM segments"):
            numbers[id].append(number)

    assert len(told["finished"]) >= 200
    for id in told["finished"]:
        assert kept[id] == "success"
        assert numbers[id] == [0, 1]
        assert id not in recovered
    for id in told["appended"] - told["finished"]:
        assert 0 in numbers[id]
    for id in told["accepted"] - told["finished"]:
        # Either it waits to be recovered, or its end was written and only the answer was lost.
        assert (id in recovered) != (kept.get(id) == "success")
    for id, found in recovered.items():
        assert (found.execution is not None) == (numbers[id] == [0])
