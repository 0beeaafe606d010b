"""Executions: the history, its details, its sums, and what happens right now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from fastapi import Path, Query, Response
from fastapi.responses import StreamingResponse

from millrace.api.policy import By, Routes, allows
from millrace.api.shapes import Before, Instant, Limit, Out, Page, The, at, page, plain
from millrace.runtime.wire import Runtime

routes = Routes(tags=["executions"])

Id = Annotated[str, Path(max_length=64)]
STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {}}, "description": "Server-sent events."}
}


class Execution(Out):
    """One execution as the history lists it."""

    id: str
    scenario_id: str
    version_id: str | None
    kind: str
    status: str
    started_at: Instant = at("started_at")
    finished_at: Instant | None = at("finished_at")
    duration_ms: int | None
    operations: int
    transfer_bytes: int
    cycles: int
    error_type: str | None
    error_message: str | None
    error_module: str | None
    origin_id: str | None


class Operation(Out):
    """One line of an execution."""

    seq: int
    kind: str
    module: str
    name: str
    at: Instant
    duration_ms: float
    input: Any
    output: Any
    error: Any
    warnings: list[str]


class Details(Out):
    """One execution with the inputs and outputs of its operations."""

    execution: Execution
    by_module: dict[str, int]
    links: dict[str, list[int]]
    outputs: Any
    operations: list[Operation]
    next: int | None


class Sum(Out):
    """What was used by something."""

    executions: int
    operations: int
    transfer_bytes: int
    errors: int


class Usage(Out):
    """What the team used."""

    since: Instant
    total: Sum
    days: dict[str, Sum]
    scenarios: dict[str, Sum]
    apps: dict[str, int]


@routes.get("/executions", response_model=Page[Execution])
@allows("history.read")
async def list_executions(
    runtime: The,
    by: By,
    before: Before = None,
    limit: Limit = 50,
    scenario_id: str | None = None,
    status: str | None = None,
) -> Any:
    """The newest executions first."""
    rows = await runtime.history.page(
        by=by, before=before, limit=limit, scenario_id=scenario_id, status=status
    )
    return page(rows, limit)


@routes.get("/executions/{id}", response_model=Details)
@allows("history.read")
async def get_execution(
    runtime: The,
    by: By,
    id: Id,
    after: Annotated[int, Query(ge=-1, description="Only operations behind this one.")] = -1,
    limit: Limit = 200,
) -> Any:
    """One execution with the input and output of every operation."""
    details = await runtime.history.get(id, by=by, after=after, limit=limit)
    operations = [
        {**msgspec.structs.asdict(operation), **_plain(operation)}
        for operation in details.operations
    ]
    return {
        "execution": details.execution,
        "by_module": details.by_module,
        "links": details.links,
        "outputs": plain(details.outputs),
        "operations": operations,
        "next": details.next,
    }


@routes.post("/executions/{id}/cancel", status_code=204)
@allows("history.cancel")
async def cancel_execution(runtime: The, by: By, id: Id) -> None:
    """Stop an execution before its next operation."""
    await runtime.history.cancel(id, by=by)


@routes.get("/executions/{id}/events", response_class=Response, responses=STREAM)
@allows("events.read")
async def execution_events(runtime: The, by: By, id: Id) -> Response:
    """What happens in one execution, as it happens, until it ends."""
    details = await runtime.history.get(id, by=by, limit=1)
    if details.execution.finished_at_ms is not None:
        event = {"type": "finished", "execution_id": id, "status": details.execution.status}
        return _stream(_once(event))
    return _stream(live_events(runtime, by.team_id, id))


@routes.get("/events", response_class=Response, responses=STREAM)
@allows("events.read")
async def team_events(runtime: The, by: By) -> Response:
    """What happens in the team, as it happens."""
    return _stream(live_events(runtime, by.team_id, None))


@routes.get("/usage", response_model=Usage)
@allows("history.read")
async def usage(
    runtime: The,
    by: By,
    days: Annotated[int, Query(ge=1, le=366)] = 30,
    scenario_id: str | None = None,
) -> Any:
    """What was used, by day, scenario and app."""
    return await runtime.history.usage(by=by, days=days, scenario_id=scenario_id)


def _plain(operation: Any) -> dict[str, Any]:
    return {name: plain(getattr(operation, name)) for name in ("input", "output", "error")}


def _stream(events: AsyncIterator[bytes]) -> Response:
    # A proxy that gathers an answer before it passes it on would make "live" a minute late.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


async def live_events(
    runtime: Runtime, team_id: str, execution_id: str | None, *, quiet_seconds: float = 15.0
) -> AsyncIterator[bytes]:
    """Events as they happen; when none does, a sign of life, so that no proxy hangs up."""
    events = runtime.live.subscribe(team_id, execution_id=execution_id)
    waiting: asyncio.Future[dict[str, Any]] | None = None
    yield b": connected\n\n"
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(anext(events))
            done, _ = await asyncio.wait({waiting}, timeout=quiet_seconds)
            if not done:
                yield b": still here\n\n"
                continue
            event = waiting.result()
            waiting = None
            yield _event(event)
    except StopAsyncIteration:
        pass
    finally:
        if waiting is not None:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        # Otherwise nobody would tell the runtime that there is no listener any more.
        await events.aclose()


async def _once(event: dict[str, Any]) -> AsyncIterator[bytes]:
    yield _event(event)


def _event(event: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (
        str(event.get("type", "message")).encode(),
        msgspec.json.encode(plain(event)),
    )
