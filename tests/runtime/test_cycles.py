"""Cycles, cursors, transactions and what outlives an execution."""

from __future__ import annotations

import asyncio

import pytest

from millrace.clock import SystemClock
from millrace.engine import Limits

from .desks import desk_at, desk_fixture, scenario  # noqa: F401 - a fixture

WATCH = '{id: 1, module: "desk:watch", parameters: {limit: 10}}'


def fail_at(id: int) -> str:
    told = f"{{{{if(1.id = {id}; 'DataError'; '')}}}}"
    return f'{{id: 3, module: "desk:act", parameters: {{fail: "{told}"}}}}'


def store(id: str, key: str, data: str = "{n: 1}") -> str:
    return (
        f'{{id: {id}, module: "data-store:add", data_store: kept, '
        f'parameters: {{key: "{key}", data: {data}, overwrite: true}}}}'
    )


async def test_t8_ten_cycles_of_ten_records_give_all_hundred(desk):
    kept = await desk.runtime.data_stores.create(by=desk.owner, name="kept")
    id = await desk.scenario(scenario(WATCH, store("2", "{{1.id}}"), settings="{cycles: 10}"))
    outcome = await desk.run(id, cycles=None)
    assert (outcome.row.status, outcome.row.cycles) == ("success", 10)
    assert outcome.row.operations == 10 + 100
    assert len(await desk.runtime.data_stores.records(kept.id, by=desk.owner, limit=500)) == 100
    # The cursor is at the last record: there is nothing new.
    outcome = await desk.run(id, cycles=None)
    assert (outcome.row.operations, outcome.row.status) == (1, "success")


async def test_t8_one_cycle_gives_ten_records_and_the_next_execution_the_next_ten(desk):
    id = await desk.scenario(scenario(WATCH))
    for first in (1, 11):
        outcome = await desk.run(id)
        details = await desk.runtime.history.get(outcome.row.id, by=desk.owner)
        given = [bundle["id"] for bundle in details.operations[0].output]
        assert given == list(range(first, first + 10))


async def test_t9_an_error_in_the_third_cycle_leaves_two_cycles_and_the_cursor_behind_them(desk):
    kept = await desk.runtime.data_stores.create(by=desk.owner, name="kept")
    settings = "{cycles: 10, auto_commit: false, keep_incomplete: none}"
    id = await desk.scenario(
        scenario(
            WATCH,
            store("2", "{{1.id}}"),
            fail_at(25),
            settings=settings,
        )
    )
    outcome = await desk.run(id, cycles=None)
    assert (outcome.row.status, outcome.row.error_type) == ("error", "DataError")
    keys = [
        r.key for r in await desk.runtime.data_stores.records(kept.id, by=desk.owner, limit=500)
    ]
    assert sorted(map(int, keys)) == list(range(1, 21))
    outcome = await desk.run(id)
    details = await desk.runtime.history.get(outcome.row.id, by=desk.owner)
    assert details.operations[0].output[0] == {"id": 21}


@pytest.mark.parametrize(("auto_commit", "remains"), [("true", {"n": 1}), ("false", None)])
async def test_t10_a_write_before_a_failing_module_stays_with_auto_commit_only(
    desk, auto_commit, remains
):
    kept = await desk.runtime.data_stores.create(by=desk.owner, name="kept")
    settings = f"{{auto_commit: {auto_commit}, keep_incomplete: none}}"
    read = '{id: 3, module: "data-store:get", data_store: kept, parameters: {key: a}}'
    fail = '{id: 4, module: "desk:act", parameters: {fail: DataError}}'
    id = await desk.scenario(scenario(store("2", "a"), read, fail, settings=settings))
    outcome = await desk.run(id)
    assert outcome.row.status == "error"
    # It saw its own write, whatever becomes of it.
    details = await desk.runtime.history.get(outcome.row.id, by=desk.owner)
    assert details.operations[1].output == [{"n": 1}]
    assert await desk.record(kept.id, "a") == remains


async def test_of_many_writers_of_one_key_one_finds_it_free(desk):
    await desk.runtime.data_stores.create(by=desk.owner, name="kept")
    text = scenario(
        '{id: 1, module: "webhooks:receive", webhook: w}',
        '{id: 2, module: "data-store:add", data_store: kept, parameters: {key: "{{1.field}}"}}',
        schedule="instant",
    )
    id = await desk.scenario(text, webhook=True)
    await asyncio.gather(*(desk.send(id, {"field": "same"}) for _ in range(20)))
    rows = await desk.executions(20)
    assert sorted(row.status for row in rows) == ["success"] + ["warning"] * 19
    assert {row.error_type for row in rows} == {None, "DuplicateDataError"}


