"""Events that come in while nothing can run them, and what becomes of them."""

from __future__ import annotations

import asyncio
import hashlib
from itertools import pairwise
from typing import Any

import pytest

from millrace.clock import SystemClock
from millrace.errors import StorageUnavailable
from millrace.storage.sqlite import SqliteStore
from millrace.storage.store import NewEvent
from millrace.work.embedded import EmbeddedQueue

from .gateway import Gateway, gateway_fixture  # noqa: F401 - a fixture


@pytest.fixture
def clock() -> SystemClock:
    """The real one: these tests look at what ran at the same time."""
    return SystemClock()


def scenario(*modules: str, settings: str = "{}") -> str:
    lines = [
        "millrace: 1",
        "schedule: instant",
        f"settings: {settings}",
        "flow:",
        '  - {id: 1, module: "webhooks:receive", webhook: w}',
    ]
    return "\n".join([*lines, *(f"  - {module}" for module in modules)])


SLOWLY = '{id: 2, module: "tools:sleep", parameters: {duration: 1}}'


async def test_an_inactive_scenario_holds_its_events_and_runs_them_in_order(gateway):
    token = await gateway.webhook()
    id = await gateway.scenario(scenario(settings="{sequential: true}"), is_active=False)
    for number in range(5):
        answered = await gateway.post(token, {"n": number})
        assert (answered.status, answered.body) == (200, b"Accepted")
    assert await gateway.runtime.history.page(by=gateway.owner) == []
    await gateway.runtime.scenarios.activate(id, by=gateway.owner)
    assert await gateway.bundles(5) == [{"n": number} for number in range(5)]


@pytest.mark.parametrize("settings", ["{}", "{sequential: true}", '{order_by: "{{1.key}}"}'])
async def test_a_webhook_without_a_scenario_keeps_its_events_for_one(gateway, settings):
    token = await gateway.webhook()
    for number in range(3):
        assert (await gateway.post(token, {"n": number})).status == 200
    await gateway.scenario(scenario(SLOWLY, settings=settings))
    bundles = await gateway.bundles(3)
    assert sorted(bundle["n"] for bundle in bundles) == [0, 1, 2]
    if settings != "{}":
        assert bundles == [{"n": 0}, {"n": 1}, {"n": 2}]
        assert_in_order(await gateway.executions(3))


def assert_in_order(rows) -> None:
    for before, after in pairwise(rows):
        assert after.started_at_ms >= before.finished_at_ms


async def test_deactivated_it_holds_again_and_goes_on_when_it_is_activated(gateway):
    token = await gateway.webhook()
    id = await gateway.scenario(scenario())
    await gateway.post(token, {"n": 1})
    await gateway.executions(1)
    await gateway.runtime.scenarios.deactivate(id, by=gateway.owner)
    await gateway.post(token, {"n": 2})
    assert len(await gateway.executions(1)) == 1
    await gateway.runtime.scenarios.activate(id, by=gateway.owner)
    assert await gateway.bundles(2) == [{"n": 1}, {"n": 2}]


async def test_what_comes_in_while_the_scenario_is_switched_on_is_not_left_behind(gateway):
    token = await gateway.webhook()
    id = await gateway.scenario(scenario(), is_active=False)

    async def post_all() -> None:
        for number in range(30):
            await gateway.post(token, {"n": number})

    posting = asyncio.ensure_future(post_all())
    await asyncio.sleep(0)
    await gateway.runtime.scenarios.activate(id, by=gateway.owner)
    await posting
    assert len(await gateway.bundles(30)) == 30


async def test_what_comes_in_while_a_scenario_takes_the_webhook_is_not_left_behind(gateway):
    token = await gateway.webhook()

    async def post_all() -> None:
        for number in range(40):
            await gateway.post(token, {"n": number})

    posting = asyncio.ensure_future(post_all())
    await asyncio.sleep(0)
    await gateway.scenario(scenario())
    await posting
    assert len(await gateway.bundles(40)) == 40


