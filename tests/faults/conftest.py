"""An installation beside the practice service, which misbehaves as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from millrace import practice as service
from millrace.appkit.guard import Guard
from millrace.runtime.actor import Actor
from millrace.runtime.wire import Runtime, build
from millrace.storage.store import ExecutionRow


class Site:
    """One installation, the service that its scenarios call, and what tests ask of both."""

    def __init__(self, runtime: Runtime, owner: Actor, practice: service.Practice) -> None:
        self.runtime = runtime
        self.owner = owner
        self.practice = practice

    async def switch(self, **given: Any) -> None:
        """Make the service misbehave."""
        async with httpx2.AsyncClient(base_url=self.practice.url, trust_env=False) as control:
            (await control.post("/switches", json=given)).raise_for_status()

    async def run(self, *modules: str, settings: str = "{}", force: bool = False) -> ExecutionRow:
        """Publish a scenario of these modules, start it, and wait for its end."""
        lines = ["millrace: 1", f"settings: {settings}", "flow:", *(f"  - {m}" for m in modules)]
        saved = await self.runtime.scenarios.create(by=self.owner, text="\n".join(lines))
        id = saved.scenario.id
        await self.runtime.scenarios.publish(id, by=self.owner, force=force)
        program = await self.runtime.programs.published(self.owner.team_id, id)
        _, done = await self.runtime.executions.start(program)
        return (await asyncio.wait_for(done, 30)).row

    async def output(self, row: ExecutionRow, module: str) -> list[dict[str, Any]]:
        """What a module gave."""
        details = await self.runtime.history.get(row.id, by=self.owner)
        (found,) = [op for op in details.operations if op.module == module]
        return found.output

    async def still_works(self) -> None:
        """See that the process carries out the next scenario as if nothing had been."""
        row = await self.run('{id: 1, module: "tools:compose", parameters: {value: fine}}')
        assert row.status == "success"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with await service.start() as practice:
        guard = Guard(allow=[("127.0.0.1/32", None)])
        runtime = await build(tmp_path / "data", guard=guard)
        await runtime.start(is_scheduling=False)
        yield Site(runtime, await runtime.users.ensure_owner(), practice)
        await runtime.close()
