"""A confidential scenario leaves no bundle behind, and still survives a restart."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

from millrace.clock import SystemClock
from millrace.runtime.journal import unpack

from .installation import activated, executions, history, installed, program_of, received


class Later:
    """The clock of this machine, an hour fast."""

    def now(self) -> datetime:
        return SystemClock().now() + timedelta(hours=1)


MARKER = "marker-3f9c2d71"

SCENARIO = """
millrace: 1
name: Secret
settings: {confidential: true}
flow:
  - {id: 1, module: "webhooks:receive", webhook: w}
  - {id: 2, module: "tools:compose", parameters: {value: "{{1.secret}}!"}}
  - {id: 3, module: "tools:sleep", parameters: {duration: "{{1.pause}}"}}
  - {id: 4, module: "tools:compose", parameters: {value: "{{2.value}}"}}
"""


async def test_the_history_says_that_it_ran_and_nothing_of_what(tmp_path: Path) -> None:
    async with installed(tmp_path) as runtime:
        owner, id = await activated(runtime, SCENARIO, webhook="w")
        program = await program_of(runtime, owner, id)
        outcome = await received(runtime, program, {"secret": MARKER, "pause": 0})
        records = await history(runtime, owner.team_id, outcome.row.id)
        assert [record.module for record in records if record.module] == ["1", "2", "3", "3", "4"]
        assert all(record.input is None and record.output is None for record in records)
        segments = await runtime.store.segments(owner.team_id, outcome.row.id)
        assert {segment.kind for segment in segments} == {"records"}


async def test_what_a_restart_needs_cannot_be_read_when_it_is_over(tmp_path: Path) -> None:
    async with installed(tmp_path) as runtime:
        owner, id = await activated(runtime, SCENARIO, webhook="w")
        program = await program_of(runtime, owner, id)
        waiting = asyncio.ensure_future(
            received(runtime, program, {"secret": MARKER, "pause": 300})
        )
        while not [row for row in await executions(runtime, owner) if row.status == "waiting"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        waiting.cancel()
        row = (await executions(runtime, owner))[0]
        kept = await runtime.store.state(owner.team_id, id)
        assert f"key/{row.id}" in kept
        sealer = runtime.keys.sealer(owner.team_id)
        for segment in await runtime.store.segments(owner.team_id, row.id):
            if segment.kind == "records":
                context = f"segment|{row.id}|{segment.number}".encode()
                plain = unpack(sealer.open(segment.body, context))
                assert MARKER.encode() not in plain
    async with installed(tmp_path, clock=Later()) as runtime:
        while (await executions(runtime, owner))[0].status != "success":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert (await executions(runtime, owner))[0].operations == 4
        assert await runtime.store.state(owner.team_id, id) == {}
    for file in tmp_path.glob("millrace.db*"):  # noqa: ASYNC240
        assert MARKER.encode() not in file.read_bytes()
