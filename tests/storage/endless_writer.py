"""Run by a test and killed by it: accepts, claims, appends and finishes without end.

Prints what was acknowledged: ``accepted <id>``, ``appended <id>``, ``finished <id>``.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path[:0] = [sys.argv[1], str(Path(__file__).parent)]

import rows  # noqa: E402 - the path is known only now

from millrace.storage.sqlite import SqliteStore  # noqa: E402
from millrace.storage.store import Append, Finish  # noqa: E402


def say(word: str, id: str) -> None:
    sys.stdout.write(f"{word} {id}\n")
    sys.stdout.flush()


async def work(store: SqliteStore) -> None:
    while True:
        event = rows.event(state="running", epoch=store.epoch)
        event.execution_id = event.id
        await store.accept(event)
        say("accepted", event.id)
        await store.append(
            Append(
                event_id=event.id,
                epoch=store.epoch,
                execution=rows.execution(event.id),
                segments=[rows.segment(event.id, 0)],
            )
        )
        say("appended", event.id)
        await store.finish(
            Finish(
                event_id=event.id,
                epoch=store.epoch,
                execution=rows.execution(event.id, status="success", finished_at_ms=rows.NOW),
                segments=[rows.segment(event.id, 1)],
            )
        )
        say("finished", event.id)


async def main() -> None:
    store = SqliteStore.open(Path(sys.argv[2]))
    await asyncio.gather(*(work(store) for _ in range(16)))


asyncio.run(main())
