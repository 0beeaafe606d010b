from __future__ import annotations

import json
from typing import Any

import pytest

from millrace.errors import Conflict, NotFound, RequestInvalid, ScenarioInvalid
from millrace.scenario.formats import read_scenario

GOOD = """\
millrace: 1
name: Two greetings
inputs: [{name: who, type: text, required: true}]
flow:
  - {id: 1, module: "json:parse", parameters: {json: '[{"n": 1}, {"n": 2}]'}}
  - {id: 2, module: "tools:compose", parameters: {value: "{{var.input.who}} {{1.n}}"}}
"""
HOOK = """\
millrace: 1
name: Hook
schedule: instant
flow:
  - {id: 1, module: "webhooks:receive", webhook: orders}
  - {id: 2, module: "tools:compose", parameters: {value: "{{1.name}}"}}
"""
BROKEN = "millrace: 1\nflow:\n  - {id: 1, module: json:parse, paramters: {}}\n"


async def run(runtime: Any, id: str, owner: Any, **start: Any) -> Any:
    """Run once and wait for the end, through the executions' own future."""
    version = await runtime.scenarios.text(id, by=owner)
    program = await runtime.programs.version(owner.team_id, version.id)
    execution_id, done = await runtime.executions.start(program, **start)
    await done
    return await runtime.history.get(execution_id, by=owner)


async def test_a_scenario_takes_its_name_from_the_file(runtime: Any, owner: Any) -> None:
    saved = await runtime.scenarios.create(by=owner, text=GOOD)
    assert saved.scenario.name == "Two greetings"
    assert not saved.scenario.is_active
    assert saved.problems == []


async def test_a_broken_draft_is_kept_and_its_problems_are_told(runtime: Any, owner: Any) -> None:
    saved = await runtime.scenarios.create(by=owner, text=BROKEN)
    assert "paramters" in str(saved.problems[0])
    assert (await runtime.scenarios.text(saved.scenario.id, by=owner)).body == BROKEN
    with pytest.raises(ScenarioInvalid, match="Publishing was refused"):
        await runtime.scenarios.publish(saved.scenario.id, by=owner)


async def test_publishing_pins_every_module(runtime: Any, owner: Any) -> None:
    saved = await runtime.scenarios.create(by=owner, text=GOOD)
    row = await runtime.scenarios.publish(saved.scenario.id, by=owner)
    assert row.published_version_id == row.draft_version_id
    published = await runtime.scenarios.text(row.id, by=owner, which="published")
    assert all(module.version == 1 for module in read_scenario(published.body).modules())


async def test_a_connection_that_the_team_does_not_have_is_an_error(
    runtime: Any, owner: Any
) -> None:
    text = (
        "millrace: 1\nflow:\n"
        "  - {id: 1, module: 'http:request', connection: nowhere, parameters: {url: x}}\n"
    )
    saved = await runtime.scenarios.create(by=owner, text=text)
    messages = [str(problem) for problem in saved.problems]
    assert any("flow[0].connection: there is no connection 'nowhere'" in m for m in messages)


async def test_a_connection_of_another_team_is_not_there(
    runtime: Any, owner: Any, stranger: Any
) -> None:
    made = await runtime.connections.create(
        by=stranger,
        app="http",
        type="basic",
        name="theirs",
        fields={"username": "a", "password": "b", "hosts": "x.example"},
    )
    for name in ("theirs", made.id):
        text = (
            "millrace: 1\nflow:\n"
            f"  - {{id: 1, module: 'http:request', connection: {name}, parameters: {{url: x}}}}\n"
        )
        saved = await runtime.scenarios.create(by=owner, text=text)
        assert any(problem.code == "resource" for problem in saved.problems)


async def test_running_once_shows_every_input_and_output(runtime: Any, owner: Any) -> None:
    saved = await runtime.scenarios.create(by=owner, text=GOOD)
    details = await run(runtime, saved.scenario.id, owner, inputs={"who": "Ada"})
    assert details.execution.status == "success"
    assert details.execution.operations == 3
    assert [operation.output for operation in details.operations] == [
        [{"n": 1}, {"n": 2}],
        [{"value": "Ada 1"}],
        [{"value": "Ada 2"}],
    ]
    assert details.operations[1].input == {"value": "Ada 1"}
    assert details.operations[1].name == "tools:compose"
    assert details.by_module == {"1": 1, "2": 2}


