"""What failures leave behind: incomplete executions, pauses, events that go back."""

from __future__ import annotations

import asyncio

import pytest

from .desks import desk_fixture, scenario  # noqa: F401 - a fixture

RECEIVE = '{id: 1, module: "webhooks:receive", webhook: w}'
ONE = """{id: 1, module: "json:parse", parameters: {json: '{"n": 1}'}}"""
COMPOSE = '{id: 4, module: "tools:compose", parameters: {value: "{{1.n}}"}}'


def act(id: int, fail: str, value: str = "{{1.n}}") -> str:
    return f'{{id: {id}, module: "desk:act", parameters: {{value: "{value}", fail: "{fail}"}}}}'


ALLOWED = '{id: 3, module: "desk:fail-once", data_store: told, parameters: {value: "{{1.n}}"}}'


@pytest.fixture
async def tell(desk):
    """Says how ``desk:fail-once`` is to fail from now on; None: not at all."""
    told = await desk.runtime.data_stores.create(by=desk.owner, name="told")

    async def tell(type_):
        data = {"type": type_}
        await desk.runtime.data_stores.put_record(told.id, "failure", data, by=desk.owner)

    return tell


@pytest.mark.parametrize(
    ("mode", "type_", "status", "kept"),
    [
        ("all", "RuntimeError", "warning", 1),
        ("all", "DataError", "warning", 1),
        ("listed", "DataError", "warning", 1),
        ("listed", "RuntimeError", "error", 0),
        ("none", "DataError", "error", 0),
        ("none", "RuntimeError", "error", 0),
    ],
)
async def test_what_is_kept_of_a_failure_is_a_setting(desk, mode, type_, status, kept):
    text = scenario(ONE, act(2, ""), act(3, type_), settings=f"{{keep_incomplete: {mode}}}")
    outcome = await desk.run(await desk.scenario(text))
    assert (outcome.row.status, outcome.row.error_type) == (status, type_)
    assert outcome.row.error_module == "3"
    assert len(await desk.kept()) == kept


async def test_t13_a_retry_goes_on_at_the_failed_module_only(desk, tell):
    await tell("RuntimeError")
    id = await desk.scenario(
        scenario(RECEIVE, act(2, ""), ALLOWED, COMPOSE, schedule="instant"), webhook=True
    )
    await desk.send(id, {"n": 7})
    (first,) = await desk.executions(1)
    assert (first.status, await desk.modules(first)) == ("warning", ["2", "3"])
    (kept,) = await desk.kept()
    await desk.runtime.incomplete.retry(kept.id, by=desk.owner)
    _, second = await desk.executions(2)
    assert (second.kind, second.status, second.operations) == ("retry", "warning", 1)
    (kept,) = await desk.kept()
    assert (kept.attempts, kept.execution_id) == (1, first.id)
    await tell(None)
    await desk.runtime.incomplete.retry(kept.id, by=desk.owner)
    third = (await desk.executions(3))[-1]
    assert (third.status, await desk.modules(third)) == ("success", ["3", "4"])
    details = await desk.runtime.history.get(third.id, by=desk.owner)
    assert details.operations[-1].output == [{"value": "7"}]
    assert await desk.kept() == []


async def test_t16_after_three_runtime_errors_in_a_row_a_scenario_is_paused(desk):
    settings = "{max_errors: 3, keep_incomplete: none}"
    id = await desk.scenario(scenario(ONE, act(2, "RuntimeError"), settings=settings))
    for number in range(1, 4):
        assert (await desk.run(id)).row.status == "error"
        row = await desk.runtime.scenarios.get(id, by=desk.owner)
        assert (row.consecutive_errors, row.is_active) == (number, number < 3)
    assert "3 errors in a row" in row.paused_reason
    assert "told to fail" in row.paused_reason


async def test_t16_data_errors_never_pause_and_a_success_counts_anew(desk, tell):
    settings = "{max_errors: 2, keep_incomplete: none}"
    id = await desk.scenario(scenario(ONE, ALLOWED, settings=settings))
    for type_ in ("DataError", "DataError", "DataError", "RuntimeError", None, "RuntimeError"):
        await tell(type_)
        await desk.run(id)
    row = await desk.runtime.scenarios.get(id, by=desk.owner)
    assert (row.consecutive_errors, row.is_active) == (1, True)


async def test_with_incomplete_executions_ten_failures_in_a_row_pause_too(desk):
    id = await desk.scenario(
        scenario(RECEIVE, act(2, "RuntimeError"), schedule="instant"), webhook=True
    )
    for number in range(1, 13):
        await desk.send(id, {"n": number})
        await desk.executions(min(number, 10))
    row = await desk.runtime.scenarios.get(id, by=desk.owner)
    assert (row.consecutive_errors, row.is_active) == (10, False)
    assert len(await desk.kept()) == 10
    assert await desk.waiting(id) == {"held": 2}


