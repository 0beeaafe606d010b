from __future__ import annotations

import asyncio
import json
from typing import Any

from millrace.api.routes.executions import live_events

TEXT = "millrace: 1\nflow:\n  - {id: 1, module: 'json:parse', parameters: {json: '[{\"n\": 1}]'}}\n"


async def test_an_execution_is_told_as_it_happens(runtime: Any) -> None:
    by = await runtime.users.owner()
    saved = await runtime.scenarios.create(by=by, text=TEXT)
    stream = live_events(runtime, by.team_id, None)
    assert await anext(stream) == b": connected\n\n"
    following = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    execution_id = await runtime.scenarios.run_once(saved.scenario.id, by=by)
    told = [await asyncio.wait_for(following, 5)]
    while not told[-1].startswith(b"event: finished"):
        told.append(await asyncio.wait_for(anext(stream), 5))
    await stream.aclose()
    kinds = [line.split(b"\n")[0].removeprefix(b"event: ") for line in told]
    assert kinds == [b"started", b"operation", b"finished"]
    data = [json.loads(line.split(b"data: ")[1]) for line in told]
    assert {event["execution_id"] for event in data} == {execution_id}
    assert data[1]["bundles"] == 1
    assert not runtime.live.is_watched(by.team_id)


async def test_when_nothing_happens_there_is_a_sign_of_life(runtime: Any) -> None:
    by = await runtime.users.owner()
    stream = live_events(runtime, by.team_id, None, quiet_seconds=0.01)
    await anext(stream)
    assert await asyncio.wait_for(anext(stream), 5) == b": still here\n\n"
    await stream.aclose()


async def test_another_team_hears_nothing(runtime: Any) -> None:
    stream = live_events(runtime, "f" * 32, None, quiet_seconds=0.05)
    await anext(stream)
    following = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    by = await runtime.users.owner()
    runtime.live.publish(by.team_id, {"type": "started"})
    assert await asyncio.wait_for(following, 5) == b": still here\n\n"
    await stream.aclose()
