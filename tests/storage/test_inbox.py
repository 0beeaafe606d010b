from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from millrace.errors import LeaseLost
from millrace.storage.sqlite import SqliteStore
from millrace.storage.store import Append, EventRow, Finish, Requeue

from . import rows

OTHER_TEAM = "33333333333333333333333333333333"


async def claim(store: SqliteStore, *, limit: int = 100, later_ms: int = 0) -> list[EventRow]:
    return await store.claim(limit=limit, now_ms=rows.NOW + later_ms)


async def finish(store: SqliteStore, event: EventRow, **more: Any) -> None:
    await store.finish(Finish(event_id=event.id, epoch=event.epoch, **more))


async def test_a_lane_gives_one_event_at_a_time_in_order_of_arrival(store: SqliteStore) -> None:
    arrived = [rows.event(lane="scenario-1") for _ in range(3)]
    arrived.reverse()  # the order of the ids is not the order of arrival
    for event in arrived:
        await store.accept(event)
    alone = rows.event()
    await store.accept(alone)

    first = await claim(store)
    assert {e.id for e in first} == {arrived[0].id, alone.id}
    assert await claim(store) == []
    await finish(store, next(e for e in first if e.lane))
    [second] = await claim(store)
    assert second.id == arrived[1].id
    await finish(store, second)
    [third] = await claim(store)
    assert third.id == arrived[2].id


async def test_a_parked_event_keeps_its_lane_waiting(store: SqliteStore) -> None:
    head, next_one = rows.event(lane="a"), rows.event(lane="a")
    await store.accept(head)
    await store.accept(next_one)
    [held] = await claim(store)
    await store.park(
        Append(event_id=held.id, epoch=held.epoch, segments=[rows.segment(held.execution_id)]),
        Requeue(due_at_ms=rows.NOW + 1000, execution_id=held.execution_id),
    )
    assert await claim(store) == []
    assert await store.next_due() == rows.NOW + 1000
    [again] = await claim(store, later_ms=1000)
    assert (again.id, again.execution_id, again.attempts) == (head.id, held.execution_id, 2)


async def test_an_event_is_not_claimed_before_it_is_due(store: SqliteStore) -> None:
    later = rows.event(due_at_ms=rows.NOW + 60_000)
    await store.accept(later)
    assert await store.next_due() == rows.NOW + 60_000
    assert await claim(store, later_ms=59_999) == []
    assert [e.id for e in await claim(store, later_ms=60_000)] == [later.id]
    assert await store.next_due() is None


async def test_one_teams_flood_does_not_keep_another_waiting(store: SqliteStore) -> None:
    for _ in range(300):
        store.accept(rows.event())
    single = rows.event(team_id=OTHER_TEAM)
    small = rows.event(scenario_id="another scenario of the flooding team")
    store.accept(single)
    await store.accept(small)
    taken = await claim(store, limit=20)
    assert {single.id, small.id} <= {e.id for e in taken}
    assert len(taken) == 20


async def test_more_scenarios_than_a_claim_takes_all_get_their_turn(store: SqliteStore) -> None:
    for number in range(30):
        store.accept(rows.event(scenario_id=f"scenario {number}"))
        await store.accept(rows.event(scenario_id=f"scenario {number}"))
    seen: list[str | None] = []
    for _ in range(6):
        seen += [e.scenario_id for e in await claim(store, limit=5)]
    assert len(set(seen)) == 30


async def test_scenarios_at_their_limit_are_passed_over(store: SqliteStore) -> None:
    busy, free = rows.event(scenario_id="busy"), rows.event(scenario_id="free")
    await store.accept(busy)
    await store.accept(free)
    taken = await store.claim(limit=10, now_ms=rows.NOW, skip={"busy"})
    assert [e.id for e in taken] == [free.id]


async def test_held_events_wait_for_their_release_and_keep_their_order(
    store: SqliteStore,
) -> None:
    first, second = rows.event(lane="a"), rows.event(lane="a", state="held")
    alone = rows.event(state="held")
    for event in (first, second, alone):
        await store.accept(event)
    await store.hold(rows.TEAM, rows.SCENARIO)
    assert await claim(store) == []
    assert await store.waiting(rows.TEAM, rows.SCENARIO) == {"held": 3}

    await store.release(rows.TEAM, rows.SCENARIO)
    assert await store.waiting(rows.TEAM, rows.SCENARIO) == {"parked": 2, "queued": 1}
    assert [e.id for e in await claim(store)] == [first.id, alone.id]


async def test_a_rolled_back_event_goes_back_to_its_place(store: SqliteStore) -> None:
    first, second = rows.event(lane="a"), rows.event(lane="a")
    await store.accept(first)
    await store.accept(second)
    [held] = await claim(store)
    await finish(store, held, requeue=Requeue(due_at_ms=rows.NOW))
    [again] = await claim(store)
    assert again.id == first.id
    assert again.execution_id != held.execution_id


async def test_a_lost_lease_is_refused_and_what_was_running_is_recovered(tmp_path: Path) -> None:
    path = tmp_path / "millrace.db"
    before = SqliteStore.open(path)
    at_once = rows.event(state="running", execution_id="0" * 32, epoch=before.epoch)
    await before.accept(at_once)
    await before.accept(rows.event())
    [held] = await claim(before)
    await before.append(
        Append(
            event_id=held.id,
            epoch=held.epoch,
            execution=rows.execution(held.execution_id, operations=3),
            segments=[
                rows.segment(held.execution_id, 0),
                rows.segment(held.execution_id, 1, kind="checkpoint"),
                rows.segment(held.execution_id, 2),
            ],
        )
    )
    await before.close()

    after = SqliteStore.open(path)
    recovered = {found.event.id: found for found in await after.recover()}
    assert set(recovered) == {at_once.id, held.id}
    assert recovered[at_once.id].execution is None
    assert recovered[at_once.id].event.execution_id == "0" * 32
    found = recovered[held.id]
    assert found.execution is not None
    assert found.execution.operations == 3
    checkpoint = await after.checkpoint(rows.TEAM, found.execution.id)
    assert checkpoint is not None
    since = await after.segments(rows.TEAM, found.execution.id, after=checkpoint.number)
    assert (checkpoint.number, [s.number for s in since]) == (1, [2])
    assert await after.recover() == []
    with pytest.raises(LeaseLost):
        await finish(after, held)
    await finish(after, found.event)
    await after.close()


async def test_an_event_with_a_lane_cannot_be_accepted_as_running(store: SqliteStore) -> None:
    with pytest.raises(ValueError, match="lane"):
        store.accept(rows.event(lane="a", state="running"))


async def test_the_end_of_an_execution_is_written_as_one(store: SqliteStore) -> None:
    await store.accept(rows.event())
    [held] = await claim(store)
    caused = rows.event(kind="call", origin_id=held.execution_id)
    await finish(
        store,
        held,
        execution=rows.execution(held.execution_id, status="success"),
        segments=[rows.segment(held.execution_id)],
        events=[caused],
    )
    [next_one] = await claim(store)
    assert (next_one.id, next_one.origin_id) == (caused.id, held.execution_id)
    assert await store.waiting(rows.TEAM, rows.SCENARIO) == {"running": 1}
