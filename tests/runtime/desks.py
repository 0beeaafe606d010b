"""An installation with the test app ``desk``, a clock that is moved, and what tests ask of both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from millrace.appkit.catalog import Catalog
from millrace.clock import SystemClock
from millrace.engine import Limits
from millrace.runtime.actor import Actor
from millrace.runtime.driver import Outcome
from millrace.runtime.wire import Runtime
from millrace.storage.store import ExecutionRow, IncompleteRow

from .conftest import FakeClock
from .installation import installed

DESK = Path(__file__).parent / "desk"


def scenario(*modules: str, settings: str = "{}", schedule: str = "on-demand") -> str:
    """A scenario file of modules in YAML's short form."""
    lines = ["millrace: 1", f"schedule: {schedule}", f"settings: {settings}", "flow:"]
    return "\n".join([*lines, *(f"  - {module}" for module in modules)])


class Desk:
    """One installation."""

    def __init__(self, runtime: Runtime, owner: Actor, clock: Any) -> None:
        self.runtime = runtime
        self.owner = owner
        self.clock = clock

    async def scenario(self, text: str, *, webhook: bool = False) -> str:
        """The id of a new scenario, published and switched on."""
        if webhook:
            await self.runtime.webhooks.create(by=self.owner, name="w")
        saved = await self.runtime.scenarios.create(by=self.owner, text=text)
        await self.runtime.scenarios.publish(saved.scenario.id, by=self.owner)
        await self.runtime.scenarios.activate(saved.scenario.id, by=self.owner)
        return saved.scenario.id

    async def run(self, id: str, **options: Any) -> Outcome:
        """Start a scenario now; how it ended."""
        program = await self.runtime.programs.published(self.owner.team_id, id)
        _, done = await self.runtime.executions.start(program, **options)
        return await asyncio.wait_for(done, 20)

    async def send(self, id: str, bundle: dict[str, Any]) -> None:
        """Let an event arrive at the scenario's webhook."""
        program = await self.runtime.programs.published(self.owner.team_id, id)
        row = await self.runtime.programs.row(self.owner.team_id, id)
        _, fresh = self.runtime.executions.put(
            team_id=self.owner.team_id,
            scenario_id=id,
            program=program,
            kind="webhook",
            payload={"bundles": [bundle]},
            is_held=not row.is_active,
        )
        await fresh.accepted

    async def later(self, **span: float) -> None:
        """Move the clock and look what is due."""
        self.clock.move(**span)
        self.runtime.queue.wake()

    async def parked(self, times: int = 1) -> None:
        """Wait until an execution has left memory, for the n-th time."""
        async with asyncio.timeout(20):
            while True:
                waiting = await self.runtime.history.page(by=self.owner, status="waiting")
                if waiting and self.runtime.queue.is_idle:
                    return
                await asyncio.sleep(0.005)

    async def executions(self, count: int) -> list[ExecutionRow]:
        """The history, oldest first, once so many executions are over and nothing is under way."""
        async with asyncio.timeout(20):
            while True:
                rows = list(reversed(await self.runtime.history.page(by=self.owner)))
                over = sum(row.finished_at_ms is not None for row in rows)
                if over >= count and self.runtime.queue.is_idle:
                    assert over == count, f"{over} executions instead of {count}"
                    return rows
                await asyncio.sleep(0.005)

    async def modules(self, row: ExecutionRow) -> list[str]:
        """The modules that worked in an execution, in their order."""
        details = await self.runtime.history.get(row.id, by=self.owner)
        return [operation.module for operation in details.operations if operation.kind == "module"]

    async def kept(self) -> list[IncompleteRow]:
        """Incomplete executions that wait, oldest first."""
        return list(reversed(await self.runtime.incomplete.page(by=self.owner)))

    async def waiting(self, id: str) -> dict[str, int]:
        """How many events of a scenario are in the inbox, by state."""
        return dict(await self.runtime.store.waiting(self.owner.team_id, id))

    async def record(self, store_id: str, key: str) -> Any:
        """A record of a data store; None when there is none."""
        records = await self.runtime.data_stores.records(store_id, by=self.owner)
        return next((record.data for record in records if record.key == key), None)


async def desk_at(
    data: Path, clock: FakeClock | SystemClock, *, limits: Limits | None = None
) -> AsyncIterator[Desk]:
    catalog = Catalog.load(DESK)
    async with installed(data, catalog=catalog, clock=clock, limits=limits) as runtime:
        yield Desk(runtime, await runtime.users.ensure_owner(), clock)


@pytest.fixture(name="desk")
async def desk_fixture(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Desk]:
    async for desk in desk_at(tmp_path / "data", clock):
        yield desk


__all__ = ["Desk", "desk_at", "desk_fixture", "scenario"]
