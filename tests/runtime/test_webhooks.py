from __future__ import annotations

import asyncio
from typing import Any

import pytest

from millrace.errors import Conflict, NotFound, RequestInvalid
from millrace.runtime.structures import structure_of


def token_of(url: str) -> str:
    return url.rpartition("/")[2]


async def test_the_address_is_shown_once_and_found_by_its_token(runtime: Any, owner: Any) -> None:
    url, view = await runtime.webhooks.create(by=owner, name="orders")
    assert url.startswith("http://127.0.0.1:8080/hooks/")
    token = token_of(url)
    assert len(token) >= 22
    assert token not in repr(await runtime.webhooks.all(by=owner))
    hook = await runtime.webhooks.by_token(token)
    assert (hook.id, hook.team_id) == (view.id, owner.team_id)
    assert await runtime.webhooks.by_token(token[:-1]) is None


async def test_a_change_is_seen_at_the_next_request(runtime: Any, owner: Any) -> None:
    url, view = await runtime.webhooks.create(by=owner, name="orders")
    token = token_of(url)
    await runtime.webhooks.change(
        view.id, by=owner, is_enabled=False, settings={"allow": ["192.0.2.0/24", "::1"]}
    )
    hook = await runtime.webhooks.by_token(token)
    assert not hook.is_enabled
    assert [str(network) for network in hook.networks] == ["192.0.2.0/24", "::1/128"]
    await runtime.webhooks.change(view.id, by=owner, settings={"method": "POST"})
    hook = await runtime.webhooks.by_token(token)
    assert hook.settings.method == "POST"
    assert hook.settings.allow == ("192.0.2.0/24", "::1")


async def test_a_new_address_ends_the_old_one(runtime: Any, owner: Any) -> None:
    url, view = await runtime.webhooks.create(by=owner, name="orders")
    renewed = await runtime.webhooks.renew(view.id, by=owner)
    assert await runtime.webhooks.by_token(token_of(url)) is None
    assert await runtime.webhooks.by_token(token_of(renewed)) is not None


async def test_a_deleted_one_is_as_if_it_had_never_been(runtime: Any, owner: Any) -> None:
    url, view = await runtime.webhooks.create(by=owner, name="orders")
    await runtime.webhooks.delete(view.id, by=owner)
    assert await runtime.webhooks.by_token(token_of(url)) is None


@pytest.mark.parametrize(
    "settings",
    [
        {"allow": ["somewhere"]},
        {"method": "FETCH"},
        {"requests": -1},
        {"methods": "POST"},
        {"structure": [{"type": "text"}]},
        {"get_headers": "yes"},
    ],
)
async def test_a_wrong_setting_is_refused(
    runtime: Any, owner: Any, settings: dict[str, Any]
) -> None:
    with pytest.raises(RequestInvalid):
        await runtime.webhooks.create(by=owner, name="orders", settings=settings)


async def test_learning_takes_the_structure_of_the_next_request(runtime: Any, owner: Any) -> None:
    url, view = await runtime.webhooks.create(by=owner, name="orders", is_learning=True)
    hook = await runtime.webhooks.by_token(token_of(url))
    assert hook.is_learning
    await runtime.webhooks.learn(hook, {"name": "Ada", "lines": [{"qty": 1}, {"sku": "x"}]})
    learnt = await runtime.webhooks.get(view.id, by=owner)
    assert not learnt.is_learning
    assert learnt.settings.structure == [
        {"type": "text", "name": "name"},
        {
            "type": "array",
            "name": "lines",
            "fields": [{"type": "number", "name": "qty"}, {"type": "text", "name": "sku"}],
        },
    ]


@pytest.mark.parametrize(
    ("sample", "fields"),
    [
        ({}, []),
        ([1, 2], []),
        ({"a": True}, [{"name": "a", "type": "boolean"}]),
        ({"a": [1, 2]}, [{"name": "a", "type": "array", "item": "number"}]),
        ({"a": [1, "x"]}, [{"name": "a", "type": "array"}]),
        (
            {"a": {"b": None}},
            [{"name": "a", "type": "collection", "fields": [{"name": "b", "type": "text"}]}],
        ),
    ],
)
def test_a_structure_is_generated_from_a_sample(sample: Any, fields: Any) -> None:
    assert structure_of(sample) == fields


async def test_waiting_events_are_listed_and_can_be_discarded(runtime: Any, owner: Any) -> None:
    _, view = await runtime.webhooks.create(by=owner, name="orders")
    for number in range(3):
        _, fresh = runtime.executions.put(
            team_id=owner.team_id,
            scenario_id=None,
            program=None,
            kind="webhook",
            payload={"bundles": [{"n": number}]},
            origin_id=view.id,
            is_held=True,
        )
        await fresh.accepted
    queue = await runtime.webhooks.queue(view.id, by=owner)
    assert [event.state for event in queue] == ["held"] * 3
    await runtime.webhooks.discard(view.id, queue[0].id, by=owner)
    rest = await runtime.webhooks.queue(view.id, by=owner)
    assert [event.id for event in rest] == [event.id for event in queue[1:]]
    with pytest.raises(NotFound):
        await runtime.webhooks.discard(view.id, queue[0].id, by=owner)


async def test_what_waited_unbound_runs_when_a_scenario_takes_the_webhook(
    runtime: Any, owner: Any
) -> None:
    _, view = await runtime.webhooks.create(by=owner, name="orders")
    _, fresh = runtime.executions.put(
        team_id=owner.team_id,
        scenario_id=None,
        program=None,
        kind="webhook",
        payload={"bundles": [{"name": "Ada"}]},
        origin_id=view.id,
        is_held=True,
    )
    await fresh.accepted
    events = runtime.live.subscribe(owner.team_id)
    first = anext(events)
    text = (
        "millrace: 1\nschedule: instant\nflow:\n"
        "  - {id: 1, module: 'webhooks:receive', webhook: orders}\n"
        "  - {id: 2, module: 'tools:compose', parameters: {value: '{{1.name}}'}}\n"
    )
    saved = await runtime.scenarios.create(by=owner, text=text)
    waiting = asyncio.ensure_future(first)
    await runtime.scenarios.activate(saved.scenario.id, by=owner)
    event = await asyncio.wait_for(waiting, 5)
    while event["type"] != "finished":
        event = await asyncio.wait_for(anext(events), 5)
    assert event["status"] == "success"
    assert await runtime.webhooks.queue(view.id, by=owner) == []


async def test_another_team_has_no_part_in_it(runtime: Any, owner: Any, stranger: Any) -> None:
    _, view = await runtime.webhooks.create(by=owner, name="orders")
    for deed in (
        runtime.webhooks.get(view.id, by=stranger),
        runtime.webhooks.change(view.id, by=stranger, is_enabled=False),
        runtime.webhooks.renew(view.id, by=stranger),
        runtime.webhooks.queue(view.id, by=stranger),
        runtime.webhooks.requests(view.id, by=stranger),
        runtime.webhooks.delete(view.id, by=stranger),
    ):
        with pytest.raises(NotFound):
            await deed
    with pytest.raises(Conflict):
        await runtime.webhooks.create(by=owner, name="orders")