async def test_a_full_data_store_takes_changes_but_no_more_data(desk):
    kept = await desk.runtime.data_stores.create(by=desk.owner, name="kept", max_bytes=1000)
    id = await desk.scenario(
        scenario(
            store("1", "a", '{text: "' + "x" * 900 + '"}'),
            store("2", "a", '{text: "' + "y" * 900 + '"}'),
            store("3", "b", '{text: "' + "z" * 900 + '"}'),
            settings="{keep_incomplete: none}",
        )
    )
    outcome = await desk.run(id)
    assert (outcome.row.error_type, outcome.row.error_module) == ("OutOfSpaceError", "3")
    assert "delete records or enlarge it" in outcome.row.error_message
    assert (await desk.record(kept.id, "a"))["text"] == "y" * 900


async def test_a_counter_that_never_starts_again_goes_on_in_the_next_execution(desk):
    id = await desk.scenario(
        scenario(
            '{id: 1, module: "flow:repeater", parameters: {start: 1, repeats: 3, step: 1}}',
            '{id: 2, module: "tools:increment", parameters: {reset: scenario}}',
            '{id: 3, module: "tools:increment", parameters: {reset: execution}}',
            '{id: 4, module: "tools:compose", parameters: {value: "{{2.i}}/{{3.i}}"}}',
        )
    )
    for counted in (["1/1", "2/2", "3/3"], ["4/1", "5/2", "6/3"]):
        outcome = await desk.run(id)
        details = await desk.runtime.history.get(outcome.row.id, by=desk.owner)
        composed = [op.output[0]["value"] for op in details.operations if op.module == "4"]
        assert composed == counted


async def test_a_counter_of_a_cycle_that_failed_is_put_back(desk):
    id = await desk.scenario(
        scenario(
            '{id: 2, module: "tools:increment", parameters: {reset: scenario}}',
            '{id: 3, module: "desk:act", parameters: {value: "{{2.i}}", fail: DataError}}',
            settings="{keep_incomplete: none}",
        )
    )
    for _ in range(2):
        outcome = await desk.run(id)
        details = await desk.runtime.history.get(outcome.row.id, by=desk.owner)
        assert [op.input["value"] for op in details.operations if op.module == "3"] == [1]


async def test_t1_two_pictures_to_two_services_are_five_operations(desk):
    id = await desk.scenario(
        scenario(
            '{id: 1, module: "desk:watch", parameters: {limit: 2}}',
            '{id: 2, module: "desk:act", parameters: {value: "{{1.id}}"}}',
            '{id: 3, module: "desk:act", parameters: {value: "{{1.id}}"}}',
        )
    )
    outcome = await desk.run(id)
    assert (outcome.row.operations, outcome.row.status) == (5, "success")


async def test_t2_a_picture_of_100_kb_made_into_one_of_50_kb_and_stored_twice_is_150_kb(desk):
    id = await desk.scenario(
        scenario(
            '{id: 1, module: "desk:file", parameters: {size: 100000}}',
            '{id: 2, module: "desk:file", parameters: {size: 50000, source: "{{1.data}}"}}',
            '{id: 3, module: "desk:act", parameters: {value: "{{1.data}}"}}',
            '{id: 4, module: "desk:act", parameters: {value: "{{2.data}}"}}',
        )
    )
    outcome = await desk.run(id)
    assert outcome.row.error_message is None
    assert (outcome.row.status, outcome.row.operations) == ("success", 4)
    assert outcome.row.transfer_bytes == 150_000
    details = await desk.runtime.history.get(outcome.row.id, by=desk.owner)
    assert [op.output[0]["data"].size_bytes for op in details.operations[:2]] == [100_000, 50_000]
    assert details.operations[2].input["value"] == details.operations[0].output[0]["data"]


async def test_past_its_time_an_execution_ends_with_a_warning(tmp_path):
    async for desk in desk_at(tmp_path / "data", SystemClock(), limits=Limits(seconds=0.3)):
        id = await desk.scenario(
            scenario(
                '{id: 1, module: "flow:repeater", parameters: {start: 1, repeats: 30, step: 1}}',
                '{id: 2, module: "desk:work", parameters: {seconds: 0.1}}',
            )
        )
        row = (await desk.run(id)).row
        assert (row.status, row.error_type) == ("warning", "ExecutionInterruptedError")
        assert "ran longer than 0.3 seconds" in row.error_message
        assert 2 <= len(await desk.modules(row)) < 10


async def test_a_module_that_takes_too_long_is_given_up(tmp_path):
    async for desk in desk_at(tmp_path / "data", SystemClock()):
        id = await desk.scenario(
            scenario(
                '{id: 1, module: "desk:work", parameters: {seconds: 0.1}}',
                '{id: 2, module: "desk:work", parameters: {seconds: 30}}',
            )
        )
        row = (await desk.run(id)).row
        assert (row.status, row.error_type, row.error_module) == (
            "warning",
            "ModuleTimeoutError",
            "2",
        )
        assert row.error_message == (
            'Desk, module 2 "Work": no answer within 2 seconds. Ask for less, or allow more time'
        )