async def test_t17_the_first_error_pauses_and_the_event_goes_back_into_the_queue(desk, tell):
    await tell("RuntimeError")
    settings = "{pause_at_first_error: true, keep_incomplete: none}"
    id = await desk.scenario(
        scenario(RECEIVE, ALLOWED, schedule="instant", settings=settings), webhook=True
    )
    await desk.send(id, {"n": 1})
    (row,) = await desk.executions(1)
    assert row.status == "error"
    assert not (await desk.runtime.scenarios.get(id, by=desk.owner)).is_active
    await desk.send(id, {"n": 2})
    assert await desk.waiting(id) == {"held": 2}
    await tell(None)
    await desk.runtime.scenarios.activate(id, by=desk.owner)
    rows = await desk.executions(3)
    assert [row.status for row in rows] == ["error", "success", "success"]
    details = [await desk.runtime.history.get(row.id, by=desk.owner) for row in rows[1:]]
    given = [found.operations[-1].output[0]["value"] for found in details]
    assert sorted(given) == [1, 2]
    assert await desk.waiting(id) == {}


async def test_a_broken_connection_brings_the_event_back_after_a_while(desk, tell):
    await tell("ConnectionError")
    settings = "{keep_incomplete: none}"
    id = await desk.scenario(
        scenario(RECEIVE, ALLOWED, schedule="instant", settings=settings), webhook=True
    )
    await desk.send(id, {"n": 1})
    await desk.executions(1)
    assert await desk.waiting(id) == {"parked": 1}
    await desk.later(seconds=61)
    await desk.executions(2)
    await tell(None)
    await desk.later(seconds=100)
    await asyncio.sleep(0.05)
    await desk.executions(2)
    await desk.later(seconds=21)
    rows = await desk.executions(3)
    assert [row.status for row in rows] == ["error", "error", "success"]
    assert await desk.waiting(id) == {}
    assert await desk.kept() == []


@pytest.mark.parametrize("how", ["retry", "resolve", "discard"])
async def test_t19_an_ordered_scenario_waits_for_its_open_failure(desk, tell, how):
    await tell("DataError")
    id = await desk.scenario(
        scenario(RECEIVE, ALLOWED, schedule="instant", settings="{sequential: true}"), webhook=True
    )
    await desk.send(id, {"n": 1})
    await desk.executions(1)
    await tell(None)
    for number in (2, 3):
        await desk.send(id, {"n": number})
    await asyncio.sleep(0.05)
    assert len(await desk.executions(1)) == 1
    (kept,) = await desk.kept()
    await getattr(desk.runtime.incomplete, how)(kept.id, by=desk.owner)
    rows = await desk.executions(4 if how == "retry" else 3)
    later = [row for row in rows[1:] if row.kind == "webhook"]
    details = [await desk.runtime.history.get(row.id, by=desk.owner) for row in later]
    assert [found.operations[-1].output for found in details] == [[{"value": 2}], [{"value": 3}]]
    assert await desk.waiting(id) == {}


async def test_an_ordered_scenario_finishes_what_it_began_in_spite_of_its_own_failure(desk):
    """Its first bundle failed and its second one sleeps: it wakes up all the same."""
    id = await desk.scenario(
        scenario(
            RECEIVE,
            '{id: 2, module: "flow:iterator", parameters: {array: "{{1.all}}"}}',
            act(3, "{{2.fail}}", "{{2.n}}"),
            '{id: 4, module: "tools:sleep", parameters: {duration: 100}}',
            act(5, "", "{{2.n}}"),
            schedule="instant",
            settings="{sequential: true}",
        ),
        webhook=True,
    )
    await desk.send(id, {"all": [{"n": 1, "fail": "DataError"}, {"n": 2, "fail": ""}]})
    await desk.parked()
    assert len(await desk.kept()) == 1
    await desk.later(seconds=101)
    (row,) = await desk.executions(1)
    assert (row.status, (await desk.modules(row))[-1]) == ("warning", "5")


