"""Scenarios that start by the clock."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from millrace.storage.scenarios import Scenarios

from .desks import desk_fixture, scenario  # noqa: F401 - a fixture

ONE = """{id: 1, module: "json:parse", parameters: {json: '{"n": 1}'}}"""
SLEEP = '{id: 2, module: "tools:sleep", parameters: {duration: 300}}'


@pytest.fixture
def due(desk):
    """Starts what is due; answers how many scenarios that were."""
    return desk.runtime.schedules.start_due


async def next_due(desk, id):
    row = await desk.runtime.scenarios.get(id, by=desk.owner)
    at_ms = row.next_due_at_ms
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%d %H:%M")


async def test_an_interval_starts_at_once_and_then_again_and_again(desk, due):
    id = await desk.scenario(scenario(ONE, schedule="{every: 15 minutes}"))
    assert await due() == 1
    await desk.executions(1)
    assert await next_due(desk, id) == "21 12:15"
    await desk.later(minutes=14)
    assert await due() == 0
    await desk.later(minutes=1)
    assert await due() == 1
    rows = await desk.executions(2)
    assert [row.kind for row in rows] == ["schedule", "schedule"]


async def test_what_was_missed_is_made_up_for_once_and_the_rhythm_stays(desk, due):
    id = await desk.scenario(scenario(ONE, schedule="{every: 15 minutes}"))
    await due()
    await desk.executions(1)
    await desk.later(hours=5, minutes=7)
    assert await due() == 1
    assert await due() == 0
    await desk.executions(2)
    assert await next_due(desk, id) == "21 17:15"


async def test_a_start_that_was_interrupted_is_not_doubled(desk, due):
    id = await desk.scenario(scenario(ONE, SLEEP, schedule="{every: 15 minutes}"))
    row = await desk.runtime.scenarios.get(id, by=desk.owner)
    await due()
    await desk.parked()
    # As if the process had died between putting the event and planning the next start.
    rows = Scenarios(desk.runtime.store)
    await rows.change(row.team_id, id, next_due_at_ms=row.next_due_at_ms)
    assert await due() == 1
    assert await next_due(desk, id) == "21 12:15"
    await desk.later(seconds=301)
    await desk.executions(1)


async def test_starts_never_overlap(desk, due):
    id = await desk.scenario(scenario(ONE, SLEEP, schedule="{every: 1 minute}"))
    await due()
    await desk.parked()
    for _ in range(3):
        await desk.later(seconds=60)
        await due()
    assert await desk.waiting(id) == {"parked": 1}
    await desk.later(seconds=121)
    await desk.executions(1)
    await due()
    await desk.parked()
    assert len(await desk.runtime.history.page(by=desk.owner)) == 2


async def test_a_scenario_that_was_switched_off_does_not_start(desk, due):
    id = await desk.scenario(scenario(ONE, schedule='{daily: "13:00"}'))
    assert await next_due(desk, id) == "21 13:00"
    await desk.runtime.scenarios.deactivate(id, by=desk.owner)
    await desk.later(days=2)
    assert await due() == 0
    await desk.runtime.scenarios.activate(id, by=desk.owner)
    assert await next_due(desk, id) == "23 13:00"


async def test_once_is_once(desk, due):
    id = await desk.scenario(scenario(ONE, schedule='{once: "2026-11-21T12:30:00Z"}'))
    await desk.later(minutes=31)
    assert await due() == 1
    await desk.executions(1)
    assert await next_due(desk, id) is None
    await desk.later(days=400)
    assert await due() == 0


async def test_one_that_cannot_start_does_not_keep_others_waiting(desk, due):
    first = await desk.scenario(scenario(ONE, schedule="{every: 15 minutes}"))
    second = await desk.scenario(scenario(ONE, schedule="{every: 15 minutes}"))
    rows = Scenarios(desk.runtime.store)
    await rows.change(desk.owner.team_id, first, published_version_id=None)
    desk.runtime.programs.forget(desk.owner.team_id, first)
    await due()
    (row,) = await desk.executions(1)
    assert row.scenario_id == second
    assert await next_due(desk, first) is None


async def test_an_ordered_schedule_waits_for_an_open_failure_and_then_starts_once(desk, due):
    fail = '{id: 3, module: "desk:act", parameters: {value: "{{1.n}}", fail: DataError}}'
    id = await desk.scenario(
        scenario(ONE, fail, schedule="{every: 15 minutes}", settings="{sequential: true}")
    )
    await due()
    await desk.executions(1)
    for _ in range(4):
        await desk.later(minutes=15)
        await due()
    await desk.executions(1)
    assert await desk.waiting(id) == {"held": 1}
    (kept,) = await desk.kept()
    await desk.runtime.incomplete.resolve(kept.id, by=desk.owner)
    await desk.executions(2)
