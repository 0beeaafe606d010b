"""An installation in a folder, without a server: real store, real vault, real apps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from millrace.appkit.catalog import Catalog
from millrace.appkit.guard import Guard
from millrace.runtime.actor import Actor
from millrace.runtime.driver import Outcome
from millrace.runtime.journal import Record, read_records
from millrace.runtime.program import Program
from millrace.runtime.wire import Runtime, build
from millrace.storage.store import ExecutionRow

LOOPBACK = Guard(allow=[("127.0.0.0/8", None)])


@asynccontextmanager
async def installed(
    data: Path, *, catalog: Catalog | None = None, guard: Guard = LOOPBACK, **options: Any
) -> AsyncIterator[Runtime]:
    """An installation that works until the block is left."""
    runtime = await build(data, catalog=catalog, guard=guard, **options)
    await runtime.start(is_scheduling=False)
    try:
        yield runtime
    finally:
        await runtime.close()


async def activated(
    runtime: Runtime, text: str, *, webhook: str | None = None
) -> tuple[Actor, str]:
    """The owner and the id of a new scenario, published and switched on."""
    owner = await runtime.users.ensure_owner()
    if webhook is not None:
        await runtime.webhooks.create(by=owner, name=webhook)
    saved = await runtime.scenarios.create(by=owner, text=text)
    await runtime.scenarios.publish(saved.scenario.id, by=owner)
    await runtime.scenarios.activate(saved.scenario.id, by=owner)
    return owner, saved.scenario.id


async def program_of(runtime: Runtime, actor: Actor, scenario_id: str) -> Program:
    """What runs when the scenario starts."""
    return await runtime.programs.published(actor.team_id, scenario_id)


async def received(runtime: Runtime, program: Program, bundle: dict[str, Any]) -> Outcome:
    """Let a webhook event arrive, and wait for the end of its execution."""
    _, fresh = runtime.executions.put(
        team_id=program.team_id,
        scenario_id=program.scenario_id,
        program=program,
        kind="webhook",
        payload={"bundles": [bundle]},
        is_awaited=True,
    )
    return await fresh.done


async def history(runtime: Runtime, team_id: str, execution_id: str) -> list[Record]:
    """Every record of an execution's journal."""
    sealer = runtime.keys.sealer(team_id)
    return [
        record
        for segment in await runtime.store.segments(team_id, execution_id)
        if segment.kind == "records"
        for record in read_records(segment, sealer)
    ]


async def executions(runtime: Runtime, actor: Actor) -> list[ExecutionRow]:
    """The history list, oldest first."""
    return list(reversed(await runtime.history.page(by=actor)))
