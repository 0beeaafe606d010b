"""Incomplete executions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path

from millrace.api.policy import By, Routes, allows
from millrace.api.shapes import Before, In, Instant, Limit, Out, Page, The, at, page, plain

routes = Routes(prefix="/incomplete-executions", tags=["incomplete executions"])

Id = Annotated[str, Path(max_length=80)]


class Incomplete(Out):
    """A failed execution that is kept."""

    id: str
    scenario_id: str
    version_id: str | None
    execution_id: str
    created_at: Instant = at("created_at")
    error_type: str
    error_message: str
    error_module: str | None
    state: str
    retry_at: Instant | None = at("retry_at")
    attempts: int
    max_attempts: int
    size_bytes: int
    expires_at: Instant | None = at("expires_at")


class IncompleteDetails(Out):
    """One of them with what it holds."""

    incomplete: Incomplete
    held: Any


class RetryAll(In):
    """Which to retry."""

    scenario_id: str | None = None


class Retried(Out):
    """How many are retried."""

    count: int


@routes.get("", response_model=Page[Incomplete])
@allows("incomplete.read")
async def list_incomplete(
    runtime: The,
    by: By,
    before: Before = None,
    limit: Limit = 50,
    scenario_id: str | None = None,
    state: Literal["waiting", "resuming", "resolved", "discarded", "any"] = "waiting",
) -> Any:
    """The newest first; those that wait, unless another state is asked for."""
    rows = await runtime.incomplete.page(
        by=by,
        before=before,
        limit=limit,
        scenario_id=scenario_id,
        state=None if state == "any" else state,
    )
    return page(rows, limit)


@routes.post("/retry", response_model=Retried, status_code=202)
@allows("incomplete.change")
async def retry_all_incomplete(runtime: The, by: By, body: RetryAll) -> Any:
    """Retry all that wait, of one scenario or of the team."""
    return {"count": await runtime.incomplete.retry_all(by=by, scenario_id=body.scenario_id)}


@routes.get("/{id}", response_model=IncompleteDetails)
@allows("incomplete.read")
async def get_incomplete(runtime: The, by: By, id: Id) -> Any:
    """One of them, with the bundles it holds."""
    details = await runtime.incomplete.get(id, by=by)
    return {"incomplete": details.row, "held": plain(details.held)}


@routes.post("/{id}/retry", status_code=202)
@allows("incomplete.change")
async def retry_incomplete(runtime: The, by: By, id: Id) -> None:
    """Let it go on at its failed module, now."""
    await runtime.incomplete.retry(id, by=by)


@routes.post("/{id}/resolve", status_code=204)
@allows("incomplete.change")
async def resolve_incomplete(runtime: The, by: By, id: Id) -> None:
    """Say that it was dealt with elsewhere."""
    await runtime.incomplete.resolve(id, by=by)


@routes.post("/{id}/discard", status_code=204)
@allows("incomplete.change")
async def discard_incomplete(runtime: The, by: By, id: Id) -> None:
    """Give it up."""
    await runtime.incomplete.discard(id, by=by)