async def test_the_operations_come_in_pages(runtime: Any, owner: Any) -> None:
    saved = await runtime.scenarios.create(by=owner, text=GOOD)
    whole = await run(runtime, saved.scenario.id, owner, inputs={"who": "Ada"})
    id = whole.execution.id
    first = await runtime.history.get(id, by=owner, limit=2)
    assert len(first.operations) == 2
    rest = await runtime.history.get(id, by=owner, after=first.next)
    assert [o.seq for o in (*first.operations, *rest.operations)] == [
        o.seq for o in whole.operations
    ]
    assert rest.next is None


async def test_an_input_that_is_missing_or_unknown_is_refused(runtime: Any, owner: Any) -> None:
    saved = await runtime.scenarios.create(by=owner, text=GOOD)
    with pytest.raises(RequestInvalid, match="'who' is required"):
        await runtime.scenarios.run_once(saved.scenario.id, by=owner)
    with pytest.raises(RequestInvalid, match="no input 'whom'"):
        await runtime.scenarios.run_once(saved.scenario.id, by=owner, inputs={"whom": 1})


async def test_an_interval_starts_at_once_and_a_daily_schedule_at_its_time(
    runtime: Any, owner: Any, clock: Any
) -> None:
    every = await runtime.scenarios.create(
        by=owner, text=GOOD.replace("flow:", "schedule: {every: 15 minutes}\nflow:")
    )
    daily = await runtime.scenarios.create(
        by=owner, text=GOOD.replace("flow:", 'schedule: {daily: "07:00"}\nflow:')
    )
    now = int(clock.now().timestamp() * 1000)
    assert (await runtime.scenarios.activate(every.scenario.id, by=owner)).next_due_at_ms == now
    due = (await runtime.scenarios.activate(daily.scenario.id, by=owner)).next_due_at_ms
    assert due == now + 19 * 3_600_000
    off = await runtime.scenarios.deactivate(daily.scenario.id, by=owner)
    assert off.next_due_at_ms is None


async def test_a_webhook_feeds_one_scenario(runtime: Any, owner: Any) -> None:
    await runtime.webhooks.create(by=owner, name="orders")
    first = await runtime.scenarios.create(by=owner, text=HOOK)
    second = await runtime.scenarios.create(by=owner, text=HOOK)
    await runtime.scenarios.activate(first.scenario.id, by=owner)
    assert (await runtime.webhooks.all(by=owner))[0].scenario_id == first.scenario.id
    with pytest.raises(Conflict, match="feeds another scenario"):
        await runtime.scenarios.activate(second.scenario.id, by=owner)
    await runtime.scenarios.delete(first.scenario.id, by=owner)
    await runtime.scenarios.activate(second.scenario.id, by=owner)


async def test_an_instant_scenario_needs_bundles_to_be_run_by_hand(
    runtime: Any, owner: Any
) -> None:
    await runtime.webhooks.create(by=owner, name="orders")
    saved = await runtime.scenarios.create(by=owner, text=HOOK)
    with pytest.raises(RequestInvalid, match="what a webhook receives"):
        await runtime.scenarios.run_once(saved.scenario.id, by=owner)
    details = await run(runtime, saved.scenario.id, owner, bundles=[{"name": "Ada"}])
    assert details.operations[-1].output == [{"value": "Ada"}]


async def test_versions_can_be_listed_read_and_compared(runtime: Any, owner: Any) -> None:
    saved = await runtime.scenarios.create(by=owner, text=GOOD)
    id = saved.scenario.id
    await runtime.scenarios.save_draft(id, by=owner, text=GOOD.replace("{{1.n}}", "{{1.n}}!"))
    assert [version.number for version in await runtime.scenarios.versions(id, by=owner)] == [2, 1]
    assert (await runtime.scenarios.text(id, by=owner, which=1)).body == GOOD
    difference = await runtime.scenarios.compare(id, 1, 2, by=owner)
    assert difference.count("\n-") == 1
    assert "{{1.n}}!" in difference
    with pytest.raises(NotFound, match="no version 7"):
        await runtime.scenarios.text(id, by=owner, which=7)


async def test_of_two_who_save_the_second_is_told(runtime: Any, owner: Any) -> None:
    saved = await runtime.scenarios.create(by=owner, text=GOOD)
    row = await runtime.scenarios.get(saved.scenario.id, by=owner)
    await runtime.scenarios.save_draft(row.id, by=owner, text=GOOD, revision=row.revision)
    with pytest.raises(Conflict):
        await runtime.scenarios.save_draft(row.id, by=owner, text=GOOD, revision=row.revision)