async def test_break_completes_by_itself_as_often_and_as_soon_as_it_says(desk, tell):
    await tell("DataError")
    broken = ALLOWED.removesuffix("}") + (
        ', on_error: [{id: 9, module: "flow:break", '
        "parameters: {retry: true, count: 2, interval: 5}}]}"
    )
    id = await desk.scenario(scenario(RECEIVE, broken, schedule="instant"), webhook=True)
    await desk.send(id, {"n": 1})
    await desk.executions(1)
    (kept,) = await desk.kept()
    assert (kept.max_attempts, kept.interval_seconds, kept.attempts) == (2, 300, 0)
    for attempt in (1, 2):
        await desk.later(seconds=299)
        await asyncio.sleep(0.02)
        await desk.executions(attempt)
        await desk.later(seconds=2)
        await desk.executions(attempt + 1)
        (kept,) = await desk.kept()
        assert kept.attempts == attempt
    # Twice it was tried; the rest is for a person.
    assert kept.retry_at_ms is None
    assert await desk.waiting(id) == {}
    await tell(None)
    await desk.runtime.incomplete.retry(kept.id, by=desk.owner)
    assert (await desk.executions(4))[-1].status == "success"
    assert await desk.kept() == []


async def test_a_broken_connection_is_tried_again_on_the_back_off_table(desk, tell):
    await tell("ConnectionError")
    id = await desk.scenario(scenario(RECEIVE, ALLOWED, schedule="instant"), webhook=True)
    await desk.send(id, {"n": 1})
    await desk.executions(1)
    started = desk.clock.now().timestamp()
    offsets = []
    for attempt in range(1, 9):
        (kept,) = await desk.kept()
        assert kept.attempts == attempt - 1
        offsets.append(kept.retry_at_ms / 1000 - started)
        await desk.later(seconds=kept.retry_at_ms / 1000 - desk.clock.now().timestamp())
        await desk.executions(attempt + 1)
    minutes = [round(offset / 60) for offset in offsets]
    assert minutes == [1, 11, 21, 51, 81, 111, 291, 471]
    (kept,) = await desk.kept()
    assert (kept.attempts, kept.retry_at_ms) == (8, None)


async def test_retry_now_does_not_wait_for_the_planned_retry_and_replaces_it(desk, tell):
    await tell("ConnectionError")
    id = await desk.scenario(scenario(RECEIVE, ALLOWED, schedule="instant"), webhook=True)
    await desk.send(id, {"n": 1})
    await desk.executions(1)
    await tell(None)
    (kept,) = await desk.kept()
    await desk.runtime.incomplete.retry(kept.id, by=desk.owner)
    assert [row.status for row in await desk.executions(2)] == ["warning", "success"]
    await desk.later(hours=1)
    await asyncio.sleep(0.05)
    await desk.executions(2)
    assert await desk.waiting(id) == {}


async def test_a_scenario_that_is_off_can_still_have_its_failures_retried(desk, tell):
    await tell("ConnectionError")
    id = await desk.scenario(scenario(RECEIVE, ALLOWED, schedule="instant"), webhook=True)
    await desk.send(id, {"n": 1})
    await desk.executions(1)
    await desk.runtime.scenarios.deactivate(id, by=desk.owner)
    await tell(None)
    (kept,) = await desk.kept()
    await desk.runtime.incomplete.retry(kept.id, by=desk.owner)
    assert (await desk.executions(2))[-1].status == "success"


async def test_retrying_all_tries_each_once(desk, tell):
    await tell("RuntimeError")
    id = await desk.scenario(scenario(RECEIVE, ALLOWED, schedule="instant"), webhook=True)
    for number in range(5):
        await desk.send(id, {"n": number})
    await desk.executions(5)
    await tell(None)
    assert await desk.runtime.incomplete.retry_all(by=desk.owner) == 5
    assert [row.status for row in await desk.executions(10)][5:] == ["success"] * 5
    assert await desk.kept() == []


async def test_a_stopped_execution_ends_before_its_next_operation(desk):
    id = await desk.scenario(
        scenario('{id: 1, module: "tools:sleep", parameters: {duration: 20}}', act(2, "", "x"))
    )
    program = await desk.runtime.programs.published(desk.owner.team_id, id)
    execution_id, done = await desk.runtime.executions.start(program)
    while not await desk.runtime.history.page(by=desk.owner):  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    await desk.runtime.history.cancel(execution_id, by=desk.owner)
    outcome = await asyncio.wait_for(done, 5)
    assert (outcome.row.status, outcome.row.error_type) == ("stopped", "ExecutionInterruptedError")
    assert "stopped by a person" in outcome.row.error_message
    assert await desk.modules(outcome.row) == []


async def test_a_bug_in_an_app_is_named_without_its_words_and_the_scenario_is_switched_off(
    desk, caplog
):
    id = await desk.scenario(scenario('{id: 1, module: "desk:broken"}'))
    outcome = await desk.run(id)
    assert outcome.row.error_type == "UnexpectedError"
    message = outcome.row.error_message
    assert message.startswith('Desk, module 1 "Break down": the app has a bug (ZeroDivisionError)')
    assert "hunter2" not in outcome.row.error_message
    assert not (await desk.runtime.scenarios.get(id, by=desk.owner)).is_active
    assert "an app raised what it should not have" in caplog.text