async def test_a_full_queue_refuses_and_says_when_to_come_again(gateway):
    small = Gateway(gateway.runtime, gateway.owner, max_queue=3)
    unbound, bound = await small.webhook("unbound"), await small.webhook()
    id = await small.scenario(scenario(), is_active=False)
    for token in (unbound, bound):
        statuses = [(await small.post(token, {})).status for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
    assert (await small.post(bound, {})).header("retry-after") == "60"
    await small.runtime.scenarios.activate(id, by=small.owner)
    await small.executions(3)
    assert (await small.post(bound, {})).status == 200


async def test_of_several_triggers_that_one_fires_whose_webhook_was_called(gateway):
    text = """\
millrace: 1
schedule: instant
flow:
  - id: 1
    module: flow:any-of
    triggers:
      - {id: 2, module: "webhooks:receive", webhook: w}
      - {id: 3, module: "webhooks:receive", webhook: v}
  - {id: 4, module: "tools:compose", parameters: {value: "w{{2.n}} v{{3.n}}"}}
"""
    first, second = await gateway.webhook("w"), await gateway.webhook("v")
    await gateway.post(second, {"n": 1})
    await gateway.scenario(text)
    await gateway.post(second, {"n": 2})
    await gateway.post(first, {"n": 3})
    said = []
    for row in await gateway.executions(3):
        details = await gateway.runtime.history.get(row.id, by=gateway.owner)
        said.append(details.operations[-1].output[0]["value"])
    assert said == ["w v1", "w v2", "w3 v"]


async def test_events_of_one_key_run_in_order_and_those_of_others_at_the_same_time(gateway):
    token = await gateway.webhook()
    await gateway.scenario(scenario(SLOWLY, settings='{order_by: "{{1.customer.id}}"}'))
    events = [(7, 1), ("7", 2), (8, 1), (None, 1), ("", 2)]
    for customer, number in events:
        await gateway.post(token, {"customer": {"id": customer}, "n": number})
    rows = {}
    for row in await gateway.executions(5):
        details = await gateway.runtime.history.get(row.id, by=gateway.owner)
        bundle = details.operations[0].output[0]
        rows[bundle["customer"]["id"], bundle["n"]] = row
    assert_in_order([rows[7, 1], rows["7", 2]])
    assert_in_order([rows[None, 1], rows["", 2]])
    firsts = [rows[7, 1], rows[8, 1], rows[None, 1]]
    assert max(row.started_at_ms for row in firsts) < min(row.finished_at_ms for row in firsts)


async def test_only_the_key_of_a_failed_event_waits_for_it(gateway):
    runtime, owner = gateway.runtime, gateway.owner
    token = await gateway.webhook()
    parse = '{id: 2, module: "json:parse", parameters: {json: "{{1.json}}"}}'
    store = '{id: 3, module: "data-store:update", data_store: seen, parameters: {key: "{{1.key}}"}}'
    seen = await runtime.data_stores.create(by=owner, name="seen")
    await gateway.scenario(scenario(parse, store, settings='{order_by: "{{1.key}}"}'))
    await gateway.post(token, {"key": "a", "json": "[1]"})
    assert [row.status for row in await gateway.executions(1)] == ["warning"]
    await gateway.post(token, {"key": "a", "json": "[2]"})
    await runtime.data_stores.put_record(seen.id, "b", {}, by=owner)
    await gateway.post(token, {"key": "b", "json": "[3]"})
    await gateway.executions(2)
    assert [bundle["key"] for bundle in await gateway.bundles(2)] == ["a", "b"]
    (row,) = await runtime.incomplete.page(by=owner)
    await runtime.data_stores.put_record(seen.id, "a", {}, by=owner)
    await runtime.incomplete.retry(row.id, by=owner)
    rows = await gateway.executions(4)
    assert [row.status for row in rows] == ["warning", "success", "success", "success"]
    (retry,) = [row for row in rows if row.kind == "retry"]
    for row in rows:
        details = await runtime.history.get(row.id, by=owner)
        if row.kind == "webhook" and details.operations[0].output[0]["json"] == "[2]":
            assert_in_order([retry, row])


async def test_a_key_is_not_written_in_the_clear(gateway):
    token = await gateway.webhook()
    await gateway.scenario(scenario(settings='{order_by: "{{1.email}}"}'), is_active=False)
    await gateway.post(token, {"email": "ada@example.com"})
    files = [
        path.read_bytes() for path in gateway.runtime.store.path.parent.iterdir() if path.is_file()
    ]
    digest = hashlib.sha256(b"ada@example.com").hexdigest().encode()
    assert not any(b"ada@example.com" in content or digest in content for content in files)


class FullDisk:
    """A store that can read, and keep no event."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def accept(self, event: NewEvent) -> asyncio.Future[None]:
        future = asyncio.get_running_loop().create_future()
        refusal = StorageUnavailable("The disk is full.")
        asyncio.get_running_loop().call_soon(future.set_exception, refusal)
        return future


@pytest.mark.parametrize("settings", ["{}", "{sequential: true}"])
@pytest.mark.parametrize("modules", [(), ('{id: 2, module: "webhooks:respond"}',)])
async def test_what_cannot_be_kept_is_not_accepted(gateway, settings, modules):
    runtime = gateway.runtime
    token = await gateway.webhook()
    id = await gateway.scenario(scenario(*modules, settings=settings))
    working, store = runtime.executions.queue, FullDisk(runtime.store)
    full = EmbeddedQueue(store, runtime.clock, runtime.executions.carry_out)
    runtime.executions.queue = full
    answered = await gateway.post(token, {"n": 1})
    assert (answered.status, answered.header("retry-after")) == (503, "5")
    await full.close()
    runtime.executions.queue = working
    assert (await gateway.post(token, {"n": 2})).status == 200
    assert await gateway.bundles(1) == [{"n": 2}]
    assert await runtime.store.waiting(gateway.owner.team_id, id) == {}