async def test_the_trash_gives_back_what_was_deleted(runtime: Any, owner: Any) -> None:
    saved = await runtime.scenarios.create(by=owner, text=GOOD)
    id = saved.scenario.id
    await runtime.scenarios.delete(id, by=owner)
    assert await runtime.scenarios.page(by=owner) == []
    with pytest.raises(NotFound):
        await runtime.scenarios.get(id, by=owner)
    trashed = await runtime.scenarios.page(by=owner, is_deleted=True)
    assert [row.id for row in trashed] == [id]
    assert (await runtime.scenarios.restore(id, by=owner)).name == "Two greetings"


async def test_a_copy_is_inactive_and_named_after_the_original(runtime: Any, owner: Any) -> None:
    saved = await runtime.scenarios.create(by=owner, text=GOOD)
    await runtime.scenarios.activate(saved.scenario.id, by=owner)
    copy = await runtime.scenarios.clone(saved.scenario.id, by=owner)
    assert copy.name == "Copy of Two greetings"
    assert not copy.is_active


async def test_an_export_says_what_it_needs_and_holds_no_secret(runtime: Any, owner: Any) -> None:
    await runtime.connections.create(
        by=owner,
        app="http",
        type="basic",
        name="shop",
        fields={"username": "ada", "password": "hunter2", "hosts": "shop.example"},
    )
    text = (
        "millrace: 1\nname: Shop\nflow:\n"
        "  - {id: 1, module: 'http:request', connection: shop, parameters: {url: 'https://x'}}\n"
    )
    saved = await runtime.scenarios.create(by=owner, text=text)
    exported = await runtime.scenarios.export(saved.scenario.id, by=owner)
    assert read_scenario(exported).needs == ({"connection": "shop", "app": "http", "for": ("1",)},)
    assert "hunter2" not in exported
    made = json.loads(await runtime.scenarios.export(saved.scenario.id, by=owner, format="make"))
    assert made["flow"][0]["id"] == 1


async def test_a_file_of_make_is_imported_with_a_report(runtime: Any, owner: Any) -> None:
    blueprint = {
        "name": "From there",
        "flow": [
            {
                "id": 1,
                "module": "json:ParseJSON",
                "version": 1,
                "parameters": {},
                "mapper": {"json": "{}"},
            },
            {"id": 2, "module": "nowhere:doIt", "version": 1, "mapper": {}},
        ],
        "metadata": {"version": 1},
    }
    imported = await runtime.scenarios.import_(json.dumps(blueprint).encode(), by=owner)
    assert imported.scenario.name == "From there"
    assert imported.report.modules_share == 0.5


async def test_another_team_sees_and_touches_nothing(
    runtime: Any, owner: Any, stranger: Any
) -> None:
    saved = await runtime.scenarios.create(by=owner, text=GOOD)
    id = saved.scenario.id
    details = await run(runtime, id, owner, inputs={"who": "Ada"})
    assert await runtime.scenarios.page(by=stranger) == []
    assert await runtime.history.page(by=stranger) == []
    for deed in (
        runtime.scenarios.get(id, by=stranger),
        runtime.scenarios.text(id, by=stranger),
        runtime.scenarios.activate(id, by=stranger),
        runtime.scenarios.delete(id, by=stranger),
        runtime.scenarios.restore(id, by=stranger),
        runtime.scenarios.run_once(id, by=stranger, inputs={"who": "x"}),
        runtime.scenarios.save_draft(id, by=stranger, text=GOOD),
        runtime.scenarios.export(id, by=stranger),
        runtime.history.get(details.execution.id, by=stranger),
        runtime.history.cancel(details.execution.id, by=stranger),
    ):
        with pytest.raises(NotFound):
            await deed


async def test_usage_is_summed_by_day_scenario_and_app(runtime: Any, owner: Any) -> None:
    saved = await runtime.scenarios.create(by=owner, text=GOOD)
    await run(runtime, saved.scenario.id, owner, inputs={"who": "Ada"})
    await run(runtime, saved.scenario.id, owner, inputs={"who": "Eva"})
    usage = await runtime.history.usage(by=owner, days=3650)
    assert (usage.total.executions, usage.total.operations) == (2, 6)
    assert usage.scenarios[saved.scenario.id].operations == 6
    assert usage.apps == {"tools": 4, "json": 2}
    assert usage.days["2026-11-21"].executions == 2


async def test_deeds_are_noted(runtime: Any, owner: Any) -> None:
    saved = await runtime.scenarios.create(by=owner, text=GOOD)
    await runtime.scenarios.rename(saved.scenario.id, by=owner, name="Better")
    deeds = await runtime.activity.page(by=owner, object_id=saved.scenario.id)
    assert [deed.action for deed in deeds] == ["scenarios.rename", "scenarios.create"]
    assert deeds[0].actor == f"user:{owner.user_id}"
