"""What is not final yet survives an execution's leaving memory."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from millrace.clock import SystemClock
from millrace.runtime.actor import Actor
from millrace.runtime.wire import Runtime
from millrace.storage.executions import Executions

from .installation import activated, executions, history, installed, program_of, received

STORE_AND_WAIT = """
millrace: 1
name: Store and wait
settings: {auto_commit: false}
flow:
  - {id: 1, module: "webhooks:receive", webhook: w}
  - {id: 2, module: "data-store:add", data_store: kept, parameters: {key: k, data: {n: 1}}}
  - {id: 3, module: "tools:sleep", parameters: {duration: 200}}
  - {id: 4, module: "tools:compose", parameters: {value: done}}
"""

ANSWER_AND_WAIT = """
millrace: 1
name: Answer and wait
flow:
  - {id: 1, module: "webhooks:receive", webhook: w}
  - {id: 2, module: "webhooks:respond", parameters: {status: 202, body: early}}
  - {id: 3, module: "tools:sleep", parameters: {duration: 200}}
"""

ZIP = """
millrace: 1
name: Zip
flow:
  - {id: 1, module: "webhooks:receive", webhook: w}
  - {id: it, module: "flow:iterator", parameters: {array: [a, b]}}
  - id: zip
    module: archive:create
    parameters: {source: it, name: both, file_name: "{{it.value}}.txt", data: "{{it.value}}"}
"""


class Later:
    """The clock of this machine, an hour fast."""

    def now(self) -> datetime:
        return SystemClock().now() + timedelta(hours=1)


async def parked(runtime: Runtime, owner: Actor) -> str:
    """The id of the execution that has left memory, once it has."""
    while True:
        rows = await executions(runtime, owner)
        if rows and rows[0].status == "waiting" and runtime.queue.is_idle:
            return rows[0].id
        await asyncio.sleep(0.01)


async def test_writes_that_no_commit_made_true_outlive_parking(tmp_path: Path) -> None:
    async with installed(tmp_path) as runtime:
        owner = await runtime.users.ensure_owner()
        store = await runtime.data_stores.create(by=owner, name="kept")
        owner, id = await activated(runtime, STORE_AND_WAIT, webhook="w")
        program = await program_of(runtime, owner, id)
        waiting = asyncio.ensure_future(received(runtime, program, {}))
        await parked(runtime, owner)
        assert runtime.store.records.get(owner.team_id, store.id, "k") is None
        waiting.cancel()
    async with installed(tmp_path, clock=Later()) as runtime:
        while (await executions(runtime, owner))[0].status != "success":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert runtime.store.records.get(owner.team_id, store.id, "k") is not None


async def test_a_caller_is_answered_before_the_execution_leaves_memory(tmp_path: Path) -> None:
    async with installed(tmp_path) as runtime:
        owner, id = await activated(runtime, ANSWER_AND_WAIT, webhook="w")
        program = await program_of(runtime, owner, id)
        _, fresh = runtime.executions.put(
            team_id=owner.team_id,
            scenario_id=id,
            program=program,
            kind="webhook",
            payload={"bundles": [{}]},
            is_answered=True,
        )
        assert fresh.reply is not None
        answer: Any = await asyncio.wait_for(fresh.reply, 10)
        assert (answer["status"], answer["body"]) == (202, "early")
        await parked(runtime, owner)


async def test_the_history_keeps_the_files_that_it_names(tmp_path: Path) -> None:
    async with installed(tmp_path) as runtime:
        owner, id = await activated(runtime, ZIP, webhook="w")
        outcome = await received(runtime, await program_of(runtime, owner, id), {})
        assert outcome.row.status == "success"
        files = [
            bundle["data"].id for bundle in await _made(runtime, owner.team_id, outcome.row.id)
        ]
        assert len(files) == 1
        unused = await Executions(runtime.store).files_without_use(owner.team_id, files)
        assert unused == []


async def _made(runtime: Runtime, team_id: str, execution_id: str) -> list[dict[str, Any]]:
    records = await history(runtime, team_id, execution_id)
    return next(record.output for record in records if record.module == "zip" and record.output)
