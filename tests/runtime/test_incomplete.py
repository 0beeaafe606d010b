from __future__ import annotations

import asyncio
from typing import Any

import pytest

from millrace.errors import Conflict, NotFound

FAILING = """\
millrace: 1
name: Fails
flow:
  - {id: 1, module: "json:parse", parameters: {json: '[{"n": 1}]'}}
  - id: 2
    module: data-store:update
    data_store: things
    parameters: {key: "k{{1.n}}", data: {n: 2}}
  - {id: 3, module: "tools:compose", parameters: {value: "after {{1.n}}"}}
"""


async def failed(runtime: Any, owner: Any) -> Any:
    """An incomplete execution: the record to update is not there."""
    store = await runtime.data_stores.create(by=owner, name="things")
    saved = await runtime.scenarios.create(by=owner, text=FAILING)
    version = await runtime.scenarios.text(saved.scenario.id, by=owner)
    program = await runtime.programs.version(owner.team_id, version.id)
    _, done = await runtime.executions.start(program)
    await done
    (row,) = await runtime.incomplete.page(by=owner)
    return store, row


async def test_a_failed_bundle_is_listed_with_what_it_holds(runtime: Any, owner: Any) -> None:
    _, row = await failed(runtime, owner)
    assert (row.error_module, row.state) == ("2", "waiting")
    found = await runtime.incomplete.get(row.id, by=owner)
    assert found.held["bundles"]["1"] == {"n": 1}


async def test_a_retry_goes_on_at_the_failed_module(runtime: Any, owner: Any) -> None:
    store, row = await failed(runtime, owner)
    await runtime.data_stores.put_record(store.id, "k1", {"n": 1}, by=owner)
    events = runtime.live.subscribe(owner.team_id)
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    await runtime.incomplete.retry(row.id, by=owner)
    modules = []
    event = await asyncio.wait_for(waiting, 5)
    while event["type"] != "finished":
        if event["type"] == "operation":
            modules.append(event["module"])
        event = await asyncio.wait_for(anext(events), 5)
    assert event["status"] == "success"
    assert modules == ["2", "3"]
    assert (await runtime.incomplete.get(row.id, by=owner)).row.state == "resolved"
    assert await runtime.incomplete.page(by=owner) == []


@pytest.mark.parametrize(("verb", "state"), [("resolve", "resolved"), ("discard", "discarded")])
async def test_a_person_settles_it_once(runtime: Any, owner: Any, verb: str, state: str) -> None:
    _, row = await failed(runtime, owner)
    await getattr(runtime.incomplete, verb)(row.id, by=owner)
    assert (await runtime.incomplete.get(row.id, by=owner)).row.state == state
    with pytest.raises(Conflict, match=state):
        await runtime.incomplete.retry(row.id, by=owner)


async def test_another_team_cannot_see_or_settle_it(
    runtime: Any, owner: Any, stranger: Any
) -> None:
    _, row = await failed(runtime, owner)
    assert await runtime.incomplete.page(by=stranger) == []
    for deed in (
        runtime.incomplete.get(row.id, by=stranger),
        runtime.incomplete.retry(row.id, by=stranger),
        runtime.incomplete.resolve(row.id, by=stranger),
        runtime.incomplete.discard(row.id, by=stranger),
    ):
        with pytest.raises(NotFound):
            await deed
    assert await runtime.incomplete.retry_all(by=stranger) == 0
