"""Taking events out of a queue by hand."""

from __future__ import annotations

from pathlib import Path

from millrace.ids import new_id
from millrace.storage.inbox import Inbox
from millrace.storage.sqlite import SqliteStore
from millrace.storage.store import NewEvent


def _event(lane: str) -> NewEvent:
    return NewEvent(
        id=new_id(),
        team_id="t",
        scenario_id="s",
        kind="webhook",
        payload=b"x",
        received_at_ms=1,
        due_at_ms=1,
        lane=lane,
        origin_id="hook",
    )


async def test_the_next_of_a_lane_takes_the_place_of_a_discarded_event(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "millrace.db")
    first, second = _event("lane"), _event("lane")
    await store.accept(first)
    await store.accept(second)
    await store.hold("t", "s")
    await Inbox(store).discard("t", origin_id="hook", event_id=first.id)
    await store.release("t", "s")
    claimed = await store.claim(limit=5, now_ms=10)
    assert [event.id for event in claimed] == [second.id]
    await store.close()
